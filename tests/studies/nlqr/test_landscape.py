"""The study landscape at a tiny budget: identities between its arrays, and its order estimate."""

import numpy as np
import pytest

from fineq.claims import Measured
from fineq.studies.nlqr import landscape
from fineq.studies.nlqr.config import NlqrConfig
from fineq.studies.nlqr.instances import Given
from fineq.studies.nlqr.landscape_tables import extreme, outside
from fineq.studies.statistics import limiting_order
from fineq.sweep.stages import Stages

LIPSCHITZ = [0.1, 0.2, 0.6]


@pytest.fixture(scope="module")
def result():
    config = NlqrConfig(study="landscape", seeds=2)
    config.system.n, config.system.p = 2, 1
    config.law.radius = 1.0
    config.reference.tail, config.reference.max_horizon = 1e-9, 128
    config.landscape.multiples = [0.0, 1.0, 3.0]
    config.landscape.num_seeds, config.landscape.num_values = 1, 2
    config.sweep = {"system": {"lipschitz": LIPSCHITZ}}
    return landscape.run(config, Given(), Stages())


def values(result, name):
    return result.arrays[name].values


@pytest.mark.slow
def test_every_optimum_is_found(result):
    assert result.status == "complete"
    assert np.all(np.isfinite(values(result, "mu")))
    assert np.all(values(result, "mu") < values(result, "h"))


@pytest.mark.slow
def test_the_excitation_is_that_of_the_circle(result):
    """σ_x from E ψψ' over 4000 angles: the integrand is smooth and periodic, so exact to rounding.

    The study's rule is exact for degree 7; sin x = x - x³/6 + ..., so E sin² is cut at degree 8,
    by less than 2/8! + 2 · 1/(6 · 5!) = 0.3% of ℓ² at |x0| = 1, and σ_x = O(1e-3) ℓ² accordingly.
    """
    angles = 2 * np.pi * np.arange(4000) / 4000
    x = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    order = list(result.arrays["sigma_x"].dims).index("lipschitz")
    found = np.moveaxis(values(result, "sigma_x"), order, 0)
    for ell, row in zip(LIPSCHITZ, found, strict=True):
        regressors = np.concatenate([x, ell * np.sin(x)], axis=1)
        truth = np.linalg.eigvalsh(regressors.T @ regressors / 4000)[0]
        np.testing.assert_allclose(row, truth, rtol=0.05)


@pytest.mark.slow
def test_parts_and_bounds_fit_together(result):
    whole = np.hypot(values(result, "K1_part"), values(result, "K2_part"))
    np.testing.assert_allclose(values(result, "distance"), whole, rtol=1e-12)
    # Q = R = I: the theorem's unit of cost is 1.
    bound = values(result, "sigma_x") * values(result, "sigma")
    np.testing.assert_allclose(values(result, "lower_bound"), bound, rtol=1e-12)
    ratio = values(result, "h") / values(result, "mu")
    np.testing.assert_allclose(values(result, "condition"), ratio, rtol=1e-12)
    assert np.all(values(result, "gap") > 0)


@pytest.mark.slow
def test_balls_are_nested_and_only_few_are_searched(result):
    mu, h = values(result, "mu_found"), values(result, "h_found")
    searched = np.isfinite(mu[..., 0])
    assert searched.sum() == 2
    assert np.all(np.diff(mu[searched], axis=-1) <= 0)
    assert np.all(np.diff(h[searched], axis=-1) >= 0)


@pytest.mark.slow
def test_claims_of_balls_are_sampled(result):
    statements = {claim.statement: claim for claim in result.claims}
    ball = next(claim for text, claim in statements.items() if "No point" in text)
    assert ball.sampled
    # |x0| = 1 and ℓ < 1: σ_x <= ℓ²/d makes the theorem's ℓ far smaller than ℓ.
    off = values(result, "off_lipschitz")
    assert np.all(off > 0)
    # So that what is found refutes nothing.
    mu = values(result, "mu_found")[..., -1]
    lost = bool(np.any(mu[np.isfinite(mu)] <= 0))
    assert ball.verdict == ("inconclusive" if lost else "not refuted")
    words = outside(off, np.ones(off.shape, bool))
    assert f"0 of {off.size} members meet the theorem's condition" in words


def test_limiting_order_removes_the_first_correction():
    """y = x^p (1 + x) has local exponents p + x/(1 + x): linear up to x² < 0.1, p in the limit."""
    x = np.array([0.03, 0.06, 0.12, 0.25])
    for order in (0.0, 1.0, 2.0):
        y = np.stack([c * x**order * (1 + x) for c in (1.0, 2.0, 7.0)])
        assert limiting_order(x, y).value == pytest.approx(order, abs=0.02)
    pure = limiting_order(x, np.stack([x**1.5] * 2))
    np.testing.assert_allclose((pure.low, pure.value, pure.high), 1.5, atol=1e-12)


def test_seeds_without_a_value_do_not_enter_the_order():
    x = np.array([0.1, 0.2, 0.3])
    y = np.stack([x, np.full(3, np.nan), 3 * x])
    assert limiting_order(x, y).num_values == 2


def test_only_members_within_the_theorem_refute_it():
    off = np.array([1.0, -0.1])
    assert outside(off, np.array([False, True])) == ""
    assert "one member, none of which meets" in outside(off, np.array([True, False]))
    assert outside(off, np.array([False, False])) == ""


def test_extremes_are_exact_numbers():
    values = np.array([3.0, np.nan, 1.0, 2.0])
    assert extreme(np.min, values) == Measured.exact(1.0)
    assert extreme(np.max, values) == Measured.exact(3.0)


@pytest.mark.slow
def test_without_an_isolated_optimum_what_needs_none_is_still_told():
    """φ = 0: gains on φ act on nothing, so that σ_x = 0 and the cost is least on a whole plane."""
    config = NlqrConfig(study="landscape", seeds=1)
    config.kernel.name = "zero"
    config.system.n, config.system.p = 2, 1
    config.reference.tail, config.reference.max_horizon = 1e-9, 128
    config.landscape.num_seeds, config.landscape.num_values = 1, 2
    found = landscape.run(config, Given(), Stages())
    assert found.status == "complete"
    assert "K* is not isolated" in found.notes["minimum"]
    assert np.all(np.isnan(values(found, "mu")))
    assert np.all(values(found, "sigma_x") <= 64 * np.finfo(float).eps)
    # Q = R = I: σ = λ_min(I + B′B) is at least 1.
    assert np.all(values(found, "sigma") >= 1)
