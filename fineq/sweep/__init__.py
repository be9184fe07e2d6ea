"""Named axes over any number of a problem, as compiled programs of bounded memory."""

from fineq.sweep.axes import Axis, Table
from fineq.sweep.members import over_members
from fineq.sweep.program import Program
from fineq.sweep.result import MembersResult, SweepResult
from fineq.sweep.run import sweep
from fineq.sweep.tasks import Task, solving

__all__ = [
    "Axis",
    "MembersResult",
    "Program",
    "SweepResult",
    "Table",
    "Task",
    "over_members",
    "solving",
    "sweep",
]
