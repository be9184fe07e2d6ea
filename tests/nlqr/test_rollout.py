"""Rollout costs against a plain Python loop, in every program that computes them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chex import assert_max_traces

from fineq.errors import InputError
from fineq.nlqr.features import Custom, Products, Sine, Tanh, Zero
from fineq.nlqr.lanes import lane_features
from fineq.nlqr.problem import System
from fineq.nlqr.rollout import BLOCK, fits_whole, trajectory
from fineq.nlqr.rollout import rollout_costs as plain_rollout_costs

rollout_costs = jax.jit(plain_rollout_costs, static_argnums=3)

NUMPY = {
    Sine: np.sin,
    Tanh: np.tanh,
}


def make_system(rng, n, p, phi, scale=0.8, dtype=np.float64):
    d = phi.num_features(n)

    def draw(*shape):
        return jnp.asarray((0.4 * rng.normal(size=shape)).astype(dtype))

    half_Q, half_R = rng.normal(size=(n, n)), rng.normal(size=(p, p))
    Q, R = half_Q @ half_Q.T, half_R @ half_R.T + np.eye(p)
    return System(
        draw(n, n),
        draw(n, p),
        draw(n, d),
        jnp.asarray(Q.astype(dtype)),
        jnp.asarray(R.astype(dtype)),
        jnp.asarray(scale, dtype),
        phi,
    )


def features(system, x):
    """φ in NumPy for the coordinatewise kernels; a user's or a product kernel by its definition."""
    function = NUMPY.get(type(system.phi))
    if function is not None:
        return float(system.scale) * function(x)
    return np.asarray(system.phi(jnp.asarray(x), system.scale))


def python_loop(K, x, system, horizon):
    A, B, C, Q, R = (np.asarray(M) for M in (system.A, system.B, system.C, system.Q, system.R))
    total = 0.0
    for _ in range(horizon):
        f = features(system, x)
        u = -K @ np.concatenate([x, f])
        total += x @ Q @ x + u @ R @ u
        x = A @ x + B @ u + C @ f
    return total


def draw_lanes(rng, system, num, dtype=np.float64):
    K = (0.2 * rng.normal(size=(*system.policy_shape, num))).astype(dtype)
    return K, rng.normal(size=(system.n, num)).astype(dtype)


def loop_over_lanes(K, x0, system, horizon):
    return [
        python_loop(K[..., j] if K.ndim == 3 else K, x0[:, j], system, horizon)
        for j in range(x0.shape[1])
    ]


