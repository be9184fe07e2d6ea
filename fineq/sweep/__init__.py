"""Named axes over seeds and any number of a problem, as compiled programs of bounded memory."""

from fineq.sweep.axes import Axis
from fineq.sweep.program import Program
from fineq.sweep.result import SweepResult
from fineq.sweep.run import sweep
from fineq.sweep.solving import Task, solving

__all__ = ["Axis", "Program", "SweepResult", "Task", "solving", "sweep"]
