"""Tilted laws and the continuous-time optimum against quadrature, autodiff, Monte Carlo and LQ."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.ddpm import schedules
from fineq.ddpm.laws import gaussian, mixture, points
from fineq.ddpm.schedules import make_schedule
from fineq.errors import InputError
from fineq.pift import lq, rewards, tilting
from fineq.pift.problem import ddpm_chain, make_problem

ONE = mixture([0.3, 0.7], [[-1.5], [1.2]], [[[0.25]], [[0.4]]])
rng = np.random.default_rng(0)
ROOT = rng.normal(size=(2, 3, 3))
THREE = mixture([0.4, 0.6], rng.normal(size=(2, 3)), ROOT @ ROOT.swapaxes(1, 2) + 0.3 * np.eye(3))
REWARDS = {
    "linear": rewards.linear([0.8]),
    "concave": rewards.quadratic([[-2.0]], [0.5]),
    "convex": rewards.quadratic([[0.7]], [-0.3]),
}
BETA = 0.9
# Trapezoids on smooth densities that vanish at the ends: exact to rounding at this spacing.
X = np.linspace(-14, 14, 4001)
H = X[1] - X[0]


def on_grid(f):
    return np.asarray(jax.vmap(lambda x: f(x[None]))(X))


@pytest.mark.parametrize("reward", REWARDS.values(), ids=REWARDS.keys())
def test_tilt_against_quadrature(reward):
    found = tilting.tilt(ONE, reward, BETA)
    weighed = on_grid(ONE.log_density) + on_grid(reward) / BETA
    mass = np.sum(np.exp(weighed)) * H
    assert found.well_posed
    np.testing.assert_allclose(found.log_mass, np.log(mass), rtol=1e-11)
    density = on_grid(found.law.log_density)
    near = np.abs(X) < 6  # beyond it densities are below 1e-30 and exponents lose digits
    np.testing.assert_allclose(density[near], (weighed - np.log(mass))[near], atol=1e-10)


def quadratic3(seed, sign):
    root = np.random.default_rng(seed).normal(size=(3, 3))
    P = sign * 0.05 * root @ root.T
    return rewards.Quadratic(jnp.asarray(P), jnp.array([0.3, -0.5, 0.2]), jnp.asarray(0.4))


@pytest.mark.parametrize("sign", [-1, 1])
def test_tilted_density_in_three_dimensions(sign):
    reward = quadratic3(1, sign)
    found = tilting.tilt(THREE, reward, 2.5)
    assert found.well_posed
    x = np.random.default_rng(2).normal(size=(30, 3)) * 2
    truth = jax.vmap(lambda x: THREE.log_density(x) + reward(x) / 2.5)(x) - found.log_mass
    np.testing.assert_allclose(jax.vmap(found.law.log_density)(x), truth, rtol=1e-11, atol=1e-11)
    assert float(jax.nn.logsumexp(found.law.log_weights)) == pytest.approx(0, abs=1e-14)


def test_tilted_mass_by_monte_carlo():
    reward, num = quadratic3(1, -1), 40_000
    x = THREE.sample(jax.random.key(0), num)
    weights = np.exp(np.asarray(jax.vmap(reward)(x)) / 2.5)
    mass = float(jnp.exp(tilting.tilt(THREE, reward, 2.5).log_mass))
    assert abs(weights.mean() - mass) < 5 * weights.std() / np.sqrt(num)


def test_tilt_reports_where_it_does_not_exist():
    reward = rewards.quadratic(np.diag([0.0, 2.0]))
    law = gaussian([0.0, 0.0], np.diag([9.0, 0.5]))
    bad = tilting.tilt(law, reward, 0.999)
    assert not bad.well_posed
    assert bad.threshold == pytest.approx(1.0, rel=1e-14)
    np.testing.assert_allclose(np.abs(bad.direction), [0, 1], atol=1e-12)
    assert bad.log_mass == np.inf
    assert np.all(np.isnan(bad.law.components.mean))
    good = tilting.tilt(law, reward, 1.001)
    assert good.well_posed
    assert np.isfinite(good.log_mass)
    # Concave rewards can always be tilted by.
    assert tilting.tilt(law, rewards.quadratic(-np.eye(2)), 1e-3).threshold == 0


@pytest.mark.parametrize("bar", [0.01, 0.5, 0.95])
def test_posterior_is_bayes_formula(bar):
    """p(x | y) p_t(y) = p(x) N(y; √ᾱ x, 1 - ᾱ), everywhere."""
    y = jnp.array([0.4, -1.0, 0.2])
    x = np.random.default_rng(3).normal(size=(20, 3))
    noise = -0.5 * np.sum((np.asarray(y) - np.sqrt(bar) * x) ** 2, -1) / (1 - bar)
    noise -= 1.5 * np.log(2 * np.pi * (1 - bar))
    truth = jax.vmap(THREE.log_density)(x) + noise - THREE.noised(bar).log_density(y)
    found = jax.vmap(tilting.posterior(THREE, bar, y).log_density)(x)
    np.testing.assert_allclose(found, truth, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("reward", REWARDS.values(), ids=REWARDS.keys())
@pytest.mark.parametrize("bar", [0.05, 0.8])
def test_value_is_the_smoothed_exponential(reward, bar):
    y = 0.6
    log_posterior = on_grid(ONE.log_density) - 0.5 * (y - np.sqrt(bar) * X) ** 2 / (1 - bar)
    weights = np.exp(log_posterior)
    truth = BETA * np.log(np.sum(weights * np.exp(on_grid(reward) / BETA)) / np.sum(weights))
    found = tilting.value(ONE, reward, BETA, bar, jnp.array([y]))
    np.testing.assert_allclose(found, truth, rtol=1e-11)


@pytest.mark.parametrize("bar", [0.02, 0.5, 0.97])
def test_control_is_the_score_plus_the_gradient_of_the_value(bar):
    reward, beta = quadratic3(1, 1), 2.5
    y = jnp.array([0.4, -1.0, 0.2])
    gradient = jax.grad(lambda y: tilting.value(THREE, reward, beta, bar, y))(y)
    truth = THREE.noised(bar).score(y) + gradient / beta
    found = tilting.control(THREE, reward, beta, bar, y)
    np.testing.assert_allclose(found, truth, rtol=1e-10, atol=1e-10)
    # Noising the tilted law is tilting the noised law by e^{V/β}: u* is the score of both.
    other = tilting.tilt(THREE, reward, beta).law.noised(bar).score(y)
    np.testing.assert_allclose(found, other, rtol=1e-10, atol=1e-10)


def test_threshold_is_the_conditional_covariance_times_the_curvature():
    covariance = np.array([[1.5, 0.4], [0.4, 0.6]])
    law, bar = gaussian([0.3, 0.1], covariance), 0.3
    P = np.array([[0.5, 0.2], [0.2, 1.0]])
    given = np.linalg.inv(np.linalg.inv(covariance) + bar / (1 - bar) * np.eye(2))
    truth = np.max(np.linalg.eigvals(given @ P).real)
    found = float(tilting.threshold(law, rewards.quadratic(P), bar))
    assert found == pytest.approx(truth, rel=1e-12)
    y = jnp.array([0.2, -0.5])
    for factor, finite in ((0.999, False), (1.001, True)):
        got = tilting.value(law, rewards.quadratic(P), factor * truth, bar, y)
        assert bool(np.isfinite(got)) == finite


@pytest.mark.parametrize("variance", ["posterior", "forward"])
def test_chain_is_well_posed_exactly_above_its_conditional_threshold(variance):
    """The Bellman recursion and Cov(Y_T | Y_0), which knows nothing of it, agree on the limit."""
    law = gaussian([0.3, 0.1], [[1.5, 0.4], [0.4, 0.6]])
    chain = ddpm_chain(law, make_schedule(schedules.linear(12, 0.05, 0.5), variance))
    reward = rewards.quadratic([[0.5, 0.2], [0.2, 1.0]])
    given = tilting.chain_bridge(*chain.mean, chain.covariances()).C
    limit = np.max(np.linalg.eigvals(np.asarray(given @ reward.P)).real)
    for factor in (1 - 1e-6, 1 + 1e-6):
        problem = make_problem(chain, reward, factor * limit)
        found = lq.optimum(lq.linear_quadratic(problem))
        assert bool(found.well_posed) == (factor > 1)


def test_bridges_agree_with_points_and_with_each_other():
    law = gaussian([0.3, 0.1], [[1.5, 0.4], [0.4, 0.6]])
    reward, beta, bar = rewards.quadratic([[0.2, 0.1], [0.1, -0.4]], [1.0, 0.0]), 0.8, 0.2
    bridge = tilting.bridge(law, bar)
    tilted, start = tilting.tilt_bridge(bridge, reward, beta)
    y = jnp.array([0.5, -0.7])
    point = tilting.tilt(tilting.posterior(law, bar, y), reward, beta)
    mean, covariance = point.law.moments()
    np.testing.assert_allclose(start(y), beta * point.log_mass, rtol=1e-12)
    np.testing.assert_allclose(tilted.M @ y + tilted.m, mean, rtol=1e-12)
    np.testing.assert_allclose(tilted.C, covariance, rtol=1e-12)
    assert np.all(np.isnan(tilting.tilt_bridge(bridge, rewards.quadratic(np.eye(2)), 0.1)[0].M))
    # From the noised law of the data, the bridge leads to the data.
    found = bridge.marginal(law.noised(bar))
    np.testing.assert_allclose(found[0], law.mean, rtol=1e-12)
    np.testing.assert_allclose(found[1], law.moments()[1], rtol=1e-12)


LINEAR = REWARDS["linear"]


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: tilting.tilt(points(np.ones((3, 1))), LINEAR, 1.0), "Gaussians .*got Points"),
        (lambda: tilting.tilt(ONE, lambda y: y[0], 1.0), "quadratic rewards, got function"),
        (
            lambda: tilting.tilt(ONE, rewards.linear([1.0, 2.0]), 1.0),
            r"the reward's p must have shape \(1,\), got \(2,\)",
        ),
        (lambda: tilting.tilt(ONE, LINEAR, np.ones(2)), r"beta must have 0 axes"),
        (lambda: tilting.posterior(ONE, 0.5, np.ones(2)), r"y must have shape \(1,\), got \(2,\)"),
        (
            lambda: tilting.chain_bridge(np.ones((3, 2, 2)), np.ones((2, 2)), np.ones((3, 2, 2))),
            r"A must have shape \(2, 2, 2\), got \(3, 2, 2\)",
        ),
    ],
)
def test_what_has_no_closed_form_is_said(ask, message):
    with pytest.raises(InputError, match=message):
        ask()
