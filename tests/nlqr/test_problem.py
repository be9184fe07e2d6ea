"""The types of a control problem against plain NumPy, and their behaviour as pytrees."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.nlqr.features import Sine, Tanh
from fineq.nlqr.laws import Sphere
from fineq.nlqr.problem import Features, Problem, control, next_state, psi, split_policy, stage_cost
from fineq.nlqr.random_systems import random_system


@pytest.fixture
def system():
    return random_system(jax.random.key(3), Sine(), n=3, p=2, normalisation="own", scale=0.7)


def test_one_step_is_the_printed_equation(system):
    x, K = np.array([0.3, -1.2, 2.0]), np.arange(12.0).reshape(2, 6) / 10
    phi = 0.7 * np.sin(x)
    u = -(K[:, :3] @ x + K[:, 3:] @ phi)
    A, B, C, Q, R = (np.asarray(M) for M in (system.A, system.B, system.C, system.Q, system.R))
    # Sums of at most 6 products of entries below 10: a few units of the last place of 10.
    close = partial(np.testing.assert_allclose, rtol=1e-14, atol=1e-14)
    close(psi(system, jnp.asarray(x)), np.r_[x, phi])
    close(control(system, jnp.asarray(K), jnp.asarray(x)), u)
    after = next_state(system, jnp.asarray(x), jnp.asarray(u))
    close(after, A @ x + B @ u + C @ phi)
    cost = stage_cost(system, jnp.asarray(x), jnp.asarray(u))
    close(cost, x @ Q @ x + u @ R @ u)
    K1, K2 = split_policy(jnp.asarray(K), 3)
    assert (K1.shape, K2.shape) == ((2, 3), (2, 3))
    assert system.policy_shape == (2, 6)


@pytest.mark.slow
def test_a_batch_of_systems_equals_one_by_one(system):
    keys = jax.random.split(jax.random.key(0), 4)
    batch = jax.vmap(lambda k: random_system(k, Sine(), n=3, p=2, normalisation="own"))(keys)
    assert (batch.n, batch.p, batch.d) == (3, 2, 3)
    x, u = jnp.array([0.1, 0.2, -0.3]), jnp.array([1.0, -1.0])
    together = jax.vmap(lambda s: next_state(s, x, u))(batch)
    for i in range(4):
        one = jax.tree.map(lambda leaf, i=i: leaf[i], batch)
        np.testing.assert_allclose(together[i], next_state(one, x, u), rtol=1e-14)


def test_phi_is_static_and_numbers_are_traced(system):
    traces = []

    @jax.jit
    def step(problem, x):
        traces.append(problem.system.phi)
        return psi(problem.system, x).sum()

    x = jnp.ones(3)
    law = Sphere(1.0, 3)
    first = step(Problem(system, law), x)
    other = jax.tree.map(lambda leaf: 2 * leaf, system)
    assert step(Problem(other, law), x) > first
    assert traces == [Sine()]
    with_tanh = type(system)(*jax.tree.leaves(system), phi=Tanh())
    step(Problem(with_tanh, law), x)
    assert traces == [Sine(), Tanh()]
    assert isinstance(Sine(), Features)


def test_gradient_in_the_scale(system):
    # d/dscale of the feature part of psi is sin(x), since phi is linear in its scale.
    x = jnp.array([0.5, 1.0, -2.0])

    def features(scale):
        moved = type(system)(*jax.tree.leaves(system)[:5], scale=scale, phi=Sine())
        return psi(moved, x)[3:]

    np.testing.assert_allclose(jax.jacfwd(features)(0.7), np.sin(x), rtol=1e-15)
