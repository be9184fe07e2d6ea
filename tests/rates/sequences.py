"""Error sequences whose rate is known, each a function of a generator."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.signal


class Known(NamedTuple):
    """A sequence with its iterations, and the slope of its log error, nan where it has none."""

    k: np.ndarray
    errors: np.ndarray
    slope: float = float("nan")


Make = Callable[[np.random.Generator], Known]


def dense(last: int) -> np.ndarray:
    return np.arange(last + 1.0)


def geometric(last: float) -> np.ndarray:
    """0 and 1, 2, 5, 10, 20, 50, ... up to last."""
    steps = [m * 10.0**d for d in range(12) for m in (1, 2, 5)]
    return np.array([0.0, *(s for s in steps if s <= last)])


def autoregressive(rng: np.random.Generator, size: int, memory: float) -> np.ndarray:
    """Stationary noise of variance 1 and lag-one correlation `memory`."""
    start = 40 * int(1 / (1 - memory))
    noise = scipy.signal.lfilter([1.0], [1.0, -memory], rng.standard_normal(size + start))
    return np.asarray(noise)[start:] * np.sqrt(1 - memory**2)


def two_phase(k: np.ndarray, change: float, first: float, second: float) -> np.ndarray:
    """Log error with slope `first` up to iteration `change`, `second` after it."""
    return np.where(k < change, first * k, first * change + second * (k - change))
