"""One number for every seed, from a view: what is last, least, where, and over what."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fineq.studies.view import View

Numbers = str | Callable[[View], np.ndarray]  # a quantity by name, or a function of the view


def numbers(of: Numbers, view: View) -> np.ndarray:
    """Numbers `[seed, ...]` of the seeds that did not diverge."""
    return view(of, lost=False) if isinstance(of, str) else of(view)


def at(of: Numbers, **where: Any) -> Callable[[View], np.ndarray]:
    """Numbers at values along dimensions: `at("stopped", rule="oracle")`."""
    return lambda view: numbers(of, view.chosen(**where))


def least(of: Numbers) -> Callable[[View], np.ndarray]:
    """The least of numbers `[seed, x]` along x: `[seed]`; NaN is passed over."""
    return lambda view: _taken(numbers(of, view), _least(numbers(of, view)))


def at_least(of: Numbers, least_of: Numbers) -> Callable[[View], np.ndarray]:
    """Numbers `[seed, x]` where others are least along x: `[seed]`."""
    return lambda view: _taken(numbers(of, view), _least(numbers(least_of, view)))


def where_least(of: Numbers, dim: str) -> Callable[[View], np.ndarray]:
    """The value along a dimension at which numbers `[seed, x]` are least: `[seed]`."""
    return lambda view: view.values_of(dim)[_least(numbers(of, view))]


def last(of: Numbers) -> Callable[[View], np.ndarray]:
    """The last finite of numbers `[seed, x]` along x: `[seed]`."""

    def found(view: View) -> np.ndarray:
        values = numbers(of, view)
        back = np.argmax(np.isfinite(values)[:, ::-1], axis=-1)
        return _taken(values, values.shape[-1] - 1 - back)

    return found


def ratio(over: Numbers, under: Numbers) -> Callable[[View], np.ndarray]:
    """Ratios; NaN where there is nothing to divide by."""

    def found(view: View) -> np.ndarray:
        a, b = numbers(over, view), numbers(under, view)
        return np.divide(a, b, out=np.full(np.shape(a), np.nan), where=b != 0)

    return found


def _least(values: np.ndarray) -> np.ndarray:
    return np.argmin(np.where(np.isnan(values), np.inf, values), axis=-1)


def _taken(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    return np.take_along_axis(values, places[:, None], axis=-1)[:, 0]
