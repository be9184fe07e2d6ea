"""Riccati equations against SciPy, closed forms, and what a solution is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fineq.errors import InputError
from fineq.fast.lanes import Stack
from fineq.nlqr.doubling import EquationStatus
from fineq.nlqr.riccati import dare
from fineq.nlqr.riccati_batch import Plant, evaluate
from tests.nlqr.riccati import (
    KINDS,
    assert_solved,
    gain_of,
    norm,
    random_system,
    solve,
    stack,
    truth,
)


@pytest.mark.parametrize(("n", "p"), [(1, 1), (3, 2), (9, 4)])
def test_agrees_with_scipy(n, p):
    rng = np.random.default_rng(n)
    systems = [random_system(rng, n, p, kind) for kind in KINDS for _ in range(5)]
    assert_solved(solve(systems), systems)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "p"), [(2, 1), (5, 3), (8, 2), (16, 5), (33, 8), (64, 20)])
def test_agrees_with_scipy_at_more_sizes(n, p):
    rng = np.random.default_rng(n)
    systems = [random_system(rng, n, p, kind) for kind in KINDS for _ in range(3)]
    assert_solved(solve(systems), systems)


def special_systems():
    """Three states, two controls: what textbooks and the Riccati literature warn about."""
    rng = np.random.default_rng(0)
    A, B, Q, R = random_system(rng, 3, 2, "plain")
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    reach = np.eye(3)[:, :2]
    nothing, identity = np.zeros((3, 3)), np.eye(3)
    return {
        "stable mode out of reach": (turn @ np.diag([1.3, 0.5, 0.5]) @ turn.T, turn @ reach, Q, R),
        "slow mode out of reach": (
            turn @ np.diag([1.3, 0.5, 1 - 1e-6]) @ turn.T,
            turn @ reach,
            Q,
            R,
        ),
        # x+ = x + u with cost q x² + u² has a closed loop at about 1 - √q.
        "marginal": (np.diag([1.0, 1.0, 0.3]), reach, 1e-6 * identity, R),
        "more marginal": (np.diag([1.0, 1.0, 0.3]), reach, 1e-12 * identity, R),
        "nilpotent": (np.eye(3, k=1), B, Q, R),
        "no dynamics": (nothing, B, Q, R),
        "orthogonal": (turn, B, 1e-6 * identity, R),
        "unstable modes without cost": (np.diag([2.0, 3.0, 0.5]), reach, nothing, R),
        "unstable modes of tiny cost": (np.diag([2.0, 3.0, 0.5]), reach, np.diag([1, 1e-20, 0]), R),
        "dear controls": (A, B, identity, 1e6 * R),
        "cheap controls": (A, B, identity, 1e-12 * R),
        "free controls": (A, B, identity, 0 * R),
    }


def test_special_systems():
    systems = list(special_systems().values())
    assert_solved(solve(systems), systems)


def test_a_stable_system_without_state_cost_costs_nothing():
    rng = np.random.default_rng(1)
    A, B, _, R = random_system(rng, 3, 2, "plain")
    A = 0.99 * A / np.abs(np.linalg.eigvals(A)).max()
    out = solve([(A, B, np.zeros((3, 3)), R)])
    assert out.status[0] == EquationStatus.SOLVED
    np.testing.assert_array_equal(out.P[0], np.zeros((3, 3)))
    np.testing.assert_array_equal(out.K[0], np.zeros((2, 3)))


@pytest.mark.slow
def test_single_precision():
    rng = np.random.default_rng(7)
    systems = [
        [x.astype(np.float32) for x in random_system(rng, 3, 2, kind)]
        for kind in KINDS
        for _ in "12"
    ]
    out = solve(systems)
    assert out.P.dtype == out.K.dtype == out.residual.dtype == jnp.float32
    assert_solved(out, [[x.astype(float) for x in s] for s in systems], eps=2.0**-23)


# A scalar that is zero or of ordinary size, so that squares neither overflow nor vanish.
ordinary = st.floats(-1e3, 1e3).filter(lambda x: x == 0 or abs(x) > 1e-3)


@given(a=ordinary, b=st.floats(1e-2, 1e2), q=st.floats(1e-3, 1e3), r=st.floats(1e-3, 1e3))
@settings(deadline=None, max_examples=100, derandomize=True)
def test_scalar_closed_form(a, b, q, r):
    """b² p² + (r - q b² - a² r) p - q r = 0 has one positive root."""
    out = jax.tree.map(lambda x: x[0], solve([[np.array([[x]]) for x in (a, b, q, r)]]))
    half = (np.longdouble(q) * b * b + np.longdouble(a) * a * r - r) / 2
    root = np.sqrt(half * half + np.longdouble(b) * b * q * r)
    # The form without cancellation, by the sign of half.
    p = (half + root) / (np.longdouble(b) * b) if half > 0 else np.longdouble(q) * r / (root - half)
    k = a * b * p / (r + b * b * p)
    loop = float(a - b * k)
    terms = q + float(k * k) * r + float(p) * (1 + loop**2 + (abs(a) + abs(b * k)) * abs(loop))
    assert int(out.status) == EquationStatus.SOLVED
    assert abs(float(out.P[0, 0] - p)) <= 2 * 2**-52 * float(terms) / (1 - loop**2)
    # For a large, a and b k agree to many digits: the loop is known to ε |a| only.
    assert abs(a - b * float(out.K[0, 0])) < 1 or abs(a) * 2**-50 > 1


def test_what_a_solution_is():
    """P symmetric, positive semidefinite and a fixed point; K its gain; A - BK stable."""
    rng = np.random.default_rng(11)
    systems = [random_system(rng, 3, 2, kind) for kind in KINDS]
    out = solve(systems)
    for P, K, r, (A, B, Q, R) in zip(out.P, out.K, out.residual, systems, strict=True):
        expected = truth(A, B, Q, R)
        np.testing.assert_array_equal(P, P.T)
        assert np.linalg.eigvalsh(P).min() >= -expected.error
        assert norm(K - gain_of(A, B, R, P)) <= expected.error_K
        Ac = A - B @ K
        assert np.abs(np.linalg.eigvals(Ac)).max() < 1
        f = np.linalg.norm
        defect = f(Q + K.T @ R @ K + Ac.T @ P @ Ac - P)
        scale = f(Q) + f(K.T @ R @ K) + (1 + f(Ac) ** 2) * f(P)
        scale += (f(A) + f(B) * f(K)) * f(P @ Ac)
        # Two roundings of the same defect.
        assert abs(defect / scale - float(r)) <= 4 * 3 * 2**-52
        assert float(r) <= 64 * 3 * 2**-52


def test_the_residual_is_the_documented_one():
    """At a P far from a solution, where it is a number and not rounding noise."""
    rng = np.random.default_rng(20)
    A, B, Q, R = random_system(rng, 3, 2, "unstable")
    root = rng.normal(size=(3, 3))
    P = root @ root.T
    f = np.linalg.norm
    lanes = [jnp.asarray(x[None]) for x in (A, B, Q, R)]
    norms = [jnp.asarray([f(x)]) for x in (A, B, Q)]
    plant = Plant(*lanes, (norms[0], norms[1], norms[2]))
    point = evaluate(Stack, plant, jnp.asarray(P[None]))
    K = gain_of(A, B, R, P)
    Ac = A - B @ K
    scale = f(Q) + f(K.T @ R @ K) + (1 + f(Ac) ** 2) * f(P) + (f(A) + f(B) * f(K)) * f(P @ Ac)
    truth = f(Q + A.T @ P @ A - A.T @ P @ B @ K - P) / scale
    # The defect is formed from terms a few times its size, each rounded to 3 ε.
    assert float(point.residual[0]) == pytest.approx(truth, rel=100 * 3 * 2**-52)


def test_the_value_is_the_cost_of_the_loop_and_no_gain_is_cheaper():
    rng = np.random.default_rng(12)
    A, B, Q, R = random_system(rng, 3, 2, "unstable")
    out = jax.tree.map(lambda x: x[0], solve([(A, B, Q, R)]))
    x0 = rng.normal(size=3)

    def cost(K):
        x, total = x0, 0.0
        for _ in range(400):
            u = -K @ x
            total, x = total + x @ Q @ x + u @ R @ u, A @ x + B @ u
        return total if norm(x) < 1e-12 else np.inf

    K = out.K
    # 400 added terms, each with the rounding of its own products.
    assert cost(K) == pytest.approx(x0 @ out.P @ x0, rel=500 * 2**-52)
    assert all(cost(K + d) > cost(K) for d in 0.05 * rng.normal(size=(10, 2, 3)))


def test_scaling_laws():
    """(cQ, cR) gives cP and the same K; states T x give T^-T P T^-1 and K T^-1."""
    rng = np.random.default_rng(13)
    A, B, Q, R = random_system(rng, 3, 2, "plain")
    T = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    moved = (T @ A @ T.T, T @ B, T @ Q @ T.T, R)
    out = solve([(A, B, Q, R), (A, B, 1e5 * Q, 1e5 * R), (A, B, 1e-5 * Q, 1e-5 * R), moved])
    expected = truth(A, B, Q, R)
    for c, P, K in zip((1, 1e5, 1e-5), out.P, out.K, strict=False):
        assert norm(P / c - out.P[0]) <= 2 * expected.error
        assert norm(K - out.K[0]) <= 2 * expected.error_K
    # Forming the moved system rounds it as much as the solver rounds.
    assert norm(T.T @ out.P[3] @ T - out.P[0]) <= 4 * expected.error
    assert norm(out.K[3] @ T - out.K[0]) <= 4 * expected.error_K


def test_statuses_and_a_good_neighbour():
    A, B, Q, R = (np.asarray(x) for x in random_system(np.random.default_rng(14), 3, 2, "plain"))
    reach, identity, nothing = np.eye(3)[:, :2], np.eye(3), np.zeros((3, 3))
    turn = np.array([[np.cos(1), -np.sin(1), 0], [np.sin(1), np.cos(1), 0], [0, 0, 0.5]])
    cases = [
        (np.diag([0.5, 0.5, 1.1]), reach, identity, R, EquationStatus.NOT_STABILISABLE),
        (np.diag([0.5, 0.5, 1.1]), reach, nothing, R, EquationStatus.NOT_STABILISABLE),
        (np.diag([0.5, 0.5, 1.0]), reach, identity, R, EquationStatus.NOT_STABILISABLE),
        (np.diag([0.5, 0.5, 1 - 1e-14]), reach, identity, R, EquationStatus.NOT_STABILISABLE),
        (1.1 * identity, 0 * B, identity, R, EquationStatus.NOT_STABILISABLE),
        (np.diag([1.0, 0.5, 0.5]), reach, nothing, R, EquationStatus.NO_STABILISING_SOLUTION),
        (turn, reach, nothing, R, EquationStatus.NO_STABILISING_SOLUTION),
        (A, B, nothing, -R, EquationStatus.NOT_POSITIVE),
        (A, 0 * B, identity, 0 * R, EquationStatus.NOT_POSITIVE),
        (np.nan * A, B, Q, R, EquationStatus.NON_FINITE),
        (A, B, Q, np.full((2, 2), np.inf), EquationStatus.NON_FINITE),
        (A, B, Q, R, EquationStatus.SOLVED),
    ]
    out = solve([case[:4] for case in cases])
    assert list(out.status) == [case[4] for case in cases]
    for part in (out.P, out.K, out.residual):
        assert np.all(np.isnan(part[:-1]))
    expected = truth(A, B, Q, R)
    assert norm(out.P[-1] - expected.P) <= expected.error
    assert len({status.message for status in EquationStatus}) == len(EquationStatus)


@pytest.mark.slow
def test_a_batch_a_vmap_and_a_loop_agree():
    rng = np.random.default_rng(15)
    kinds = ("plain", "plain", "unstable", "unstable")
    A, B, Q, R = stack([random_system(rng, 3, 2, kind) for kind in kinds])
    spread = dare(A, B[:2, None], Q, R)
    assert spread.P.shape == (2, 4, 3, 3)
    assert spread.K.shape == (2, 4, 2, 3)
    assert spread.status.shape == spread.residual.shape == (2, 4)
    over = jax.vmap(jax.vmap(dare, (0, None, 0, 0)), (None, 0, None, None))
    mapped = jax.jit(over)(A, B[:2], Q, R)
    for i, j in np.ndindex(2, 4):
        system = A[j], B[i], Q[j], R[j]
        one, expected = solve([system]), truth(*system)
        for many in (spread, mapped):
            assert many.status[i, j] == one.status[0] == EquationStatus.SOLVED
            assert norm(many.P[i, j] - one.P[0]) <= 2 * expected.error
            assert norm(many.K[i, j] - one.K[0]) <= 2 * expected.error_K


@pytest.mark.slow
def test_many_blocks_with_one_bad_lane_in_each():
    """Thousands of lanes run in blocks: padding, order and failures must not leak."""
    rng = np.random.default_rng(16)
    systems = [random_system(rng, 3, 2, "plain") for _ in range(7)]
    A, B, Q, R = (np.resize(x, (2003, *x.shape[1:])) for x in stack(systems))
    A[::500], B[::500] = 2 * np.eye(3), 0
    out = dare(A, B, Q, R)
    bad = np.arange(2003) % 500 == 0
    np.testing.assert_array_equal(np.asarray(out.status) == EquationStatus.SOLVED, ~bad)
    for k, system in enumerate(systems):
        mine = np.asarray(out.P)[k::7][~bad[k::7]]
        assert np.abs(mine - mine[0]).max() <= 2 * truth(*system).error


def test_shapes_that_disagree_are_named():
    with pytest.raises(InputError, match=r"A must have shape \(3, 3\).*got \(2, 2\)"):
        dare(np.eye(2), np.ones((3, 1)), np.eye(3), np.eye(1))
    with pytest.raises(InputError, match=r"R must have shape \(1, 1\).*got \(2, 2\)"):
        dare(np.eye(3), np.ones((3, 1)), np.eye(3), np.eye(2))
    with pytest.raises(InputError, match="leading axes"):
        dare(np.ones((2, 1, 1)), np.ones((3, 1, 1)), np.eye(1), np.eye(1))
