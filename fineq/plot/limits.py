"""Which part of an axis values need, as plain functions of the values."""

import numpy as np

_MARGIN = 0.04
_LARGEST = np.finfo(float).max / 8  # of a linear axis, whose length must not overflow


def lone(values: np.ndarray) -> np.ndarray:
    """Return where a value `[X]` has no finite neighbour, so that a line would not show it."""
    known = np.concatenate([[False], np.isfinite(values), [False]])
    return known[1:-1] & ~known[:-2] & ~known[2:]


def log_limits(values: np.ndarray, cap: float = np.inf) -> tuple[float, float]:
    """Return limits of a logarithmic axis around the positive finite values below `cap`."""
    shown = values[np.isfinite(values) & (values > 0)]
    if not shown.size:
        return 0.1, 1.0
    low, high = float(shown.min()), min(float(shown.max()), max(cap, float(shown.min())))
    pad = max(ratio(low, high, _MARGIN), 1.3 if high > low else 5.0)
    # Matplotlib's ticks, up to nine on an axis, begin and end beyond it: they must not overflow.
    top = min(high * pad, 10 ** (306 - np.log10(ratio(low, high, 1 / 8))))
    return max(min(low / pad, top / 10), np.finfo(float).tiny), top


def ratio(low: float, high: float, power: float) -> float:
    """Return `(high / low)^power`, where the quotient itself may overflow."""
    with np.errstate(over="ignore"):
        return float(np.exp(power * (np.log(high) - np.log(low))))


def linear_limits(values: np.ndarray) -> tuple[float, float]:
    """Return limits of a linear axis around the finite values."""
    shown = np.clip(values[np.isfinite(values)], -_LARGEST, _LARGEST)
    if not shown.size:
        return 0.0, 1.0
    low, high = float(shown.min()), float(shown.max())
    pad = 1.5 * _MARGIN * (high - low) or 0.1 * abs(high) or 1.0
    return low - pad, high + pad
