"""The two-layer network: its predictions, its start, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.errors import InputError
from fineq.ntk.network import Weights, draw_weights, evaluate


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def test_prediction_in_groups_is_the_sum_over_units():
    W, A, z = normal(0, 37, 3), np.sign(normal(1, 37, 2)), normal(2, 5, 3)
    expected = np.maximum(z @ W.T, 0) @ A / np.sqrt(37)
    # 37 units in groups of 8: the last group is filled up.
    found = evaluate(Weights(jnp.asarray(W), jnp.asarray(A)), z, units=8)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)  # order of summation


def test_prediction_has_the_derivative_of_the_sum():
    W, A, z = (jnp.asarray(normal(s, *shape)) for s, shape in enumerate([(5, 3), (5, 1), (1, 3)]))
    found = jax.grad(lambda z: evaluate(Weights(W, A), z, units=2).sum())(z)
    expected = jnp.where(W @ z[0] > 0, A[:, 0], 0.0) @ W / np.sqrt(5)
    np.testing.assert_allclose(found[0], expected, rtol=1e-12)


def test_symmetric_units_come_in_pairs_that_cancel():
    W, A = draw_weights(jax.random.key(3), 10, 3, 2)
    np.testing.assert_array_equal(W[:5], W[5:])
    np.testing.assert_array_equal(A[:5], -A[5:])
    np.testing.assert_allclose(evaluate(Weights(W, A), normal(0, 6, 3)), 0, atol=1e-14)


def test_draw_is_standard_normal_with_fair_signs():
    W, A = draw_weights(jax.random.key(0), 20_000, 3, 2)
    n = 10_000  # independent units, for they come in pairs
    assert set(np.unique(A)) == {-1.0, 1.0}
    # Five standard errors.
    np.testing.assert_allclose(np.mean(W, axis=0), 0, atol=5 / np.sqrt(n))
    np.testing.assert_allclose(np.cov(W[:n].T), np.eye(3), atol=5 * np.sqrt(2 / n))
    np.testing.assert_allclose(A[:n].T @ A[:n] / n, np.eye(2), atol=5 / np.sqrt(n))
    assert draw_weights(jax.random.key(0), 4, 3, 2, dtype=jnp.float32).W.dtype == jnp.float32


@pytest.mark.parametrize(
    ("width", "initialisation", "words"),
    [(3, "symmetric", "even"), (0, "plain", "at least 1"), (4, "zero", "one of symmetric")],
)
def test_impossible_networks_are_refused(width, initialisation, words):
    with pytest.raises(InputError, match=words):
        draw_weights(jax.random.key(0), width, 2, 1, initialisation)


@pytest.mark.parametrize(
    ("W", "A", "z", "words"),
    [
        (np.ones((4, 3)), np.ones((5, 1)), np.ones((2, 3)), r"W \[m, D\] and A \[m, d\]"),
        (np.ones((4, 3)), np.ones((4, 1)), np.ones((2, 2)), r"\[N, 3\] for these weights"),
        (np.ones((4, 3)), np.ones(4), np.ones((2, 3)), "A must have 2 axes"),
        (np.ones((4, 3)), np.ones((4, 1)), np.ones((2, 3), complex), "z must hold real numbers"),
    ],
)
def test_bad_weights_and_inputs_are_refused(W, A, z, words):
    with pytest.raises(InputError, match=words):
        evaluate(Weights(W, A), z)
