"""Certificates: exact bounds against quadrature and the optimum, estimates against exact bounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.ddpm import schedules
from fineq.ddpm.laws import gaussian, mixture
from fineq.ddpm.schedules import make_schedule
from fineq.errors import InputError
from fineq.pift import lq, rewards
from fineq.pift.certificates import affine_bounds, certificate
from fineq.pift.problem import AffineMean, ddpm_chain, make_problem

LAW = gaussian([0.5, -0.3], [[1.2, 0.3], [0.3, 0.5]])
REWARD = rewards.quadratic([[-0.5, 0.1], [0.1, 0.3]], [1.0, 0.0])


def problem(T=10, beta=1.0, reward=REWARD, law=LAW, end=0.3, running=None):
    chain = ddpm_chain(law, make_schedule(schedules.constant_rate(T, end), "forward"))
    return make_problem(chain, reward, beta, running)


def optimum(instance):
    arrays = lq.linear_quadratic(instance)
    policy = lq.optimum(arrays).policy
    value = lq.objective(arrays, policy).objective
    return AffineMean(*policy), float(value)


@pytest.mark.slow
def test_exact_bounds_against_quadrature():
    law = gaussian([0.4], [[0.6]])
    instance = problem(3, 0.7, rewards.quadratic([[-0.8]], [1.0]), law)
    x = np.linspace(-10, 10, 1001)
    # The law of Y_T given Y_0 on a grid, one transition after the other: rows are starts.
    given = np.eye(x.size) / (x[1] - x[0])
    for t in range(3):
        mean = x * float(instance.chain.mean.A[t, 0, 0]) + float(instance.chain.mean.b[t, 0])
        sigma = float(instance.chain.sigmas[t])
        z = (x[None] - mean[:, None]) / sigma
        given = given @ np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi) / sigma * (x[1] - x[0])
    r = np.asarray(jax.vmap(lambda x: instance.reward(x[None]))(x))
    masses = given @ np.exp(r / 0.7) * (x[1] - x[0])
    start = np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi) * (x[1] - x[0])
    found = affine_bounds(instance)
    # Trapezoids on densities that vanish at the ends are exact; kernels reach over the ends only
    # where the start has density below 1e-15.
    np.testing.assert_allclose(found.marginal, 0.7 * np.log(start @ masses), rtol=1e-9)
    near = np.abs(x) < 8
    np.testing.assert_allclose(
        found.conditional, 0.7 * (start[near] @ np.log(masses[near])), rtol=1e-9
    )


@pytest.mark.parametrize("beta", [0.5, 1.0, 10.0])
def test_optimum_conditional_and_marginal_are_in_order(beta):
    instance = problem(beta=beta)
    _, best = optimum(instance)
    found = affine_bounds(instance)
    assert best < found.conditional < found.marginal


@pytest.mark.slow
def test_optimum_reaches_the_conditional_bound_as_steps_shrink():
    gaps = []
    for T in (50, 100, 200):
        instance = problem(T)
        gaps.append(float(affine_bounds(instance).conditional) - optimum(instance)[1])
    # First order in the step size.
    assert gaps[0] / gaps[1] == pytest.approx(2, rel=0.1)
    assert gaps[1] / gaps[2] == pytest.approx(2, rel=0.05)


def test_a_schedule_of_prices_is_bounded_by_its_least():
    betas = jnp.linspace(0.8, 3.0, 10)
    instance = problem(beta=betas)
    found, least = affine_bounds(instance), affine_bounds(problem(beta=0.8))
    assert found.marginal == least.marginal
    assert optimum(instance)[1] < found.conditional


def test_bounds_are_infinite_where_not_integrable():
    # Data variance 1.2 against curvature 1/β: integrable given Y_0 before it is marginally.
    law, reward = gaussian([0.0], [[1.2]]), rewards.quadratic([[1.0]])
    found = affine_bounds(problem(50, 1.0, reward, law, end=0.3))
    assert found.marginal == np.inf
    assert np.isfinite(found.conditional)
    assert affine_bounds(problem(50, 0.5, reward, law)).conditional == np.inf


def test_estimates_agree_with_the_exact_numbers():
    instance = problem()
    policy, best = optimum(instance)
    exact = affine_bounds(instance)
    found = jax.jit(certificate, static_argnums=(3, 4))(
        jax.random.key(1), instance, policy, 32_768, 32
    )
    pairs = (
        (found.objective, best),
        (found.marginal, exact.marginal),
        (found.conditional, exact.conditional),
        (found.gap, exact.marginal - best),
    )
    for estimate, truth in pairs:
        # Five standard errors; half an interval is 1.96 of them.
        assert abs(estimate.value - truth) < 5 / 1.96 * (estimate.high - estimate.value)
        assert 0 < estimate.high - estimate.value < 0.1
    assert 32_768 / 20 < found.effective <= 32_768


@pytest.mark.slow
def test_intervals_cover_as_often_as_they_say():
    instance = problem(4)
    policy, best = optimum(instance)
    exact = float(affine_bounds(instance).marginal)
    keys = jax.random.split(jax.random.key(2), 300)
    found = jax.jit(jax.vmap(lambda key: certificate(key, instance, policy, 512, 2)))(keys)
    for estimate, truth in ((found.objective, best), (found.marginal, exact)):
        share = np.mean((estimate.low <= truth) & (truth <= estimate.high))
        # Binomial error of 300 trials, and two hundredths for skewed exponentials.
        assert abs(share - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 300) + 0.02


@pytest.mark.slow
def test_running_rewards_count():
    T = 4
    still = rewards.RunningQuadratic(jnp.zeros((T, 2, 2)), jnp.zeros((T, 2)), jnp.full(T, 0.5))
    key = jax.random.key(0)
    with_, without = (certificate(key, problem(T, running=f), None, 256, 4) for f in (still, None))
    for name in ("objective", "marginal", "conditional"):
        apart = getattr(with_, name).value - getattr(without, name).value
        assert apart == pytest.approx(T * 0.5, rel=1e-12)
    assert with_.gap.value == pytest.approx(float(without.gap.value), rel=1e-10)


@pytest.mark.slow
def test_prices_that_vary_bound_by_the_least_of_them():
    """E e^{R/β} is of the pre-trained chain, which no price changes."""
    key, prices = jax.random.key(0), jnp.array([2.0, 0.7, 1.0, 3.0])
    varied, least = (certificate(key, problem(4, beta), None, 64, 4) for beta in (prices, 0.7))
    assert varied.marginal == least.marginal
    assert varied.conditional == least.conditional


@pytest.mark.slow
def test_any_law_and_reward():
    law = mixture([0.5, 0.5], [[-1.5], [1.5]], [[[0.25]], [[0.25]]])
    wave = rewards.Wave(jnp.ones(1), jnp.asarray(1.0), jnp.asarray(0.5), jnp.asarray(0.3))
    instance = problem(10, 2.0, wave, law)
    found = certificate(jax.random.key(0), instance, None, 4096, 16)
    # The pre-trained policy gains nothing: Jensen's gap is strictly positive, in this order.
    assert found.objective.high < found.conditional.low
    assert found.gap.low > 0
    assert found.conditional.value < found.marginal.high


def test_bad_input():
    instance = problem(4)
    zeros = jnp.zeros((4, 2, 2))
    still = rewards.RunningQuadratic(zeros, zeros[0], zeros[:, 0, 0])
    two = mixture([0.5, 0.5], np.zeros((2, 2)), np.stack([np.eye(2)] * 2))
    with pytest.raises(InputError, match="inner must be at least 2, got 1"):
        certificate(jax.random.key(0), instance, None, 64, 1)
    with pytest.raises(InputError, match="num must be a multiple of inner = 16"):
        certificate(jax.random.key(0), instance, None, 100, 16)
    with pytest.raises(InputError, match="without running reward"):
        affine_bounds(problem(4, running=still))
    with pytest.raises(InputError, match="Gaussian law of Y_0"):
        affine_bounds(instance._replace(chain=instance.chain._replace(start=two)))
