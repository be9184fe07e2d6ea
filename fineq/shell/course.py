"""Where a run is among its stages and how long it has to go, by what a run like it took.

How many stages a study has is known once one has run: its summary names them with their seconds.
"""

import math
from collections.abc import Mapping

from fineq.shell.reading import Report

TOLD = 1.0  # seconds that finished stages must have been expected to take before pace is judged


class Course:
    """The stages of a run, told with each report.

    Args:
        expected: seconds that each stage may take, by name and in order; empty: nothing is known.
    """

    def __init__(self, expected: Mapping[str, float] | None = None) -> None:
        self._expected = dict(expected or {})
        self._numbers: dict[str, int] = {}
        self._done: dict[str, float] = {}

    def label(self, stage: str) -> str:
        """The stage as `[2/5] descent`; its name alone where a run like this is not known."""
        number = self._numbers.setdefault(stage, len(self._numbers) + 1)
        if not self._expected:
            return stage
        return f"[{number}/{len({**self._expected, **self._numbers})}] {stage}"

    def left(self, report: Report, fraction: float) -> float:
        """Seconds to go in all stages; NaN where they cannot be told.

        Args:
            report: of the stage that runs.
            fraction: of it that is done.
        """
        if report.phase == "finished":
            self._done[report.stage] = report.elapsed
        if report.stage not in self._expected or not {*self._done} <= {*self._expected}:
            return math.nan
        passed = {*self._done, report.stage}
        ahead = sum(time for stage, time in self._expected.items() if stage not in passed)
        here = 0.0 if report.phase == "finished" else self._expected[report.stage] * (1 - fraction)
        return self._pace() * (ahead + here)

    def _pace(self) -> float:
        """How much longer finished stages took than was expected."""
        expected = sum(self._expected[stage] for stage in self._done)
        return sum(self._done.values()) / expected if expected > TOLD else 1.0


def duration(seconds: float) -> str:
    """Return a time in words that a glance understands."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
