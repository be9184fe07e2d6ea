"""The cost of all time: closed forms, SciPy's Lyapunov solver, and what has no cost."""

import itertools
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import solve_discrete_lyapunov

from fineq.errors import InputError
from fineq.nlqr.costs import (
    CostStatus,
    choose_horizon,
    cost,
    infinite_cost,
)
from fineq.nlqr.features import Custom, Sine, Zero
from fineq.nlqr.laws import Points
from fineq.nlqr.problem import System
from tests.nlqr.plants import make_points, random_case

infinite = jax.jit(infinite_cost, static_argnames="max_horizon")


def linear_system(A, Q=None):
    """No inputs that matter, no features: the closed loop is A."""
    A = jnp.atleast_2d(jnp.asarray(A, float))
    n = len(A)
    zero = jnp.zeros((n, 1))
    Q = jnp.eye(n) if Q is None else jnp.asarray(Q, float)
    return System(A, zero, jnp.zeros((n, 0)), Q, jnp.eye(1), jnp.asarray(1.0), Zero(0))


def map_system(function):
    """The scalar map x' = function(x)."""
    one, zero = jnp.eye(1), jnp.zeros((1, 1))
    return System(zero, zero, one, one, one, jnp.asarray(1.0), Custom(function, 1))


@pytest.mark.parametrize("num_features", [0, 2])
def test_lqr_cost_is_the_trace_of_the_lyapunov_solution(num_features):
    K, system, points = random_case(6, Zero(num_features), n=3)
    loop = np.asarray(system.A - system.B @ K[:, :3])
    stage = np.asarray(system.Q + K[:, :3].T @ system.R @ K[:, :3])
    P = solve_discrete_lyapunov(loop.T, stage)
    want = np.trace(P @ np.asarray(points.second_moment()))
    found = infinite(K, system, points, tolerance=1e-13)
    assert found.status == CostStatus.STABLE
    np.testing.assert_allclose(found.cost, want, rtol=2e-13)
    # What T steps leave out is the cost from the states they end in.
    power = np.linalg.matrix_power(loop, 5)
    left = np.trace(P @ power @ np.asarray(points.second_moment()) @ power.T)
    error = found.cost - cost(K, system, points, 5)
    np.testing.assert_allclose(error, left, rtol=1e-9)


def test_transient_growth_is_not_mistaken_for_instability():
    A = np.array([[0.5, 100.0], [0.0, 0.5]])
    points = make_points([0.0, 1.0], [1.0, 0.0])
    found = infinite(jnp.zeros((1, 2)), linear_system(A), points, tolerance=1e-12)
    P = solve_discrete_lyapunov(A.T, np.eye(2))
    assert found.status == CostStatus.STABLE
    np.testing.assert_allclose(found.cost, np.trace(P @ points.second_moment()), rtol=1e-11)


def test_a_slow_mode_hidden_below_a_fast_one_is_waited_for():
    # After 128 steps the fast mode has left 1e-12 of its cost, and the window before shows nothing
    # else: the slow mode is 1% of it. But the slow one adds 1e-7 of the cost in the end.
    A, x0 = np.diag([0.9, 0.999]), [1.0, 1e-9**0.5]
    found = infinite(jnp.zeros((1, 2)), linear_system(A), make_points(x0), tolerance=1e-10)
    want = 1 / (1 - 0.9**2) + 1e-9 / (1 - 0.999**2)
    assert found.status == CostStatus.STABLE
    np.testing.assert_allclose(found.cost, want, rtol=1e-10)


def test_a_cost_that_sees_a_state_only_now_and_then():
    # A quarter turn a step; Q sees the first coordinate only, so single stage costs vanish.
    A = 0.9 * np.array([[0.0, 1.0], [-1.0, 0.0]])
    found = infinite(
        jnp.zeros((1, 2)), linear_system(A, np.diag([1.0, 0.0])), make_points([0.0, 1.0])
    )
    assert found.status == CostStatus.STABLE
    np.testing.assert_allclose(found.cost, 0.81 / (1 - 0.81**2), rtol=2e-12)


SLOW = 0.9999  # decays by 1e-12 in 138,000 steps


def test_slow_decay_is_undecided_until_the_horizon_allows_it():
    system, points = linear_system(SLOW), make_points([2.0])
    K = jnp.zeros((1, 1))
    short = infinite(K, system, points, max_horizon=2**14)
    assert short.status == CostStatus.UNDECIDED
    assert short.horizon == 2**14
    exact = 4 / (1 - SLOW**2)
    # The tail is an estimate; for one geometric decay it is exact up to rounding.
    np.testing.assert_allclose(short.cost + short.tail, exact, rtol=1e-10)
    long = infinite(K, system, points, max_horizon=2**18)
    assert long.status == CostStatus.STABLE
    np.testing.assert_allclose(long.cost, exact, rtol=2e-12)


@pytest.mark.parametrize("radius", [1.0, 1 - 1e-9, 1 + 1e-13])
def test_a_marginal_loop_is_undecided(radius):
    found = infinite(
        jnp.zeros((1, 1)), linear_system(radius), make_points([1.0]), max_horizon=2**12
    )
    assert found.status == CostStatus.UNDECIDED
    np.testing.assert_allclose(found.cost, 2**12, rtol=1e-4)


