"""Path adjoints against autodiff of whole paths, finite differences and the exact LQ values.

Statistical tests take 5 standard errors: about 1e-6 of false alarm for each number compared.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.ddpm.chain import control_of
from fineq.errors import InputError
from fineq.pift import lq
from fineq.pift.parametric.features import Scale
from fineq.pift.parametric.networks import network
from fineq.pift.parametric.paths import (
    Paths,
    Zero,
    adjoints,
    costate_of,
    policy_of,
    returns,
    rollout,
    simulate,
    targets,
)
from fineq.pift.problem import AffineMean, ScoreMean
from tests.pift.parametric.common import diffusion, general, optimal, suboptimal

SCORES = 5.0


def a_network(problem):
    """A costate that is not linear, with a last layer that is not zero."""
    T, d = problem.num_steps, problem.d
    net = network(jax.random.key(3), Scale(jnp.zeros((T, d)), jnp.ones((T, d))), width=8)
    leaves, tree = jax.tree.flatten(net.variables)
    keys = jax.random.split(jax.random.key(4), len(leaves))
    moved = [x + 0.3 * jax.random.normal(k, x.shape) for k, x in zip(keys, leaves, strict=True)]
    return net.holding(tree.unflatten(moved))


def perturbed_return(problem, costate, y0, z, shifts, martingale):
    """The return of one path whose states Y_1..Y_T are shifted, step by step in Python."""
    y, total = y0, 0.0
    for t in range(problem.num_steps):
        S, noise = problem.chain.covariances()[t], problem.chain.noise(t, z[t])
        mean = problem.chain.mean(t, y) + S @ costate(t, y) / problem.betas[t]
        apart = mean - problem.chain.mean(t, y)
        total -= problem.betas[t] * 0.5 * apart @ jnp.linalg.solve(S, apart)
        if problem.running is not None:
            total += problem.running(t, y)
        if martingale:
            total -= costate(t, y) @ noise
        y = mean + noise + shifts[t]
    return total + problem.reward(y)


@pytest.mark.parametrize("make", [pytest.param(diffusion, marks=pytest.mark.slow), general])
@pytest.mark.parametrize(("target", "martingale"), [("raw", False), ("quiet", True)])
def test_adjoints_are_the_derivative_of_a_path_by_its_states(make, target, martingale):
    problem = make(5)
    costate = a_network(problem)
    paths = simulate(jax.random.key(0), problem, costate, 2)
    z = jax.random.normal(jax.random.key(1), (5, 2, 2))
    paths = rollout(problem, costate, paths.states[0], z)
    found = adjoints(problem, costate, paths, target)
    for n in range(2):

        def total(shifts, n=n):
            return perturbed_return(
                problem, costate, paths.states[0, n], z[:, n], shifts, martingale
            )

        zero = jnp.zeros((5, 2))
        # The whole return depends on Y_{t+1} through the return-to-go alone.
        np.testing.assert_allclose(found[:, n], jax.grad(total)(zero), rtol=1e-10, atol=1e-12)
        # Central differences: error h² of third derivatives of order 1-10, and rounding 1e-16/h.
        h, which = 1e-5, zero.at[1, 0].set(1.0)
        slope = (total(h * which) - total(-h * which)) / (2 * h)
        np.testing.assert_allclose(found[1, n, 0], slope, rtol=1e-7, atol=1e-7)


@pytest.mark.slow
def test_returns_are_those_of_the_stepwise_loop():
    problem = general()
    costate = a_network(problem)
    z = jax.random.normal(jax.random.key(1), (5, 3, 2))
    paths = rollout(problem, costate, jax.random.normal(jax.random.key(2), (3, 2)), z)
    for n in range(3):
        shifts = jnp.zeros((5, 2))
        expected = perturbed_return(problem, costate, paths.states[0, n], z[:, n], shifts, False)
        np.testing.assert_allclose(returns(problem, paths)[n], expected, rtol=1e-12)


@pytest.mark.slow
def test_mean_return_is_the_exact_objective():
    problem = general()
    policy, costate = suboptimal(problem)
    arrays = lq.linear_quadratic(problem)
    exact = lq.objective(arrays, policy).objective
    gained = returns(problem, simulate(jax.random.key(0), problem, costate, 20_000))
    assert abs(jnp.mean(gained) - exact) < SCORES * jnp.std(gained) / np.sqrt(20_000)


@pytest.mark.slow
@pytest.mark.parametrize("make", [pytest.param(diffusion, marks=pytest.mark.slow), general])
@pytest.mark.parametrize("target", ["raw", "quiet", "landing"])
def test_targets_are_unbiased_for_the_value_gradient(make, target):
    """Off the optimum: the error of each target has mean zero, alone and times the state."""
    problem = make()
    policy, costate = suboptimal(problem)
    value = lq.evaluate(lq.linear_quadratic(problem), policy)
    paths = simulate(jax.random.key(0), problem, costate, 20_000)
    means = jnp.einsum("tij,tnj->tni", policy.F, paths.states[:-1]) + policy.f[:, None]
    exact = jnp.einsum("tij,tnj->tni", value.P[1:], means) + value.p[1:, None]
    error = targets(problem, costate, paths, target) - exact
    for weighed in (error, error * paths.states[:-1], error * paths.states[:-1, :, ::-1]):
        spread = jnp.std(weighed, axis=1) / np.sqrt(20_000)
        assert jnp.all(jnp.abs(jnp.mean(weighed, axis=1)) < SCORES * spread + 1e-12)


@pytest.mark.slow
def test_lean_targets_are_unbiased_at_the_optimum_and_biased_elsewhere():
    problem = general()
    for costate, right in ((optimal(problem), True), (suboptimal(problem)[1], False)):
        policy, _ = suboptimal(problem)
        if right:
            policy = lq.optimum(lq.linear_quadratic(problem)).policy
        value = lq.evaluate(lq.linear_quadratic(problem), policy)
        paths = simulate(jax.random.key(0), problem, costate, 50_000)
        means = jnp.einsum("tij,tnj->tni", policy.F, paths.states[:-1]) + policy.f[:, None]
        exact = jnp.einsum("tij,tnj->tni", value.P[1:], means) + value.p[1:, None]
        error = targets(problem, costate, paths, "lean") - exact
        scores = jnp.abs(jnp.mean(error, axis=1)) * np.sqrt(50_000) / jnp.std(error, axis=1)
        assert bool(jnp.all(scores < SCORES)) == right


@pytest.mark.parametrize("make", [pytest.param(diffusion, marks=pytest.mark.slow), general])
def test_without_noise_adjoints_are_the_value_gradient(make):
    """∇V is affine in LQ problems, so a path without noise carries it exactly."""
    problem = make()
    policy, costate = suboptimal(problem)
    value = lq.evaluate(lq.linear_quadratic(problem), policy)
    y0 = jax.random.normal(jax.random.key(0), (4, 2))
    paths = rollout(problem, costate, y0, jnp.zeros((problem.num_steps, 4, 2)))
    exact = jnp.einsum("tij,tnj->tni", value.P[1:], paths.states[1:]) + value.p[1:, None]
    for target in ("raw", "quiet"):
        found = adjoints(problem, costate, paths, target)
        np.testing.assert_allclose(found, exact, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("make", [pytest.param(diffusion, marks=pytest.mark.slow), general])
def test_at_an_lq_optimum_landing_targets_carry_no_noise(make):
    problem = make()
    costate = optimal(problem)
    paths = simulate(jax.random.key(0), problem, costate, 8)
    found = {k: targets(problem, costate, paths, k) - paths.costates for k in ("raw", "landing")}
    assert jnp.max(jnp.abs(found["landing"])) < 1e-10  # rounding, over at most 8 steps
    assert jnp.max(jnp.abs(found["raw"])) > 0.1


@pytest.mark.slow
def test_the_gradient_of_the_objective_is_that_of_the_regression_on_raw_targets():
    problem = general()
    costate = a_network(problem)
    y0 = jax.random.normal(jax.random.key(0), (6, 2))
    z = jax.random.normal(jax.random.key(1), (5, 6, 2))
    paths = rollout(problem, costate, y0, z)
    wanted = targets(problem, costate, paths, "raw")

    def negative(variables):
        other = costate.holding(variables)
        return -jnp.mean(returns(problem, rollout(problem, other, y0, z)))

    def regression(variables):
        other, total = costate.holding(variables), 0.0
        for t in range(5):
            apart = jax.vmap(lambda y, t=t: other(t, y))(paths.states[t]) - wanted[t]
            S = problem.chain.covariances()[t] / problem.betas[t]
            total += 0.5 * jnp.mean(jnp.einsum("ni,ij,nj->n", apart, S, apart))
        return total

    one, two = jax.grad(negative)(costate.variables), jax.grad(regression)(costate.variables)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11), one, two)


@pytest.mark.slow
def test_costates_and_means_are_inverse_and_give_the_control_of_a_diffusion_model():
    problem = general()
    policy, costate = suboptimal(problem)
    y = jnp.array([0.3, -1.2])
    mean = AffineMean(*policy)
    again = policy_of(problem, costate)
    for t in range(5):
        np.testing.assert_allclose(again(t, y), mean(t, y), rtol=1e-12)

    from fineq.ddpm.laws import mixture
    from fineq.ddpm.schedules import linear_rate, make_schedule
    from fineq.pift.problem import ddpm_chain, make_problem
    from fineq.pift.rewards import linear

    schedule = make_schedule(linear_rate(6))
    law = mixture([0.5, 0.5], [[-1.0], [1.0]], np.full((2, 1, 1), 0.3))
    tuned = make_problem(ddpm_chain(law, schedule), linear([1.0]), 2.0)
    net, y = a_network(tuned), jnp.array([0.4])
    assert isinstance(tuned.chain.mean, ScoreMean)
    for t in range(6):
        alpha, sigma = schedule.alphas[t], schedule.sigmas[t]
        control = control_of(policy_of(tuned, net)(t, y), alpha, y)
        share = jnp.sqrt(alpha) * sigma**2 / ((1 - alpha) * 2.0)
        expected = tuned.chain.mean.score(t, y) + share * net(t, y)
        # The inverse divides a difference of numbers of order 1 by 1 - α >= 0.1.
        np.testing.assert_allclose(control, expected, rtol=1e-10, atol=1e-12)
    back = costate_of(tuned, policy_of(tuned, net))
    np.testing.assert_allclose(back(3, y), net(3, y), rtol=1e-9)


def test_bad_input_is_named():
    problem = general()
    with pytest.raises(InputError, match="num_paths must be at least 1, got 0"):
        simulate(jax.random.key(0), problem, Zero(), 0)
    paths = simulate(jax.random.key(0), problem, Zero(), 2)
    with pytest.raises(InputError, match="target must be one of raw, quiet, lean, landing"):
        targets(problem, Zero(), paths, "exact")


@pytest.mark.slow
def test_one_path_does_not_depend_on_the_others():
    problem = general()
    _, costate = suboptimal(problem)
    paths = simulate(jax.random.key(0), problem, costate, 3)
    one = Paths(*(x[:, 1:2] for x in paths))
    both = (targets(problem, costate, p, "quiet") for p in (paths, one))
    many, alone = both
    np.testing.assert_allclose(many[:, 1:2], alone, rtol=1e-12, atol=1e-13)
