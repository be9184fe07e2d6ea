"""Derivatives of Riccati solutions: implicit ones, finite differences, Hessians."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from fineq.nlqr.riccati import dare
from tests.nlqr.riccati import (
    norm,
    random_system,
    truth,
)


def directions(rng, system):
    moves = [rng.normal(size=x.shape) for x in system]
    return [x if k < 2 else (x + x.T) / 2 for k, x in enumerate(moves)]


@pytest.mark.slow
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
