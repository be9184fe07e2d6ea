"""The one driver: repeats any kernel, records metrics, checkpoints, and stops cleanly."""

from fineq.iterate.core import Carry, advance, non_finite, start
from fineq.iterate.events import Event, Progress, Store
from fineq.iterate.interrupt import Interrupted, Interruption, Terminated, interruptible
from fineq.iterate.kernels import Kernel, check_kernel, takes_key
from fineq.iterate.method import Method, method, static
from fineq.iterate.record import every, geometric, record_points
from fineq.iterate.run import Trace, iterate
from fineq.iterate.solve import Solution, Stats, Status, solve, unroll

__all__ = [
    "Carry",
    "Event",
    "Interrupted",
    "Interruption",
    "Kernel",
    "Method",
    "Progress",
    "Solution",
    "Stats",
    "Status",
    "Store",
    "Terminated",
    "Trace",
    "advance",
    "check_kernel",
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
