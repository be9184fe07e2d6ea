"""The second-order recursion against nested differentiation of a rollout written out plainly."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.errors import InputError
from fineq.nlqr.adjoint import cost_and_gradient
from fineq.nlqr.expansions import expansion
from fineq.nlqr.features import Products, Sine, Zero
from fineq.nlqr.laws import Points, sphere_points
from fineq.nlqr.policies import linear_policy
from fineq.nlqr.problem import System, control, next_state, stage_cost
from fineq.nlqr.random_systems import random_system

EPS = np.finfo(np.float64).eps
PRODUCTS = Products([[[1, -1], [1, 1]], [[1, 1], [1, 1], [-1, 1]], [[1, -1]]], radius=2.0)


def plain_cost(K, system, points, horizon):
    """One state at a time, from the definitions alone."""
    total = 0.0
    for x, weight in zip(points.points, points.weights, strict=True):
        for _ in range(horizon):
            u = control(system, K, x)
            total = total + weight * stage_cost(system, x, u)
            x = next_state(system, x, u)
    return total


def case(phi, n, p):
    key_system, key_policy = jax.random.split(jax.random.key(5))
    system = random_system(key_system, phi, n=n, p=p, normalisation="joint", scale=0.7)
    K = 0.3 * jax.random.normal(key_policy, system.policy_shape)
    return K, system


@pytest.mark.slow
@pytest.mark.parametrize(
    ("phi", "n", "p", "horizon"), [(Sine(), 2, 1, 4), (PRODUCTS, 2, 2, 3)], ids=["sine", "products"]
)
def test_expansion_is_that_of_the_rollout(phi, n, p, horizon):
    K, system = case(phi, n, p)
    points = sphere_points(n, 1.3, 3)
    found = jax.jit(expansion, static_argnums=3)(K, system, points, horizon)
    plain = jax.jit(lambda K: plain_cost(K, system, points, horizon))
    gradient, hessian = jax.jit(jax.grad(plain)), jax.jit(jax.hessian(plain))
    # Sums of a few hundred terms no larger than the largest entry's own.
    for mine, truth in zip(
        found, (plain(K), gradient(K), hessian(K).reshape(K.size, K.size)), strict=True
    ):
        np.testing.assert_allclose(mine, truth, atol=1e3 * EPS * float(jnp.max(jnp.abs(truth))))


def test_one_step_by_hand():
    """n = p = 1, φ = 0, T = 1: C = (q + r k²) x², so C' = 2 r k x², C'' = 2 r x²."""
    one = jnp.ones((1, 1))
    system = System(one, one, jnp.zeros((1, 0)), 2 * one, 3 * one, jnp.asarray(1.0), Zero(0))
    points = Points(jnp.array([[2.0], [1.0]]), jnp.array([0.25, 0.75]))
    found = expansion(jnp.full((1, 1), 0.5), system, points, 1)
    second_moment = 0.25 * 4 + 0.75
    np.testing.assert_allclose(found.cost, (2 + 3 * 0.25) * second_moment, rtol=4 * EPS)
    np.testing.assert_allclose(found.gradient, [[2 * 3 * 0.5 * second_moment]], rtol=4 * EPS)
    np.testing.assert_allclose(found.hessian, [[2 * 3 * second_moment]], rtol=4 * EPS)


@pytest.mark.slow
def test_half_of_a_symmetric_rule_serves_an_odd_kernel():
    K, system = case(Sine(), 3, 2)
    whole = expansion(K, system, sphere_points(3, 1.5, 5), 6)
    half = expansion(K, system, sphere_points(3, 1.5, 5, half=True), 6)
    for one, other in zip(whole, half, strict=True):
        np.testing.assert_allclose(one, other, atol=1e3 * EPS * float(jnp.max(jnp.abs(one))))


def test_bad_arguments_are_refused():
    K, system = case(Sine(), 2, 1)
    with pytest.raises(InputError, match="horizon must be at least 1, got 0"):
        expansion(K, system, sphere_points(2, 1.0, 2), 0)
    with pytest.raises(InputError, match="K must have shape"):
        expansion(K.T, system, sphere_points(2, 1.0, 2), 3)


@pytest.mark.slow
def test_of_an_asymmetric_cost_the_symmetric_part_counts():
    K, system = case(Sine(), 2, 2)
    skew = jnp.array([[0.0, 0.8], [-0.8, 0.0]])
    tilted = replace(system, Q=system.Q + skew, R=system.R + 0.5 * skew)
    points = sphere_points(2, 1.3, 3)
    plain = jax.jit(lambda K: plain_cost(K, tilted, points, 3))
    whole, first = expansion(K, tilted, points, 3), cost_and_gradient(K, tilted, points, 3)
    truth = jax.grad(plain)(K), jax.hessian(plain)(K).reshape(K.size, K.size)
    for mine, true in zip((whole.gradient, whole.hessian), truth, strict=True):
        np.testing.assert_allclose(mine, true, atol=1e3 * EPS * float(jnp.max(jnp.abs(true))))
    np.testing.assert_allclose(first.gradient, whole.gradient, rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(linear_policy(tilted).K, linear_policy(system).K)
