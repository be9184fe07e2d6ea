"""Gradient descent on a quadratic: the rates of the iterate and of the cost gap are both known."""

import numpy as np
import pytest

from fineq.rates import Rate, linear_rate

SEEDS = 12


def measured(condition: float, k: np.ndarray) -> tuple[Rate, Rate]:
    """Rates of |x| and x'Hx / 2 with step 1/h, six eigenvalues from mu = 1/condition to h = 1."""
    rng = np.random.default_rng(4)
    eigenvalues = np.geomspace(1 / condition, 1, 6)
    start = rng.choice([-1.0, 1.0], (SEEDS, 1, 6)) * rng.uniform(0.3, 1, (SEEDS, 1, 6))
    # Eigenvalue 1 is gone after one step; the last factor keeps 0^0 = 1 and no underflow.
    x = start * (1 - eigenvalues) ** np.minimum(k[:, None], 700 * condition)
    rounding = 1e-15 * rng.standard_normal(x.shape)
    gap = 0.5 * np.sum(eigenvalues * x**2, axis=2)
    gap += 1e-17 * np.abs(rng.standard_normal(gap.shape))
    return linear_rate(k, np.linalg.norm(x + rounding, axis=2)), linear_rate(k, gap)


@pytest.mark.parametrize("condition", [5.0, 50.0, 400.0])
@pytest.mark.parametrize("spacing", ["even", "geometric"])
def test_exponents_of_iterate_and_cost_gap(condition, spacing):
    last = 60 * condition
    k = (
        np.arange(0, last + 1, max(1, condition // 10))
        if spacing == "even"
        else np.unique(np.geomspace(1, last, 60) // 1)
    )
    iterate, gap = measured(condition, k)
    theory = -np.log1p(-1 / condition)
    for rate, exponent in ((iterate, theory), (gap, 2 * theory)):
        assert rate.verdict == "linear"
        assert rate.verdicts["linear"] >= SEEDS - 1
        # The window is the earliest whose slope is known to 0.1%, by its own estimate.
        assert rate.exponent.value == pytest.approx(exponent, rel=0.004)
        assert rate.exponent.low < exponent < rate.exponent.high
        assert rate.exponent.high - rate.exponent.low < 0.1 * exponent
        assert np.isfinite(rate.floor)


def test_a_run_too_short_for_its_condition_is_not_called_linear():
    """After 300 steps at condition 5000 the fast directions have not left yet."""
    for rate in measured(5000.0, np.arange(301.0)):
        assert rate.verdict == "sublinear"
