"""Starting policies: K_lin against SciPy's Riccati solver and its own optimality condition."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from fineq.nlqr.doubling import EquationStatus
from fineq.nlqr.features import Sine, Zero
from fineq.nlqr.policies import linear_policy, random_policy, zero_policy
from fineq.nlqr.problem import control, next_state, stage_cost
from fineq.nlqr.random_systems import random_system


def make(seed, phi=None):
    phi = Sine() if phi is None else phi
    return random_system(jax.random.key(seed), phi, n=3, p=2, normalisation="own", scale=1.5)


@pytest.mark.slow
def test_linear_policy_against_scipy():
    for seed in range(3):
        system = make(seed)
        A, B, C, Q, R = (np.asarray(M) for M in (system.A, system.B, system.C, system.Q, system.R))
        P = scipy.linalg.solve_discrete_are(A, B, Q, R)
        gain = np.linalg.solve(R + B.T @ P @ B, B.T @ P)
        found = linear_policy(system)
        # Closed loops with radius well below 1: the Riccati problem is conditioned below 1e3.
        np.testing.assert_allclose(found.P, P, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(found.K, gain @ np.hstack([A, C]), rtol=1e-12, atol=1e-12)


def test_linear_policy_minimises_cost_plus_linear_cost_to_go():
    # For given φ(x), u = -K ψ(x) is stationary in x'Qx + u'Ru + next' P next.
    system = make(5)
    found = linear_policy(system)
    x = jnp.array([0.3, -2.0, 1.1])

    def one_step(u):
        after = next_state(system, x, u)
        return stage_cost(system, x, u) + after @ found.P @ after

    slope = jax.grad(one_step)(control(system, found.K, x))
    np.testing.assert_allclose(slope, 0.0, atol=1e-12)


@pytest.mark.slow
def test_linear_policy_in_batches_and_without_features():
    keys = jax.random.split(jax.random.key(0), 3)
    draw = lambda k: random_system(k, Sine(), n=3, p=2, normalisation="own")  # noqa: E731
    together = jax.vmap(lambda k: linear_policy(draw(k)))(keys)
    assert together.K.shape == (3, 2, 6)
    np.testing.assert_allclose(together.K[1], linear_policy(draw(keys[1])).K, atol=1e-13)
    assert linear_policy(make(0, Zero(0))).K.shape == (2, 3)


def test_without_a_stabilising_solution_the_status_says_so():
    system = make(0)
    stuck = replace(system, A=2 * jnp.eye(3), B=jnp.zeros((3, 2)))
    found = linear_policy(stuck)
    assert found.status == EquationStatus.NOT_STABILISABLE
    assert np.all(np.isnan(found.K))
    assert linear_policy(system).status == EquationStatus.SOLVED


@pytest.mark.slow
def test_policies_keep_single_precision():
    system = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), make(1))
    for K in (
        linear_policy(system).K,
        zero_policy(system),
        random_policy(jax.random.key(0), system),
    ):
        assert K.dtype == jnp.float32
    # The Riccati problem is conditioned below 1e3: 1e-4 at a rounding unit of 1.2e-7.
    np.testing.assert_allclose(linear_policy(system).K, linear_policy(make(1)).K, atol=1e-4)


def test_zero_and_random_policies():
    system = make(0)
    np.testing.assert_array_equal(zero_policy(system), np.zeros((2, 6)))
    keys = jax.random.split(jax.random.key(1), 3000)
    K = np.asarray(jax.vmap(lambda k: random_policy(k, system, 2.0))(keys))
    np.testing.assert_allclose(np.linalg.norm(K, axis=(1, 2)), 2.0, rtol=1e-14)
    # Isotropy: E vec vec' = 4/12 I; the entries' standard deviations are below 0.45.
    second = np.einsum("si,sj->ij", K.reshape(-1, 12), K.reshape(-1, 12)) / 3000
    np.testing.assert_allclose(second, np.eye(12) / 3, atol=5 * 0.45 / np.sqrt(3000))
