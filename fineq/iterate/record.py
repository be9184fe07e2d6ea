"""At which iterations metrics are recorded, and how a run is cut into chunks between them."""

import operator
from typing import NamedTuple

import numpy as np

from fineq.errors import InputError

MAX_STEPS = np.iinfo(np.int32).max


def _check(name: str, value: int, low: int) -> None:
    try:
        operator.index(value)
    except TypeError:
        raise InputError(f"{name} must be an integer, got {value!r}") from None
    if not low <= value <= MAX_STEPS:
        raise InputError(f"{name} must be between {low} and {MAX_STEPS}, got {value}")


def geometric(num_steps: int, per_decade: int = 10) -> np.ndarray:
    """Iterations 0, the rounded powers of 10^(1/per_decade), and num_steps: increasing ints [R]."""
    _check("num_steps", num_steps, 0)
    _check("per_decade", per_decade, 1)
    count = int(np.ceil(per_decade * np.log10(max(num_steps, 1)))) + 1
    powers = np.rint(10.0 ** (np.arange(count) / per_decade)).astype(np.int64)
    return record_points(num_steps, powers[powers <= num_steps])


def every(num_steps: int, k: int = 1) -> np.ndarray:
    """Iterations 0, k, 2k, ... and num_steps: increasing ints [R]."""
    _check("num_steps", num_steps, 0)
    _check("k", k, 1)
    return record_points(num_steps, np.arange(0, num_steps + 1, k))


def record_points(num_steps: int, record: np.ndarray | list[int] | None = None) -> np.ndarray:
    """The given iterations sorted, without repeats, with 0 and num_steps added; geometric if None.

    Raises `InputError` when one lies outside [0, num_steps] or is not an integer.
    """
    _check("num_steps", num_steps, 0)
    if record is None:
        return geometric(num_steps)
    points = np.asarray(record)
    if points.size and not np.issubdtype(points.dtype, np.integer):
        raise InputError(f"record must hold integers, got dtype {points.dtype}")
    if points.ndim > 1:
        raise InputError(f"record must have 1 axis, got shape {points.shape}")
    if points.size and not 0 <= points.min() <= points.max() <= num_steps:
        raise InputError(
            f"record must lie in [0, {num_steps}], got values from {points.min()} to {points.max()}"
        )
    return np.union1d(points, [0, num_steps]).astype(np.int64)


class Plan(NamedTuple):
    """One chunk: advance to each of the first num_slots stops, record at the first num_records.

    begin: iteration at which running members stand, int32 [].
    stops: iterations to advance to, int32 [S], repeated at the end beyond num_slots.
    """

    begin: np.ndarray
    stops: np.ndarray
    num_slots: np.ndarray
    num_records: np.ndarray

    @property
    def end(self) -> int:
        """The iteration at which the chunk leaves running members."""
        return int(self.stops[-1])


def make_plan(begin: int, stops: list[int], num_records: int, slots: int) -> Plan:
    """Pad the stops to the static number of slots."""
    padded = stops + [stops[-1] if stops else begin] * (slots - len(stops))
    counts = np.int32(len(stops)), np.int32(num_records)
    return Plan(np.asarray(begin, np.int32), np.asarray(padded, np.int32), *map(np.asarray, counts))


def next_plan(
    iterations: np.ndarray, num_recorded: int, position: int, steps: int, slots: int
) -> Plan:
    """The next chunk: about `steps` steps from `position`, through the record points on the way."""
    target = min(position + steps, int(iterations[-1]))
    last = int(np.searchsorted(iterations, target, side="right"))
    stops = [int(i) for i in iterations[num_recorded : min(last, num_recorded + slots)]]
    num_records = len(stops)
    if num_records < slots and (not stops or stops[-1] < target):
        stops.append(target)
    return make_plan(position, stops, num_records, slots)


class Pace:
    """How many steps make a chunk of about `seconds`; it changes when results come, never what.

    It starts with one step, for a step may take microseconds or minutes, and grows at most 32-fold.
    """

    growth = 32

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.steps = 1

    def update(self, steps: int, elapsed: float) -> None:
        """Learn from a chunk of `steps` steps that took `elapsed` seconds."""
        factor = min(self.growth, self.seconds / max(elapsed, 1e-9))
        self.steps = int(np.clip(steps * factor, 1, MAX_STEPS))
