"""Simulated paths against exact moments, and what is kept of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.ddpm import schedules
from fineq.ddpm.laws import gaussian, mixture, standard_normal
from fineq.ddpm.schedules import make_schedule
from fineq.errors import InputError
from fineq.pift import lq, rewards
from fineq.pift.problem import AffineMean, Between, Chain, ddpm_chain, make_problem
from fineq.pift.simulation import simulate, simulate_from

NUM = 20_000
LAW = gaussian([0.5, -0.3], [[1.2, 0.3], [0.3, 0.5]])
REWARD = rewards.quadratic([[-0.5, 0.1], [0.1, 0.3]], [1.0, 0.0])


def running(T):
    P = jnp.broadcast_to(jnp.array([[-0.02, 0.01], [0.01, 0.03]]), (T, 2, 2))
    return rewards.RunningQuadratic(P, jnp.full((T, 2), 0.02), jnp.linspace(0.0, 0.1, T))


def problem(matrices=False):
    chain = ddpm_chain(LAW, make_schedule(schedules.linear(8, 0.1, 0.6)))
    if matrices:
        skew = jnp.array([[1.0, 0.4], [0.0, 0.7]])
        chain = chain._replace(sigmas=jnp.stack([s * skew for s in chain.sigmas]))
    return make_problem(chain, REWARD, jnp.linspace(0.8, 1.6, 8), running(8))


@pytest.mark.parametrize("matrices", [False, True])
def test_objective_and_its_parts_are_those_of_the_moments(matrices):
    instance = problem(matrices)
    arrays = lq.linear_quadratic(instance)
    policy = lq.optimum(arrays).policy
    truth = lq.objective(arrays, policy)
    found = jax.jit(simulate, static_argnums=3)(
        jax.random.key(0), instance, AffineMean(*policy), NUM
    )
    for draws, exact in (
        (found.objective, truth.objective),
        (found.terminal + found.running, truth.reward),
        (found.divergence, truth.divergence),
        (found.price, truth.price),
    ):
        draws = np.asarray(draws)
        assert abs(draws.mean() - exact) < 5 * draws.std() / np.sqrt(NUM)
    last, variances = np.asarray(found.last), np.diag(truth.covariance)
    assert np.all(np.abs(last.mean(0) - truth.mean) < 5 * np.sqrt(variances / NUM))
    spread = np.outer(variances, variances) + np.asarray(truth.covariance) ** 2
    assert np.all(np.abs(np.cov(last.T) - truth.covariance) < 5 * np.sqrt(spread / NUM))


def test_without_a_policy_nothing_is_paid():
    instance = problem()
    found = simulate(jax.random.key(0), instance, None, 50)
    same = simulate(jax.random.key(0), instance, instance.chain.mean, 50)
    np.testing.assert_array_equal(found.price, np.zeros(50))
    np.testing.assert_array_equal(same.price, np.zeros(50))
    np.testing.assert_allclose(found.last, same.last, rtol=1e-13)


@pytest.mark.slow
def test_paths_are_those_that_earned_the_numbers():
    instance = problem()
    policy = AffineMean(*lq.optimum(lq.linear_quadratic(instance)).policy)
    y0 = instance.chain.start.sample(jax.random.key(1), 6)
    found = simulate_from(jax.random.key(0), instance, policy, y0, keep=True)
    paths, f = found.paths, instance.running
    assert paths is not None
    assert f is not None
    assert paths.shape == (9, 6, 2)
    np.testing.assert_array_equal(paths[0], y0)
    np.testing.assert_array_equal(paths[-1], found.last)
    earned, price = np.zeros(6), np.zeros(6)
    for t in range(8):
        for i, y in enumerate(paths[t]):
            earned[i] += f(t, y)
            apart = policy(t, y) - instance.chain.mean(t, y)
            price[i] += instance.betas[t] * apart @ apart / (2 * instance.chain.sigmas[t] ** 2)
    # Sums of 8 terms in another order.
    np.testing.assert_allclose(found.running, earned, rtol=1e-12)
    np.testing.assert_allclose(found.price, price, rtol=1e-12)
    assert simulate_from(jax.random.key(0), instance, policy, y0).paths is None


def test_noise_of_each_step_is_its_own():
    chain = Chain(AffineMean(jnp.zeros((3, 2, 2)), jnp.zeros((3, 2))), jnp.ones(3), LAW)
    instance = make_problem(chain, rewards.linear([1.0, 0.0]), 1.0)
    steps = np.asarray(simulate(jax.random.key(0), instance, None, NUM, keep=True).paths)
    rows = np.moveaxis(steps[1:], 1, 2).reshape(6, NUM)
    # Six independent standard normals: all correlations within five standard errors of 0.
    apart = np.corrcoef(rows) - np.eye(6)
    assert np.abs(apart).max() < 5 / np.sqrt(NUM)


def test_mixtures_keep_their_dtype():
    law = mixture([0.5, 0.5], [[-1.0], [1.0]], [[[0.2]], [[0.2]]])
    instance = make_problem(
        ddpm_chain(law, make_schedule(schedules.linear(5, 0.1, 0.6))), rewards.linear([1.0]), 1.0
    )
    small = jax.tree.map(lambda x: x.astype(jnp.float32), instance)
    found = simulate(jax.random.key(0), small, None, 8)
    assert found.objective.dtype == jnp.float32
    assert simulate(jax.random.key(0), instance, None, 8).last.dtype == jnp.float64


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda p: simulate(jax.random.key(0), p, None, 0), "paths must be at least 1, got 0"),
        (lambda p: simulate(0, p, None, 4), "key must be one random key, .*, got 0"),
        (
            lambda p: simulate_from(jax.random.key(0), p, None, np.ones(2)),
            r"y0 must have 2 axes, got shape \(2,\)",
        ),
        (
            lambda p: simulate_from(jax.random.key(0), p, None, np.ones((4, 3))),
            r"y0 must have shape \(4, 2\), got \(4, 3\)",
        ),
        (
            lambda p: simulate(jax.random.key(0), p, lambda t, y: y[:1], 4),
            r"the policy must return a mean of shape \(2,\), got \(1,\)",
        ),
        (
            lambda p: simulate(jax.random.key(0), p, lambda y: y, 4),
            r"the policy failed on a time and a point of shape \(2,\)",
        ),
        (
            lambda p: ddpm_chain(LAW, make_schedule(schedules.cosine(3)), standard_normal(3)),
            "the start has d = 3, but the data have d = 2",
        ),
    ],
)
def test_bad_input(ask, message):
    with pytest.raises(InputError, match=message):
        ask(problem())


def test_between_two_chains_of_normal_laws_is_the_chain_of_the_mixed_coefficients():
    rng = np.random.default_rng(0)
    ends = [
        AffineMean(*(jnp.asarray(rng.normal(size=s)) for s in ((4, 2, 2), (4, 2)))) for _ in "ab"
    ]
    y = jnp.asarray(rng.normal(size=2))
    for part in (0.0, 0.25, 1.0):
        mixed = AffineMean(*(a + part * (b - a) for a, b in zip(*ends, strict=True)))
        np.testing.assert_allclose(Between(*ends, jnp.asarray(part))(2, y), mixed(2, y), rtol=1e-12)