def companion(*roots):
    A = np.eye(len(roots), k=-1)
    A[0] = -np.poly(roots)[1:]
    return A


def exact_cost(A, x0):
    """Σ_t |A^t x0|² in rational arithmetic, from the equations P = I + A'PA entry by entry."""
    n = len(A)
    A, x0 = ([[Fraction(float(v)) for v in row] for row in M] for M in (A, [x0]))
    places = {
        pair: i for i, pair in enumerate(itertools.combinations_with_replacement(range(n), 2))
    }
    rows = []
    for (i, j), place in places.items():
        row = [Fraction(k == place) for k in range(len(places))] + [Fraction(i == j)]
        for a, b in itertools.product(range(n), repeat=2):
            row[places[min(a, b), max(a, b)]] -= A[a][i] * A[b][j]
        rows.append(row)
    for c in range(len(rows)):
        pivot = next(r for r in range(c, len(rows)) if rows[r][c] != 0)
        rows[c], rows[pivot] = rows[pivot], rows[c]
        lead = [v / rows[c][c] for v in rows[c]]
        rows = [
            lead if r == c else [v - row[c] * u for v, u in zip(row, lead, strict=True)]
            for r, row in enumerate(rows)
        ]
    x = x0[0]
    pairs = itertools.product(range(n), repeat=2)
    return float(sum(x[i] * x[j] * rows[places[min(i, j), max(i, j)]][-1] for i, j in pairs))


@pytest.mark.parametrize("roots", [(0.97,) * 5, (0.999,) * 3, (0.99,) * 4])
def test_defective_loops_that_are_stable_have_a_cost(roots):
    A, x0 = companion(*roots), np.eye(len(roots))[0]
    found = infinite(jnp.zeros((1, len(A))), linear_system(A), make_points(x0))
    exact = exact_cost(A, x0)
    assert found.status == CostStatus.STABLE
    # The steps round as if the entries of A were off by a few units: what that does to the cost.
    moved = [exact_cost(np.where(np.equal(A, a), a * (1 + 2.0**-40), A), x0) for a in A[0]]
    rounding = 2 * 2**-52 * sum(abs(m - exact) * 2**40 for m in moved)
    assert abs(found.cost - exact) <= rounding + 1e-12 * exact
    assert rounding < 1e-5 * exact


@pytest.mark.parametrize("other", [1.0, 1.2, 1 - 1e-9, -1.0])
def test_what_costs_nothing_may_stay_away_and_is_said_to(other):
    system = linear_system(np.diag([0.5, other]), np.diag([1.0, 0.0]))
    found = infinite(jnp.zeros((1, 2)), system, make_points([1.0, 1.0]))
    assert found.status == CostStatus.UNSEEN
    assert "Q does not see" in CostStatus.UNSEEN.message
    np.testing.assert_allclose(found.cost, 4 / 3, rtol=1e-15)
    at_rest = infinite(jnp.zeros((1, 2)), system, make_points([1.0, 0.0]))
    assert at_rest.status == CostStatus.STABLE


@pytest.mark.parametrize(
    ("grows", "status"), [(1 / 2, CostStatus.UNDECIDED), (2 / 3, CostStatus.UNSEEN)]
)
def test_an_unseen_mode_is_judged_alike_however_its_cost_rounds(grows, status):
    """Rotations of a loop whose mode 1.2 costs 0, or ± rounding: by its weight it stands out from
    the cost of the other mode in the window where that has become too little to matter, or later.
    """

    def look(T):
        A, Q = (T @ jnp.diag(jnp.array(x)) @ T.T for x in ([0.5, 1.2], [1.0, 0.0]))
        points = Points(T.T, jnp.array([1 - grows, grows]))
        return infinite_cost(jnp.zeros((1, 2)), linear_system(A, Q), points)

    turns = [np.linalg.qr(np.random.default_rng(t).normal(size=(2, 2)))[0] for t in range(60)]
    found = jax.jit(jax.vmap(look))(jnp.stack(turns))
    np.testing.assert_array_equal(found.status, status)
    assert not np.any(np.isinf(found.tail) | (found.tail < 0))
    assert np.all(np.isfinite(found.cost))
    if status == CostStatus.UNSEEN:
        np.testing.assert_allclose(found.cost, (1 - grows) * 4 / 3, rtol=1e-9)


def test_a_state_that_Q_hardly_sees_is_seen_when_it_has_grown():
    system = linear_system(np.diag([0.5, 1.2]), np.diag([1.0, 1e-12]))
    found = infinite(jnp.zeros((1, 2)), system, make_points([1.0, 1.0]))
    assert (found.status, found.cost) == (CostStatus.UNSTABLE, np.inf)


