"""The one driver: repeats any step, records metrics, checkpoints, and stops cleanly."""

from fineq.iterate.core import Carry, advance, non_finite, start
from fineq.iterate.events import Event, Progress, Store
from fineq.iterate.interrupt import Interrupted, Interruption, Terminated, interruptible
from fineq.iterate.methods import Method, method, static
from fineq.iterate.record import every, geometric, record_points
from fineq.iterate.run import Trace, iterate
from fineq.iterate.solution import Solution, Stats, Status, solve, unroll
from fineq.iterate.steps import Step, check_step, takes_key

__all__ = [
    "Carry",
    "Event",
    "Interrupted",
    "Interruption",
    "Method",
    "Progress",
    "Solution",
    "Stats",
    "Status",
    "Step",
    "Store",
    "Terminated",
    "Trace",
    "advance",
    "check_step",
    "every",
    "geometric",
    "interruptible",
    "iterate",
    "method",
    "non_finite",
    "record_points",
    "solve",
    "start",
    "static",
    "takes_key",
    "unroll",
]
