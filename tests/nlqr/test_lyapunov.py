"""X = A X A' + Q: against dense solves and closed forms, with tolerances from the operator's norm.

The solution operator Q -> Σ_t A^t Q (A')^t is positive, so its norm (spectral norms) is that of its
value at the identity (Russo-Dye). An error of size e in the residual therefore moves X by at most
|Σ_t A^t (A')^t| e, and rounding in a residual is at most about n ε of each of its terms.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from fineq.errors import InputError
from fineq.nlqr.doubling import EquationStatus
from fineq.nlqr.lyapunov import solve_lyapunov


def norm(x):
    return np.linalg.norm(x, 2)


def stable(rng, n, radius, num=()):
    """Random matrices of spectral radius `radius`, [*num, n, n]."""
    A = rng.normal(size=(*num, n, n))
    return A * (radius / np.abs(np.linalg.eigvals(A)).max(-1))[..., None, None]


def dense(A, Q):
    """The n² x n² linear system, row-major: vec(A X A') = (A kron A) vec(X)."""
    n = len(A)
    return np.linalg.solve(np.eye(n * n) - np.kron(A, A), Q.reshape(-1)).reshape(n, n)


def gain(A):
    """The norm of the operator Q -> X."""
    return norm(scipy.linalg.solve_discrete_lyapunov(A, np.eye(len(A))))


def bound(A, Q, X, eps):
    """Rounding in four terms of the residual, carried to X by the operator's norm."""
    return 4 * len(A) * eps * gain(A) * (norm(Q) + (1 + norm(A) ** 2) * norm(X))


@pytest.mark.parametrize("n", [1, 3, 9])
def test_agrees_with_a_dense_solve_for_any_right_side(n):
    rng = np.random.default_rng(n)
    A = np.stack([stable(rng, n, radius) for radius in (0.0, 0.3, 0.9, 0.999, 0.999999)])
    Q = rng.normal(size=A.shape)
    out = solve_lyapunov(A, Q)
    assert np.all(out.status == EquationStatus.SOLVED)
    for X, a, q in zip(out.X, A, Q, strict=True):
        truth = dense(a, q)
        # The dense solve has its own error, of the same first-order size.
        assert norm(X - truth) <= 2 * bound(a, q, truth, 2**-52)


@pytest.mark.slow
@pytest.mark.parametrize("n", [16, 33, 64])
def test_agrees_with_scipy_at_larger_sizes(n):
    rng = np.random.default_rng(n)
    A, root = stable(rng, n, 0.95, (3,)), rng.normal(size=(3, n, n))
    Q = root @ root.swapaxes(1, 2)
    out = solve_lyapunov(A, Q)
    assert np.all(out.status == EquationStatus.SOLVED)
    for X, a, q in zip(out.X, A, Q, strict=True):
        truth = scipy.linalg.solve_discrete_lyapunov(a, q)
        assert norm(X - truth) <= 2 * bound(a, q, truth, 2**-52)


@given(
    a=st.floats(-0.99999, 0.99999),
    q=st.floats(-1e6, 1e6).filter(lambda q: q == 0 or abs(q) > 1e-6),
)
@settings(deadline=None, max_examples=50, derandomize=True)
def test_scalar_closed_form(a, q):
    out = solve_lyapunov(np.array([[a]]), np.array([[q]]))
    truth = q / ((1 - a) * (1 + a))
    assert int(out.status) == EquationStatus.SOLVED
    assert abs(float(out.X[0, 0]) - truth) <= bound(
        np.array([[a]]), np.array([[q]]), np.array([[truth]]), 2**-52
    )


def test_the_residual_is_the_documented_one():
    rng = np.random.default_rng(0)
    A, Q = stable(rng, 3, 0.9, (5,)), rng.normal(size=(5, 3, 3))
    out = solve_lyapunov(A, Q)
    X = np.asarray(out.X)
    frobenius = np.linalg.norm(Q + A @ X @ A.swapaxes(1, 2) - X, axis=(1, 2))
    scale = np.linalg.norm(Q, axis=(1, 2)) + (
        1 + np.linalg.norm(A, axis=(1, 2)) ** 2
    ) * np.linalg.norm(X, axis=(1, 2))
    # Both are rounding noise: they agree up to the noise of forming them, not digit by digit.
    assert np.all(np.abs(frobenius / scale - out.residual) <= 4 * 3 * 2**-52)
    assert np.all(np.asarray(out.residual) <= 64 * 3 * 2**-52)


def test_unstable_and_non_finite_lanes_say_so_and_leave_others_alone():
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    jordan = np.array([[1.0, 1.0], [0.0, 1.0]])
    half = np.eye(2) / 2
    A = np.stack([turn, jordan, 1.5 * turn, np.eye(2), np.nan * turn, 1e200 * turn, half])
    Q = np.broadcast_to(np.eye(2), A.shape).copy()
    out = solve_lyapunov(A, Q)
    assert list(out.status) == [EquationStatus.UNSTABLE] * 4 + [
        EquationStatus.NON_FINITE,
        EquationStatus.UNSTABLE,
        EquationStatus.SOLVED,
    ]
    assert np.all(np.isnan(out.X[:6]))
    assert np.all(np.isnan(out.residual[:6]))
    # A = I/2: X = Σ 4^-t I = 4/3 I.
    np.testing.assert_allclose(out.X[6], 4 / 3 * np.eye(2), rtol=4 * 2**-52)


def test_a_batch_a_vmap_and_a_loop_agree():
    rng = np.random.default_rng(3)
    A, Q = stable(rng, 3, 0.9, (2, 3)), rng.normal(size=(3, 3, 3))
    batch = solve_lyapunov(A, Q).X
    mapped = jax.jit(jax.vmap(lambda a: jax.vmap(lambda b, q: solve_lyapunov(b, q).X)(a, Q)))(A)
    for index in np.ndindex(2, 3):
        a, q = A[index], Q[index[1]]
        one = solve_lyapunov(a, q).X
        tolerance = bound(a, q, one, 2**-52)
        assert norm(batch[index] - one) <= tolerance
        assert norm(mapped[index] - one) <= tolerance


def test_single_precision():
    rng = np.random.default_rng(4)
    A, Q = (x.astype(np.float32) for x in (stable(rng, 3, 0.95, (5,)), rng.normal(size=(5, 3, 3))))
    out = solve_lyapunov(A, Q)
    assert out.X.dtype == jnp.float32
    assert np.all(out.status == EquationStatus.SOLVED)
    for X, a, q in zip(out.X, A.astype(float), Q.astype(float), strict=True):
        truth = dense(a, q)
        assert norm(np.asarray(X, float) - truth) <= bound(a, q, truth, 2**-23)


def test_derivatives_are_those_of_the_implicit_function():
    """DX = A DX A' + DQ + DA X A' + A X DA', in both modes; the second one by linearity in Q."""
    rng = np.random.default_rng(5)
    A, Q, dA, dQ = stable(rng, 3, 0.8), *rng.normal(size=(3, 3, 3))
    X, forward = jax.jit(lambda *x: jax.jvp(lambda A, Q: solve_lyapunov(A, Q).X, x[:2], x[2:]))(
        A, Q, dA, dQ
    )
    fixed = dQ + dA @ X @ A.T + A @ X @ dA.T
    truth = dense(A, fixed)
    # The right side carries the error of X.
    carried = gain(A) * 2 * norm(dA) * norm(A) * bound(A, Q, X, 2**-52)
    tolerance = bound(A, fixed, truth, 2**-52) + carried
    assert norm(forward - truth) <= tolerance
    cotangent = rng.normal(size=(3, 3))
    back = jax.jit(jax.grad(lambda A, Q: jnp.sum(cotangent * solve_lyapunov(A, Q).X), (0, 1)))(A, Q)
    # <cotangent, DX> = <back, (DA, DQ)>: one number, two routes.
    scale = norm(cotangent) * 3 * tolerance + 2**-52 * sum(
        9 * norm(g) * norm(d) for g, d in zip(back, (dA, dQ), strict=True)
    )
    moved = sum(np.sum(g * d) for g, d in zip(back, (dA, dQ), strict=True))
    assert abs(moved - np.sum(cotangent * forward)) <= scale


def test_shapes_that_disagree_are_named():
    with pytest.raises(InputError, match=r"\(2, 2\).*\(3, 3\)"):
        solve_lyapunov(np.eye(2), np.eye(3))
    with pytest.raises(InputError, match="square"):
        solve_lyapunov(np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(InputError, match="two axes"):
        solve_lyapunov(1.0, 1.0)
    with pytest.raises(InputError, match="leading axes"):
        solve_lyapunov(np.zeros((2, 1, 1)), np.zeros((3, 1, 1)))
