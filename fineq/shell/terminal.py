"""Progress bars on a terminal: one line per stage, with error, measured rate and time left."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

from fineq.shell.course import Course, duration
from fineq.shell.reading import Reading, Report, read

WIDE = 100  # columns from which a bar has room beside its numbers


@dataclass
class _Stage:
    task: TaskID
    began: float = math.nan
    began_at: float = 0.0


class Bars:
    """A context manager that draws reports as bars; call it with each report."""

    def __init__(
        self,
        console: Console,
        metric: str = "",
        clock: Callable[[], float] = time.monotonic,
        course: Course | None = None,
    ):
        self._course = course or Course()
        self._metric = metric
        self._clock = clock
        self._stages: dict[str, _Stage] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            *([BarColumn(bar_width=24)] if console.width >= WIDE else []),
            TextColumn("{task.percentage:>3.0f}%", table_column=Column(no_wrap=True, min_width=4)),
            TextColumn("{task.fields[numbers]}"),
            TextColumn("{task.fields[left]}", style="dim"),
            console=console,
        )

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, report: Report) -> None:
        """Show a report."""
        stage = self._stage(report)
        reading = read(report, self._metric)
        self._progress.update(
            stage.task,
            completed=reading.fraction,
            numbers="compiling" if report.phase == "compiling" else reading.text(),
            left=self._left(stage, report, reading),
        )

    def _stage(self, report: Report) -> _Stage:
        if report.stage not in self._stages:
            label = self._course.label(report.stage)
            task = self._progress.add_task(label, total=1.0, numbers="", left="")
            self._stages[report.stage] = _Stage(task)
        return self._stages[report.stage]

    def _left(self, stage: _Stage, report: Report, reading: Reading) -> str:
        """Time left in all stages; else in this one, from its pace since the first chunk."""
        in_all = self._course.left(report, reading.fraction)
        now = self._clock()
        if report.phase == "finished":
            return f"{report.elapsed:.1f} s"
        if in_all > 0:
            return f"{duration(in_all)} left in all"
        if report.phase == "running" and math.isnan(stage.began):
            stage.began, stage.began_at = now, reading.fraction
        gained = reading.fraction - stage.began_at
        if math.isnan(stage.began) or gained <= 0:  # compiling is no pace
            return ""
        return f"{duration((now - stage.began) / gained * (1 - reading.fraction))} left"