# (n, p, φ, T, J): short ones that are written out, scans with few and with many lanes, one that
# needs several blocks with padding, and sizes beyond each limit of `fineq.fast.products`.
CASES = {
    "whole": (3, 3, Sine(), 4, 7),
    "whole, one step": (2, 1, Tanh(), 1, 3),
    "scan, elementwise": (2, 2, Sine(), 40, 5),
    "scan, zero features": (2, 2, Zero(0), 5, 5),
    "scan, product features": (2, 1, Products((((1, -1), (1, 1)),)), 6, 4),
    "scan, a user's function": (2, 2, Custom(lambda x: x[:1] * jnp.cos(x[1:]), 1), 6, 4),
    "scan by members": (2, 2, Tanh(), 45, 70),
    "blocks": (1, 1, Sine(), 70, BLOCK + 3),
    "large": (9, 4, Sine(), 3, 4),
    "larger": (18, 15, Sine(), 2, 3),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_costs_against_a_python_loop(name):
    n, p, phi, horizon, num = CASES[name]
    rng = np.random.default_rng(len(name))
    system = make_system(rng, n, p, phi)
    assert fits_whole(system, horizon) == name.startswith("whole")
    K, x0 = draw_lanes(rng, system, num)
    K *= 2 / n  # keeps the larger loops from growing
    # Each step rounds a handful of times; errors grow with the loop, which is mild here.
    tolerance = {"rtol": 64 * horizon * np.finfo(float).eps * n}
    expected = loop_over_lanes(K, x0, system, horizon)
    np.testing.assert_allclose(
        rollout_costs(jnp.asarray(K), jnp.asarray(x0), system, horizon), expected, **tolerance
    )
    shared = K[..., 0]
    np.testing.assert_allclose(
        rollout_costs(jnp.asarray(shared), jnp.asarray(x0), system, horizon),
        loop_over_lanes(shared, x0, system, horizon),
        **tolerance,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["whole", "scan by members", "scan, elementwise"])
@pytest.mark.parametrize("shared", [False, True])
def test_members_under_vmap_equal_one_by_one(name, shared):
    n, p, phi, horizon, num = CASES[name]
    rng = np.random.default_rng(5)
    members = [make_system(rng, n, p, phi, scale=0.5 + 0.1 * i) for i in range(4)]
    systems = jax.tree.map(
        lambda *leaves: jnp.stack(leaves).reshape(2, 2, *leaves[0].shape), *members
    )
    lanes = [draw_lanes(rng, members[0], num) for _ in members]
    K = jnp.stack([k[..., 0] if shared else k for k, _ in lanes])
    x0 = jnp.stack([x for _, x in lanes])

    def costs(K, x0, system):
        return rollout_costs(K, x0, system, horizon)

    both = jax.jit(jax.vmap(jax.vmap(costs)))
    got = both(K.reshape(2, 2, *K.shape[1:]), x0.reshape(2, 2, *x0.shape[1:]), systems)
    want = [costs(K[i], x0[i], members[i]) for i in range(4)]
    np.testing.assert_allclose(got.reshape(4, num), want, rtol=1e-12)
    # One policy for all members, and states that differ: only some arguments carry the axis.
    one = jax.vmap(lambda x0: costs(K[0], x0, members[0]))(x0)
    np.testing.assert_allclose(one, [costs(K[0], x0[i], members[0]) for i in range(4)], rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_costs_follow_the_dtype(dtype):
    rng = np.random.default_rng(7)
    for horizon in (3, 40):
        system = make_system(rng, 2, 2, Sine(), dtype=dtype)
        K, x0 = draw_lanes(rng, system, 5, dtype)
        got = rollout_costs(jnp.asarray(K), jnp.asarray(x0), system, horizon)
        assert got.dtype == dtype
        np.testing.assert_allclose(
            got, loop_over_lanes(K, x0, system, horizon), rtol=500 * np.finfo(dtype).eps * horizon
        )


def test_forward_mode_through_a_long_rollout():
    n, p, phi, horizon, num = CASES["scan by members"]
    rng = np.random.default_rng(9)
    system = make_system(rng, n, p, phi)
    K, x0 = draw_lanes(rng, system, num)
    moved = rng.normal(size=K.shape)

    def costs(s):
        return rollout_costs(jnp.asarray(K + 0.0) + s * moved, jnp.asarray(x0), system, horizon)

    _, slope = jax.jvp(costs, (0.0,), (1.0,))
    step = 1e-6  # error step² f'''/6 + eps |f| / step, both about 1e-10 relative
    np.testing.assert_allclose(slope, (costs(step) - costs(-step)) / (2 * step), rtol=1e-6)


def test_a_growing_loop_overflows_without_touching_the_others():
    system = System(
        jnp.array([[1e30]]), jnp.eye(1), jnp.zeros((1, 1)), jnp.eye(1), jnp.eye(1),
        jnp.asarray(1.0), Sine(),
    )  # fmt: skip
    K = jnp.stack([jnp.zeros((1, 2)), jnp.array([[1e30, 0.0]])], axis=-1)
    costs = rollout_costs(K, jnp.ones((1, 2)), system, 12)
    assert not np.isfinite(costs[0])
    # The deadbeat policy: cost of the first step alone, x'x + u'u = 1 + 1e60.
    np.testing.assert_allclose(costs[1], 1 + 1e60, rtol=1e-15)


def test_trajectory_matches_its_costs():
    rng = np.random.default_rng(11)
    system = make_system(rng, 3, 2, Sine())
    K, x0 = 0.2 * rng.normal(size=system.policy_shape), rng.normal(size=3)
    path = trajectory(jnp.asarray(K), jnp.asarray(x0), system, 6)
    assert path.states.shape == (7, 3)
    assert path.controls.shape == (6, 2)
    np.testing.assert_array_equal(path.states[0], x0)
    np.testing.assert_allclose(np.sum(path.costs), python_loop(K, x0, system, 6), rtol=1e-13)
    x = np.asarray(path.states[-2])
    f = features(system, x)
    u = -K @ np.concatenate([x, f])
    np.testing.assert_allclose(path.controls[-1], u, rtol=1e-13)
    following = system.A @ x + system.B @ u + system.C @ f
    np.testing.assert_allclose(path.states[-1], following, rtol=1e-13, atol=1e-14)


def test_features_in_lanes_equal_the_kernel():
    rng = np.random.default_rng(13)
    for phi in (Sine(), Tanh(), Zero(3), Products((((1, -1), (1, 1)), ((1, 1),)))):
        system = make_system(rng, 2, 1, phi)
        x = rng.normal(size=(2, 5))
        want = np.stack([features(system, x[:, j]) for j in range(5)], axis=1)
        np.testing.assert_allclose(lane_features(system, jnp.asarray(x)), want, rtol=2e-15)


@pytest.mark.parametrize(
    ("K_shape", "x_shape", "horizon", "message"),
    [
        ((2, 4), (2, 3), 0, "horizon must be at least 1, got 0"),
        ((2, 4), (3, 3), 2, r"x0 must have shape \(2, J\) for this system, got \(3, 3\)"),
        ((2, 3), (2, 3), 2, r"K must have shape \(2, 4\).*got \(2, 3\)"),
        ((2, 4, 5), (2, 3), 2, r"K must have shape \(2, 4\).*length 3.*got \(2, 4, 5\)"),
    ],
)
def test_wrong_arguments_are_named(K_shape, x_shape, horizon, message):
    system = make_system(np.random.default_rng(0), 2, 2, Sine())
    with pytest.raises(InputError, match=message):
        plain_rollout_costs(jnp.zeros(K_shape), jnp.zeros(x_shape), system, horizon)


@pytest.mark.slow
def test_new_numbers_compile_nothing():
    rng = np.random.default_rng(15)

    @jax.jit
    @assert_max_traces(n=1)
    def compiled(K, x0, system):
        return plain_rollout_costs(K, x0, system, 3)

    for seed in range(3):
        system = make_system(np.random.default_rng(seed), 2, 2, Sine(), scale=0.1 * (1 + seed))
        K, x0 = draw_lanes(rng, system, 4)
        compiled(jnp.asarray(K), jnp.asarray(x0), system)