UNSTABLE = {
    "growth": (linear_system(1.5), [1.0]),
    "barely": (linear_system(1 + 1e-9), [1.0]),
    "slow growth": (linear_system(1.001), [1e-3]),
    # The origin repels and sin is bounded: a fixed point, and in the plane a limit cycle.
    "a fixed point away from 0": (map_system(lambda x: 2 * jnp.sin(x)), [0.1]),
    "limit cycle": (
        System(
            jnp.zeros((2, 2)), jnp.zeros((2, 1)), 1.5 * jnp.array([[0.6, 0.8], [-0.8, 0.6]]),
            jnp.eye(2), jnp.eye(1), jnp.asarray(1.0), Sine(),
        ),
        [1e-3, 0.0],
    ),
    # The origin attracts with factor 1/2, but points beyond 0.62 go to 1.618.
    "another attractor": (map_system(lambda x: 0.5 * x + 1.5 * x**3 / (1 + x**4)), [1.0]),
    "escape": (map_system(lambda x: 0.5 * x + x**3), [1.0]),
}  # fmt: skip


@pytest.mark.parametrize("name", UNSTABLE)
def test_unstable_loops_cost_infinitely_much(name):
    system, x0 = UNSTABLE[name]
    K = jnp.zeros(system.policy_shape)
    # A second point at rest does not hide the one that is not.
    points = make_points(jnp.zeros(system.n), x0)
    found = infinite(K, system, points)
    assert found.status == CostStatus.UNSTABLE
    assert found.cost == np.inf
    assert found.horizon < 2**16
    assert CostStatus(int(found.status)).message


def test_points_in_the_basin_are_stable_where_others_are_not():
    system, _ = UNSTABLE["another attractor"]
    found = infinite(jnp.zeros((1, 2)), system, make_points([0.5], [-0.3]))
    assert found.status == CostStatus.STABLE


def test_states_at_rest_cost_nothing():
    found = infinite(jnp.zeros((1, 1)), linear_system(0.5), make_points([0.0]))
    assert (found.cost, found.tail, found.status) == (0.0, 0.0, CostStatus.STABLE)


def test_members_under_vmap_do_not_touch_each_other():
    radii = jnp.array([0.5, 1.5, 0.99, 1.0])
    K, points = jnp.zeros((1, 1)), make_points([1.0])

    def measure(radius):
        base = linear_system(0.0)
        system = System(radius * jnp.eye(1), base.B, base.C, base.Q, base.R, base.scale, base.phi)
        return infinite_cost(K, system, points, max_horizon=2**11)

    together = jax.jit(jax.vmap(measure))(radii)
    status = [CostStatus.STABLE, CostStatus.UNSTABLE, CostStatus.STABLE, CostStatus.UNDECIDED]
    np.testing.assert_array_equal(together.status, status)
    for i, radius in enumerate(radii):
        alone = jax.jit(measure)(radius)
        for got, want in zip(together, alone, strict=True):
            np.testing.assert_allclose(got[i], want, rtol=1e-14)


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, pytest.param(1e-12, marks=pytest.mark.slow)])
def test_the_horizon_found_is_the_shortest_multiple_of_8(tolerance):
    K, points = jnp.zeros((1, 1)), make_points([1.0])
    system = linear_system(0.95)
    horizon = choose_horizon(K, system, points, tolerance=tolerance)
    exact = 1 / (1 - 0.95**2)
    # After T steps the share 0.95^(2T) is left. The search allows itself half the tolerance.
    assert 0.95 ** (2 * horizon) <= tolerance
    assert 0.95 ** (2 * (horizon - 8)) > tolerance / 2
    assert horizon % 8 == 0
    error = infinite(K, system, points).cost - cost(K, system, points, horizon)
    np.testing.assert_allclose(error, exact * 0.95 ** (2 * horizon), rtol=1e-3, atol=1e-12 * exact)


@pytest.mark.slow
def test_choose_horizon_takes_the_longest_of_several_policies():
    system = System(
        jnp.array([[1.2]]), jnp.eye(1), jnp.zeros((1, 0)), jnp.eye(1), jnp.eye(1),
        jnp.asarray(1.0), Zero(0),
    )  # fmt: skip
    K = jnp.array([[[1.1]], [[0.3]]])  # closed loops 0.1 and 0.9
    points = make_points([1.0])
    assert choose_horizon(K, system, points) == choose_horizon(K[1], system, points)
    with pytest.raises(InputError, match="1 of 2 policies were not found stable"):
        choose_horizon(K.at[0].set(0.0), system, points)


@pytest.mark.slow
def test_float32_stays_float32():
    case = random_case(8, Sine())
    single = jax.tree.map(lambda x: x.astype(jnp.float32), case)
    both = jax.jit(jax.value_and_grad(cost), static_argnums=3)
    value, gradient = both(*single, 40)
    found = infinite(*single, tolerance=1e-6)
    assert {value.dtype, gradient.dtype, found.cost.dtype} == {jnp.dtype("float32")}
    # 40 steps, some ten roundings each, mostly averaging out.
    tolerance = 400 * float(np.finfo(np.float32).eps)
    np.testing.assert_allclose(value, both(*case, 40)[0], rtol=tolerance)
    np.testing.assert_allclose(found.cost, infinite(*case).cost, rtol=tolerance)
