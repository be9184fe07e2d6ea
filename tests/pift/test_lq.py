"""Linear-quadratic fine-tuning against dynamic programming by hand, moments and optimisation."""

from operator import itemgetter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from chex import assert_trees_all_close

from fineq.ddpm.laws import gaussian, mixture
from fineq.ddpm.schedules import constant_rate, linear_rate, make_schedule
from fineq.errors import InputError
from fineq.pift import lq
from fineq.pift.problem import AffineMean, Chain, Problem, ddpm_chain, make_problem
from fineq.pift.rewards import Quadratic, RunningQuadratic, linear, quadratic

EPS = np.finfo(float).eps


def spd(rng: np.random.Generator, d: int) -> np.ndarray:
    M = rng.normal(size=(d, d))
    return M @ M.T / d + 0.2 * np.eye(d)


def ddpm(seed: int, d: int, T: int, curvature: float, beta: float) -> Problem:
    rng = np.random.default_rng(seed)
    chain = ddpm_chain(
        gaussian(rng.normal(size=d), spd(rng, d)), make_schedule(linear_rate(T, 0.1, 10.0))
    )
    return make_problem(chain, quadratic(curvature * spd(rng, d), rng.normal(size=d)), beta)


def general(seed: int, d: int = 3, T: int = 6) -> Problem:
    """Matrix noise, a schedule of β and a running reward: nothing symmetric or constant."""
    rng = np.random.default_rng(seed)
    mean = AffineMean(*(jnp.asarray(rng.normal(size=s) / 2) for s in ((T, d, d), (T, d))))
    sigmas = jnp.asarray(0.3 * rng.normal(size=(T, d, d)) + 0.5 * np.eye(d))
    running = RunningQuadratic(
        -0.1 * jnp.asarray([spd(rng, d) for _ in range(T)]),
        jnp.asarray(0.1 * rng.normal(size=(T, d))),
        jnp.asarray(rng.normal(size=T)),
    )
    start = gaussian(rng.normal(size=d), spd(rng, d))
    reward = Quadratic(-jnp.asarray(spd(rng, d)), jnp.asarray(rng.normal(size=d)), jnp.array(0.7))
    return make_problem(Chain(mean, sigmas, start), reward, 2.0 + np.arange(T), running)


PROBLEMS = [
    ddpm(0, 1, 20, -1.0, 1.0),
    ddpm(1, 4, 50, -0.5, 2.0),
    ddpm(2, 3, 10, 0.1, 2.0),
    general(3),
]


@pytest.mark.parametrize("problem", PROBLEMS)
def test_value_backward_is_the_objective_forward(problem: Problem):
    arrays = lq.linear_quadratic(problem)
    found = lq.optimum(arrays)
    for policy, value in (
        (found.policy, found.value),
        (lq.pretrained(arrays), lq.evaluate(arrays, lq.pretrained(arrays))),
    ):
        forward = lq.objective(arrays, policy)
        # T sums of d² products each way.
        size = abs(float(forward.reward)) + float(forward.price) + 1
        assert abs(lq.expected(arrays, value) - forward.objective) < 1e-12 * size


@pytest.mark.parametrize(
    "problem",
    [PROBLEMS[0], PROBLEMS[3], *(pytest.param(x, marks=pytest.mark.slow) for x in PROBLEMS[1:3])],
)
def test_no_policy_does_better(problem: Problem):
    """The gradient of J over all affine policies, by autodiff, vanishes at the optimum alone."""
    arrays = lq.linear_quadratic(problem)
    star = lq.optimum(arrays).policy

    def J(policy: lq.Policy) -> jax.Array:
        return lq.objective(arrays, policy).objective

    at_star, elsewhere = (
        max(float(jnp.abs(x).max()) for x in jax.grad(J)(policy))
        for policy in (star, lq.pretrained(arrays))
    )
    assert at_star < 1e-11 * elsewhere
    key = jax.random.key(0)
    for size in (1e-2, 1.0):
        moved = jax.tree.map(lambda x, s=size: x + s * jax.random.normal(key, x.shape), star)
        assert J(moved) < J(star)


