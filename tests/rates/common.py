"""Generators, and bounds of what rounding and lifted ends do to a slope."""

import numpy as np
import pytest

EPS = np.finfo(float).eps


SEEDS = pytest.mark.parametrize("seed", range(5))


def rng_of(seed: int) -> np.random.Generator:
    return np.random.default_rng([7, seed])


def rounding(k: np.ndarray, slope: float) -> float:
    """Largest error of a slope from rounding of e and log e.

    Each y is off by eps (1 + |y|) or two; the weights of a least-squares slope add up to 3 / length
    on an even grid, and to less than 8 / length on the geometric one (only its end weighs).
    """
    return 8 / (k[-1] - k[0]) * 2 * EPS * (1 + abs(slope) * k[-1])


def end_bias(lift: float, fall: float) -> float:
    """Relative error of a slope when the last error is lifted by the relative amount `lift`.

    The lift fades like exp(-|slope| distance), so it adds up to lift / |slope|, with weight at most
    6 / length^2 an iteration: relative to the slope 6 lift / (|slope| length)^2.
    """
    return 6 * lift / fall**2
