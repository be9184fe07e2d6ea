"""Units of a plant: exact powers of two that follow those of its user."""

import jax.numpy as jnp
import numpy as np
import pytest

from fineq.fast.lanes import Lanes, Stack
from fineq.nlqr.units import guess, of_value, scale


@pytest.mark.parametrize("ops", [Lanes, Stack])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_scaling_is_exact(ops, dtype):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 3, 2)).astype(dtype)
    rows, columns = rng.integers(-40, 41, (5, 3, 1)), rng.integers(-40, 41, (5, 2, 1))
    given = [ops.load(jnp.asarray(part)) for part in (x, rows.astype(dtype), columns.astype(dtype))]
    expected = np.ldexp(np.ldexp(x, rows), np.swapaxes(columns, 1, 2))
    np.testing.assert_array_equal(ops.store(scale(ops, *given)), expected)


@pytest.mark.parametrize("ops", [Lanes, Stack])
def test_guessed_units_follow_the_users(ops):
    """Also where an input has no price, a state no cost, or nothing reaches it."""
    rng = np.random.default_rng(1)
    J, n, p = 6, 4, 2
    A, B = rng.normal(size=(J, n, n)), rng.normal(size=(J, n, p))
    root = rng.normal(size=(J, n, n))
    Q, R = root @ np.swapaxes(root, 1, 2), np.tile(np.eye(p), (J, 1, 1))
    Q[1], R[2] = 0, 0
    Q[3], R[3], A[3] = np.diag([1.0, 0, 0, 0]), 0, np.eye(n, k=1)
    B[3] = np.eye(n)[:, -p:]
    A[4, :2, 2:], B[4, :2] = 0, 0
    states, inputs = rng.integers(-40, 41, (J, n, 1)), rng.integers(-40, 41, (J, p, 1))
    t, s = np.exp2(states), np.exp2(inputs)
    row_t, row_s = np.swapaxes(t, 1, 2), np.swapaxes(s, 1, 2)
    moved = A * row_t / t, B * row_s / t, Q * t * row_t, R * s * row_s
    first = guess(ops, *(ops.load(jnp.asarray(x)) for x in (A, B, Q, R)))
    second = guess(ops, *(ops.load(jnp.asarray(x)) for x in moved))
    np.testing.assert_array_equal(ops.store(first.states) - ops.store(second.states), states)
    np.testing.assert_array_equal(ops.store(first.inputs) - ops.store(second.inputs), inputs)


def test_units_of_a_value_make_its_diagonal_about_one():
    P = np.diag([3.0e20, 1.0, 5e-30, 0.0])[None]
    units = of_value(Stack, jnp.asarray(P), jnp.asarray(P[:, :2, :2]))
    ones = np.diagonal(scale(Stack, jnp.asarray(P), units.states, units.states)[0])
    assert np.all((ones[:3] > 0.5) & (ones[:3] < 2.5))
    assert ones[3] == 0