def test_one_step_against_a_numerical_maximiser():
    problem = general(5, d=2, T=1)
    arrays = lq.linear_quadratic(problem)
    found = lq.optimum(arrays)
    S = np.asarray(problem.chain.covariances()[0])
    P, p, c = map(np.asarray, (problem.reward.P, problem.reward.p, problem.reward.c))
    y = np.array([0.3, -1.2])
    m0 = np.asarray(problem.chain.mean(0, jnp.asarray(y)))
    k = 2.0 * np.linalg.inv(S)

    def bracket(m: np.ndarray) -> float:
        smooth = 0.5 * m @ P @ m + p @ m + c + 0.5 * np.trace(P @ S)
        return smooth - 0.5 * (m - m0) @ k @ (m - m0)

    best = scipy.optimize.minimize(
        lambda m: -bracket(m),
        m0,
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-14, "maxiter": 4000},
    )
    value = jax.tree.map(lambda x: x[0], found.value)
    assert problem.running is not None
    running = problem.running(0, jnp.asarray(y))
    # A simplex in floats finds a maximum to √ε in its argument, to ε in its value.
    assert value(jnp.asarray(y)) - running == pytest.approx(-best.fun, abs=1e-11)
    np.testing.assert_allclose(found.policy.F[0] @ y + found.policy.f[0], best.x, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "problem", [PROBLEMS[0], *(pytest.param(x, marks=pytest.mark.slow) for x in PROBLEMS[1:])]
)
def test_all_ways_of_iterating_reach_the_optimum(problem: Problem):
    arrays = lq.linear_quadratic(problem)
    found = lq.optimum(arrays)
    scale = 1 + max(float(jnp.abs(x).max()) for x in found.policy)
    assert float(jnp.max(found.ratios)) < 0.9

    def close(policy: lq.Policy, tolerance: float):
        for x, y in zip(policy, found.policy, strict=True):
            np.testing.assert_allclose(x, y, atol=tolerance * scale)

    policy = lq.pretrained(arrays)
    for _ in range(400):  # 0.9^400 is far below rounding
        policy = lq.policy_iteration(arrays, policy)[0]
    close(policy, 1e-12)
    close(lq.nested(arrays, 400).policy, 1e-12)
    close(lq.nested(arrays, 1, "newton").policy, 1e-12)
    close(lq.nested(arrays, 400, "damped").policy, 1e-12)


def test_inner_errors_fall_at_the_spectral_radius():
    """In one dimension every error ratio is the predicted number, not only the last one."""
    arrays = lq.linear_quadratic(ddpm(0, 1, 20, -1.0, 0.2))
    found = lq.optimum(arrays)
    value = jax.tree.map(lambda x: x[1:], found.value)
    times = jnp.arange(20)
    one = jax.vmap(lambda t, v, F, f: lq.improve(arrays, t, v, F, f))(
        times, value, arrays.A, arrays.b
    )
    before = arrays.A - found.policy.F
    after = one[0] - found.policy.F
    ratios = np.abs(np.asarray(after / before))[:, 0, 0]
    np.testing.assert_allclose(ratios, found.ratios, rtol=1e-9)
    assert np.all(np.asarray(after / before) < 0)  # concave values: errors change sign


def test_damping_converges_where_plain_steps_do_not():
    problem = ddpm(0, 2, 10, -4.0, 0.05)
    arrays = lq.linear_quadratic(problem)
    found = lq.optimum(arrays)
    assert bool(found.well_posed)
    assert float(jnp.max(found.ratios)) > 2
    plain = lq.nested(arrays, 60).policy.F - found.policy.F
    damped = lq.nested(arrays, 2000, "damped").policy.F - found.policy.F
    assert float(jnp.abs(plain[-1]).max()) > 1e3  # the first step taken, and the stiffest
    assert float(jnp.abs(damped).max()) < 1e-10


def test_a_price_below_the_curvature_has_no_optimum():
    """P = cI with c σ² >= β at the last step: the bracket grows along every direction."""
    schedule = make_schedule(constant_rate(5, 0.1), "forward")
    chain = ddpm_chain(gaussian([0.0, 0.0], np.eye(2)), schedule)
    edge = float(schedule.sigmas[-1] ** 2)
    direction = np.array([[1.0, 1.0], [1.0, 1.0]]) / 2  # curvature 1 along (1, 1), 0 across
    for beta, posed in ((0.9 * edge, False), (3.0, True)):
        found = lq.optimum(lq.linear_quadratic(make_problem(chain, quadratic(direction), beta)))
        assert bool(found.well_posed) is posed
        if not posed:
            assert np.isnan(found.value.P[0]).all()
            np.testing.assert_allclose(np.abs(found.direction[-1]), [0.5**0.5] * 2, rtol=1e-12)


