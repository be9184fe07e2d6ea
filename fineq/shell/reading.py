"""What is read off a running stage: how far it is, its error, and an impression of its rate."""

import math
from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np

ERROR = "error"


class Report(Protocol):
    """What is shown of a running stage; `fineq.iterate.Event` is one.

    `metrics` hold `[records]` of one member or `[members of the block, records]`.
    """

    @property
    def stage(self) -> str: ...  # noqa: D102
    @property
    def phase(self) -> str: ...  # noqa: D102
    @property
    def members_done(self) -> int: ...  # noqa: D102
    @property
    def members(self) -> int: ...  # noqa: D102
    @property
    def iteration(self) -> int: ...  # noqa: D102
    @property
    def num_steps(self) -> int: ...  # noqa: D102
    @property
    def iterations(self) -> np.ndarray: ...  # noqa: D102
    @property
    def metrics(self) -> Mapping[str, np.ndarray]: ...  # noqa: D102
    @property
    def elapsed(self) -> float: ...  # noqa: D102


class Reading(NamedTuple):
    """The numbers of one report: fraction done, median error, its ratio per iteration.

    `name` is what the error is called: a cost or a reward is none, and has no rate.
    """

    fraction: float
    error: float
    ratio: float
    diverged: int
    name: str = ERROR

    def text(self) -> str:
        """Return the numbers that are known, in words."""
        parts = [
            f"{self.name} {self.error:.2e}" if math.isfinite(self.error) else "",
            f"rate {self.ratio:.4f}/step"
            if self.name == ERROR and math.isfinite(self.ratio)
            else "",
            f"{self.diverged} diverged" if self.diverged else "",
        ]
        return ", ".join(part for part in parts if part)


def read(report: Report, metric: str = "") -> Reading:
    """Return what a report says of the named metric, or of its first one.

    The ratio is the median over members of the geometric mean over the later half of the
    records: a running impression, not the fitted rate.
    """
    name = metric if metric in report.metrics else next(iter(report.metrics), "")
    errors = _errors(report, name)
    called = ERROR if not metric or name == metric else name.replace("_", " ")
    active = len(errors) if report.phase == "running" and report.iteration < report.num_steps else 0
    part = active * report.iteration / max(report.num_steps, 1)
    fraction = 1.0 if report.phase == "finished" else (report.members_done + part) / report.members
    if not errors.size:
        return Reading(min(fraction, 1.0), math.nan, math.nan, 0)
    last = errors[:, -1]
    good = last[np.isfinite(last)]
    error = float(np.median(good)) if good.size else math.nan
    ratio = _ratio(errors, np.asarray(report.iterations, dtype=float))
    # What is NaN from the start, as of a method that measures its steps, has not diverged.
    lost = ~np.isfinite(last) & np.isfinite(errors).any(axis=1)
    return Reading(min(fraction, 1.0), error, ratio, int(lost.sum()), called)


def _errors(report: Report, name: str) -> np.ndarray:
    if not name:
        return np.zeros((1, 0))
    values = np.asarray(report.metrics[name], dtype=float)
    return values.reshape(1, -1) if values.ndim == 1 else values.reshape(len(values), -1)


def _ratio(errors: np.ndarray, iterations: np.ndarray) -> float:
    if len(iterations) < 2 or errors.shape[1] != len(iterations):
        return math.nan
    middle = int(np.searchsorted(iterations, iterations[-1] / 2))
    middle = min(middle, len(iterations) - 2)
    first, last = errors[:, middle], errors[:, -1]
    good = (first > 0) & (last > 0) & np.isfinite(first) & np.isfinite(last)
    if not np.any(good):
        return math.nan
    steps = iterations[-1] - iterations[middle]
    return float(np.exp(np.median(np.log(last[good] / first[good])) / steps))
