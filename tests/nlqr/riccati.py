"""Systems of many kinds, and their Riccati solutions with the accuracy that can be asked."""

from typing import NamedTuple

import jax
import numpy as np
import scipy.linalg

from fineq.nlqr.doubling import EquationStatus
from fineq.nlqr.riccati import dare


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