@pytest.mark.slow
def test_batches_and_single_instances_agree():
    problems = [ddpm(seed, 3, 12, -0.5, 1.0) for seed in range(3)]
    arrays = [lq.linear_quadratic(p) for p in problems]
    batch = jax.tree.map(lambda *xs: jnp.stack(xs), *arrays)
    together = jax.jit(jax.vmap(lq.optimum))(batch)
    for i, one in enumerate(arrays):
        member = jax.tree.map(itemgetter(i), together)
        assert_trees_all_close(member, lq.optimum(one), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    "batch", [3, pytest.param(300, marks=pytest.mark.slow)]
)  # one block of lanes, and two with padding
def test_many_sweeps_in_lanes_are_those_of_single_problems(batch: int):
    """Matrix noise, a running reward and a schedule of β: a lost term or transpose shows."""
    problems = [lq.linear_quadratic(general(seed)) for seed in range(3)]
    some = [problems[i % 3] for i in range(batch)]
    together = jax.tree.map(lambda *xs: jnp.stack(xs), *some)

    def run(arrays: lq.LinearQuadratic) -> tuple[lq.Policy, Quadratic]:
        return lq.policy_iterations(arrays, lq.pretrained(arrays), 4)

    many = jax.jit(jax.vmap(run))(together)
    for i in (0, 1, 2, batch - 1):
        one = lq.pretrained(some[i]), None
        for _ in range(4):
            one = lq.policy_iteration(some[i], one[0])
        assert_trees_all_close(jax.tree.map(itemgetter(i), many), one, rtol=1e-11, atol=1e-11)


@pytest.mark.slow
def test_derivatives_go_through_many_sweeps_at_once():
    """d J/d β of three problems in one batch, against central differences of single ones."""
    problems = [lq.linear_quadratic(general(seed)) for seed in range(3)]
    together = jax.tree.map(lambda *xs: jnp.stack(xs), *problems)

    def J(beta: jax.Array, arrays: lq.LinearQuadratic) -> jax.Array:
        arrays = arrays._replace(betas=beta + jnp.zeros_like(arrays.betas))
        value = lq.policy_iterations(arrays, lq.pretrained(arrays), 3)[1]
        return lq.expected(arrays, value)

    beta, step = jnp.asarray(3.0), 1e-4
    slopes = jax.vmap(jax.grad(J), (None, 0))(beta, together)
    tangents = jax.vmap(lambda q: jax.jvp(lambda b: J(b, q), (beta,), (1.0,))[1])(together)
    for i, arrays in enumerate(problems):
        # Central differences: step² times a third derivative, and rounding over the step.
        by_hand = (J(beta + step, arrays) - J(beta - step, arrays)) / (2 * step)
        assert float(slopes[i]) == pytest.approx(float(by_hand), rel=1e-6)
        assert float(tangents[i]) == pytest.approx(float(slopes[i]), rel=1e-11)


def test_what_is_not_linear_quadratic_is_refused():
    schedule = make_schedule(linear_rate(4))
    gaussian_chain = ddpm_chain(gaussian([0.0], [[1.0]]), schedule)
    mixed = ddpm_chain(mixture([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]]), schedule)
    for problem, words in (
        (make_problem(mixed, linear([1.0]), 1.0), "affine means"),
        (make_problem(gaussian_chain, lambda y: y[0], 1.0), "linear or quadratic reward"),
        (make_problem(gaussian_chain, linear([1.0]), 1.0, lambda t, y: y[0]), "running reward"),
    ):
        with pytest.raises(InputError, match=words):
            lq.linear_quadratic(problem)


def test_prices_are_checked():
    chain = ddpm_chain(gaussian([0.0], [[1.0]]), make_schedule(linear_rate(4)))
    with pytest.raises(InputError, match="beta must be above 0, got -1"):
        make_problem(chain, linear([1.0]), -1.0)
    with pytest.raises(InputError, match="a list of 4, got shape"):
        make_problem(chain, linear([1.0]), [1.0, 2.0])
    silent = chain._replace(sigmas=chain.sigmas.at[2].set(0.0))
    with pytest.raises(InputError, match="σ of step 2 must be above 0"):
        make_problem(silent, linear([1.0]), 1.0)
    with pytest.raises(InputError, match="the chain has d = 1, but the reward has d = 2"):
        make_problem(chain, linear([1.0, 2.0]), 1.0)
    with pytest.raises(InputError, match=r"reward must be a function of a point, got 3\.0"):
        make_problem(chain, 3.0, 1.0)  # type: ignore[arg-type]


def test_of_an_asymmetric_reward_the_symmetric_part_counts_and_misfits_are_named():
    problem = general(4)
    skew = jnp.asarray(np.triu(np.ones((3, 3)), 1) - np.tril(np.ones((3, 3)), -1))
    reward, running = problem.reward, problem.running
    assert isinstance(reward, Quadratic)
    assert isinstance(running, RunningQuadratic)
    tilted = problem._replace(
        reward=reward._replace(P=reward.P + 0.5 * skew),
        running=running._replace(P=running.P + skew[None]),
    )
    found, expected = (lq.optimum(lq.linear_quadratic(p)).value.P for p in (tilted, problem))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)
    short = problem._replace(reward=reward._replace(p=jnp.ones(2)))
    with pytest.raises(InputError, match=r"reward's p must have shape \(3,\) .* got \(2,\)"):
        lq.linear_quadratic(short)
