"""Costs of T steps against sums over trajectories, and derivatives by independent routes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chex import assert_trees_all_close

from fineq.errors import InputError
from fineq.nlqr.adjoint import cost_and_gradient
from fineq.nlqr.costs import (
    cost,
    regressor_sum,
)
from fineq.nlqr.features import Custom, Products, Sine, Tanh
from fineq.nlqr.problem import control, next_state, stage_cost
from fineq.nlqr.rollout import trajectory
from tests.nlqr.plants import make_points, random_case

rolled = jax.jit(trajectory, static_argnums=3)


@pytest.mark.parametrize("horizon", [1, 4, 37])
def test_cost_is_the_weighted_sum_over_trajectories(horizon):
    K, system, points = random_case(0, Sine())
    want = sum(
        w * jnp.sum(rolled(K, x, system, horizon).costs)
        for w, x in zip(points.weights, points.points, strict=True)
    )
    got = jax.jit(cost, static_argnums=3)(K, system, points, horizon)
    np.testing.assert_allclose(got, want, rtol=1e-13)


# 40 is beyond what is stored whole, with a rest: 6 stretches of 6 steps and 4 more.
@pytest.mark.parametrize("horizon", [3, 40])
@pytest.mark.parametrize("phi", [Sine(), Tanh()])
def test_gradient_against_complex_steps(phi, horizon):
    K, system, points = random_case(1, phi)
    value, gradient = jax.jit(jax.value_and_grad(cost), static_argnums=3)(
        K, system, points, horizon
    )
    # C is analytic: Im C(K + ihE)/h with h = 1e-30 is the derivative to rounding.
    h = 1e-30

    @jax.jit
    def evaluate(K):
        def advance(x, _):
            u = control(system, K, x)
            return next_state(system, x, u), stage_cost(system, x, u)

        def one(x):
            return jnp.sum(jax.lax.scan(advance, x, None, length=horizon)[1])

        return points.weights @ jax.vmap(one)(points.points.astype(complex))

    steps = jnp.eye(K.size).reshape(K.size, *K.shape)
    with jax.numpy_dtype_promotion("standard"):  # real matrices times complex states
        exact = np.array([evaluate(K + 1j * h * E).imag / h for E in steps]).reshape(K.shape)
        whole = evaluate(K + 0j).real
    np.testing.assert_allclose(gradient, exact, rtol=1e-12, atol=1e-12 * np.abs(exact).max())
    np.testing.assert_allclose(value, whole, rtol=1e-13)


@pytest.mark.parametrize("phi", [Products((((1, -1), (1, 1)),)), Custom(lambda x: x[:1] ** 2, 1)])
def test_gradient_with_general_features_against_differentiating_trajectories(phi):
    K, system, points = random_case(2, phi)

    def by_trajectories(K):
        costs = jax.vmap(lambda x: jnp.sum(trajectory(K, x, system, 37).costs))(points.points)
        return points.weights @ costs

    found = jax.jit(cost_and_gradient, static_argnums=3)(K, system, points, 37)
    value, gradient = jax.jit(jax.value_and_grad(by_trajectories))(K)
    np.testing.assert_allclose(found.cost, value, rtol=1e-13)
    np.testing.assert_allclose(found.gradient, gradient, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("horizon", [4, 40])
def test_derivatives_in_system_and_points(horizon):
    K, system, points = random_case(3, Sine())

    def by_trajectories(K, system, points):
        costs = jax.vmap(lambda x: jnp.sum(trajectory(K, x, system, horizon).costs))(points.points)
        return points.weights @ costs

    ours = jax.jit(
        jax.grad(lambda K, system, points: cost(K, system, points, horizon), argnums=(0, 1, 2))
    )
    theirs = jax.jit(jax.grad(by_trajectories, argnums=(0, 1, 2)))
    found, expected = ours(K, system, points), theirs(K, system, points)
    assert_trees_all_close(found, expected, rtol=1e-10, atol=1e-11)


@pytest.mark.slow
def test_hessian_by_forward_over_reverse():
    K, system, points = random_case(4, Sine())
    gradient = jax.jit(jax.grad(lambda flat: cost(flat.reshape(K.shape), system, points, 40)))
    H = jax.jit(jax.jacfwd(gradient))(K.ravel())
    step = 1e-5  # error step²/6 f'''' ~ 1e-10 and rounding 1e-16/step ~ 1e-11 of f''
    columns = [
        (gradient(K.ravel() + step * e) - gradient(K.ravel() - step * e)) / (2 * step)
        for e in np.eye(K.size)
    ]
    np.testing.assert_allclose(H, np.stack(columns, axis=1), rtol=1e-6, atol=1e-6 * np.abs(H).max())
    np.testing.assert_allclose(H, H.T, atol=1e-12 * np.abs(H).max())


@pytest.mark.slow
def test_reverse_memory_grows_like_the_root_of_the_horizon():
    K, system, points = random_case(5, Sine(), num_points=64)

    def bytes_needed(horizon, wrt):
        def value(K, system, points):
            return cost(K, system, points, horizon)

        compiled = jax.jit(jax.grad(value, argnums=wrt)).lower(K, system, points).compile()
        analysis = compiled.memory_analysis()
        assert analysis is not None
        return analysis.temp_size_in_bytes

    for wrt in (0, 1):
        # 16 times the steps: 4 times the states kept; whole storage would need 16 times.
        assert bytes_needed(6400, wrt) < 6 * bytes_needed(400, wrt)


def test_regressor_sum_against_trajectories():
    K, system, points = random_case(7, Sine())
    want = np.zeros((4, 4))
    for w, x0 in zip(points.weights, points.points, strict=True):
        states = np.asarray(rolled(K, x0, system, 36).states)[:-1]
        psi = np.concatenate([states, 0.7 * np.sin(states)], axis=1)
        want += float(w) * psi.T @ psi
    got = jax.jit(regressor_sum, static_argnums=3)(K, system, points, 36)
    np.testing.assert_allclose(got, want, rtol=1e-12)


@pytest.mark.parametrize(
    ("K_shape", "n", "horizon", "message"),
    [
        ((2, 4), 2, 0, "horizon must be at least 1, got 0"),
        ((2, 3), 2, 1, r"K must have shape \(2, 4\), got \(2, 3\)"),
        ((2, 4), 3, 1, r"points must have shape \(S, 2\) for this system, got \(1, 3\)"),
    ],
)
def test_wrong_arguments_are_named(K_shape, n, horizon, message):
    _, system, _ = random_case(9, Sine())
    with pytest.raises(InputError, match=message):
        cost(jnp.zeros(K_shape), system, make_points(jnp.zeros(n)), horizon)
