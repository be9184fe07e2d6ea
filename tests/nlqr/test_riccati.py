"""The Riccati solver against SciPy, closed forms, simulated costs and implicit derivatives.

Tolerances. An error of size e in the residual Q + K'RK + Ac'P Ac - P moves P by at most gain * e,
gain = |Σ_t (Ac')^t Ac^t|: the inverse of E -> E - Ac' E Ac is positive, so its spectral norm is
that of its value at the identity (Russo-Dye). Rounding a residual leaves about n ε of each of its
terms. That product, `Truth.error`, is what conditioning allows; the reference is SciPy's solution
after Newton steps whose residuals are formed in extended precision, so that its own error is far
smaller.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from fineq.errors import InputError
from fineq.fast.lanes import Stack
from fineq.nlqr.doubling import EquationStatus
from fineq.nlqr.riccati import dare
from fineq.nlqr.riccati_batch import Plant, evaluate


def norm(x):
    return np.linalg.norm(np.asarray(x, float), 2)


class Truth(NamedTuple):
    """The refined solution, and by how much rounding may move P and K."""

    P: np.ndarray
    K: np.ndarray
    error: float
    error_K: float


def gain_of(A, B, R, P):
    return np.linalg.solve(R + B.T @ P @ B, B.T @ P @ A)


def lyapunov(Ac, Q):
    """Σ_t (Ac')^t Q Ac^t, 2^k terms after k doublings."""
    for _ in range(60):
        Q, Ac = Q + Ac.T @ Q @ Ac, Ac @ Ac
    return Q


def truth(A, B, Q, R, eps=2.0**-52):
    P = scipy.linalg.solve_discrete_are(A, B, Q, R).astype(np.longdouble)
    for _ in range(4):
        # The residual in Joseph's form forgives a gain in ordinary precision.
        K = gain_of(A, B, R, P.astype(float)).astype(np.longdouble)
        Ac = A - B.astype(np.longdouble) @ K
        residual = Q + K.T @ R @ K + Ac.T @ P @ Ac - P
        P = P + lyapunov(Ac, (residual + residual.T) / 2)
    P = P.astype(float)
    K, Ac = gain_of(A, B, R, P), A - B @ gain_of(A, B, R, P)
    gain = norm(lyapunov(Ac, np.eye(len(A))))
    terms = norm(Q) + norm(K) ** 2 * norm(R) + (1 + norm(Ac) ** 2) * norm(P)
    terms += (norm(A) + norm(B) * norm(K)) * norm(P @ Ac)
    error = len(A) * eps * gain * terms
    S = R + B.T @ P @ B
    # S dK = B' dP Ac: what an error of P does to K; and the rounding of S, B'PA and the solve.
    inverse = norm(np.linalg.inv(S))
    formed = norm(B) ** 2 * norm(P) * norm(K) + norm(B) * norm(P) * norm(A) + norm(R) * norm(K)
    error_K = inverse * (norm(B) * norm(Ac) * error + 2 * len(A) * eps * formed)
    return Truth(P, K, float(error), float(error_K))


def stack(systems):
    return [np.stack(part) for part in zip(*systems, strict=True)]


def solve(systems):
    """`dare` on a batch, always of 30 lanes: one compilation for each size of system."""
    lanes = [np.resize(part, (30, *part.shape[1:])) for part in stack(systems)]
    return jax.tree.map(lambda x: np.asarray(x[: len(systems)]), dare(*lanes))


def random_system(rng, n, p, kind):
    A, B = rng.normal(size=(n, n)) / np.sqrt(n), rng.normal(size=(n, p))
    root = rng.normal(size=(n, n))
    Q, R = root @ root.T, np.eye(p)
    if kind == "unstable":
        A = 2 * A
    if kind == "ill-conditioned R":
        R = np.diag(np.logspace(-8, 2, p) if p > 1 else [1e-8])
    if kind == "low rank Q":
        Q = np.outer(root[0], root[0])
    if kind == "badly scaled":
        units = np.logspace(-1, 1, n)
        A, B, Q = units[:, None] * A / units, units[:, None] * B, Q / np.outer(units, units)
    if kind == "singular A":
        A = A - np.outer(A @ root[0], root[0]) / (root[0] @ root[0])
    return A, B, Q, R


KINDS = ("plain", "unstable", "ill-conditioned R", "low rank Q", "badly scaled", "singular A")


def assert_solved(out, systems, eps=2.0**-52):
    np.testing.assert_array_equal(out.status, EquationStatus.SOLVED)
    for P, K, system in zip(out.P, out.K, systems, strict=True):
        expected = truth(*system, eps=eps)
        assert norm(P - expected.P) <= expected.error
        assert norm(K - expected.K) <= expected.error_K


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


def directions(rng, system):
    moves = [rng.normal(size=x.shape) for x in system]
    return [x if k < 2 else (x + x.T) / 2 for k, x in enumerate(moves)]


def test_derivatives_are_those_of_the_implicit_function():
    """At fixed K: dP = Ac' dP Ac + dQ + K'dR K + 2 sym(Ac' P (dA - dB K)), solved densely."""
    rng = np.random.default_rng(17)
    system = A, B, _, R = random_system(rng, 3, 2, "unstable")
    dA, dB, dQ, dR = moves = directions(rng, system)

    def pair(*x):
        return dare(*x)[:2]

    (P, K), (dP, dK) = jax.jit(lambda x, d: jax.jvp(pair, x, d))(system, tuple(moves))
    expected, Ac = truth(*system), A - B @ K
    half = Ac.T @ P @ (dA - dB @ K)
    fixed = dQ + K.T @ dR @ K + half + half.T
    dense = np.linalg.solve(np.eye(9) - np.kron(Ac.T, Ac.T), fixed.reshape(-1)).reshape(3, 3)
    # Relative to the terms that go in, dP loses what P loses: once more the gain, and the error of
    # P itself in the right side.
    gain = norm(scipy.linalg.solve_discrete_lyapunov(Ac.T, np.eye(3)))
    size = norm(dQ) + norm(K) ** 2 * norm(dR) + 2 * norm(Ac) * norm(P) * norm(dA - dB @ K)
    carried = 4 * gain * norm(Ac) * (norm(dA) + norm(dB) * norm(K)) * expected.error
    error = 12 * 2**-52 * gain * (size + (1 + norm(Ac) ** 2) * norm(dense)) + carried
    assert norm(dP - dense) <= error
    S = R + B.T @ P @ B
    moved = dB.T @ P @ Ac + B.T @ dense @ Ac + B.T @ P @ (dA - dB @ K) - dR @ K
    assert norm(dK - np.linalg.solve(S, moved)) <= norm(np.linalg.inv(S)) * 2 * norm(B) * error

    # Reverse mode is the transpose of forward mode.
    weights = rng.normal(size=(3, 3)), rng.normal(size=(2, 3))

    def total(*x):
        return sum(jnp.sum(w * y) for w, y in zip(weights, pair(*x), strict=True))

    back = jax.jit(jax.grad(total, (0, 1, 2, 3)))(*system)
    left = sum(np.sum(g * d) for g, d in zip(back, moves, strict=True))
    right = sum(np.sum(w * d) for w, d in zip(weights, (dP, dK), strict=True))
    scale = sum(norm(w) for w in weights) * (1 + norm(np.linalg.inv(S)) * 2 * norm(B))
    assert abs(left - right) <= 9 * error * scale


@pytest.mark.parametrize("order", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_derivatives_against_finite_differences(order):
    """Along a line through a system; the step balances truncation h² against rounding error / h."""
    rng = np.random.default_rng(18)
    system = random_system(rng, 3, 2, "plain")
    moves = directions(rng, system)

    def f(t):
        P, K, *_ = dare(*(x + t * d for x, d in zip(system, moves, strict=True)))
        return jnp.concatenate([P.ravel(), K.ravel()])

    g = f if order == 1 else jax.jacfwd(f)
    noise = truth(*system).error * (1 if order == 1 else 100)
    size = float(jnp.abs(g(0.0)).max())
    h = (noise / size) ** (1 / 3)
    numbers = [np.asarray(jax.jit(g)(t)) for t in (-2 * h, -h, h, 2 * h)]
    once, twice = (numbers[2] - numbers[1]) / (2 * h), (numbers[3] - numbers[0]) / (4 * h)
    exact = np.asarray(jax.jit(jax.jacfwd(g))(0.0))
    # Truncation is a third of the change under a doubled step, measured; rounding noise / h.
    tolerance = np.abs(twice - once).max() + noise / h
    assert np.abs(exact - once).max() <= tolerance
    # The comparison has teeth: it sees six digits.
    assert tolerance <= 1e-6 * np.abs(exact).max() * (1 if order == 1 else 100)


@pytest.mark.slow
def test_hessians_are_symmetric_and_reverse_over_forward():
    rng = np.random.default_rng(19)
    A, B, Q, R = random_system(rng, 2, 1, "plain")

    def value(A):
        return jnp.trace(dare(A, B, Q, R).P)

    forward = np.asarray(jax.jit(jax.jacfwd(jax.grad(value)))(A)).reshape(4, 4)
    reverse = np.asarray(jax.jit(jax.jacrev(jax.grad(value)))(A)).reshape(4, 4)
    scale = 1e3 * truth(A, B, Q, R).error * np.abs(forward).max()
    assert np.abs(forward - forward.T).max() <= scale
    assert np.abs(forward - reverse).max() <= scale


def test_shapes_that_disagree_are_named():
    with pytest.raises(InputError, match=r"A must have shape \(3, 3\).*got \(2, 2\)"):
        dare(np.eye(2), np.ones((3, 1)), np.eye(3), np.eye(1))
    with pytest.raises(InputError, match=r"R must have shape \(1, 1\).*got \(2, 2\)"):
        dare(np.eye(3), np.ones((3, 1)), np.eye(3), np.eye(2))
    with pytest.raises(InputError, match="leading axes"):
        dare(np.ones((2, 1, 1)), np.ones((3, 1, 1)), np.eye(1), np.eye(1))
