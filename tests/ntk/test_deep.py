"""Deeper networks: a step against finite differences, Adam against its formula, and batches."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fineq
from fineq.errors import InputError
from fineq.ntk.deep import DeepTraining, Perceptron
from fineq.ntk.problem import make_regression

KEY = jax.random.key(2)


def regression(N=16, dtype=float):
    rng = np.random.default_rng(0)
    z, fresh = rng.normal(size=(N, 3)), rng.normal(size=(4, 3))
    labels = np.stack([np.sin(z[:, 0]), z[:, 1] * z[:, 2]], axis=1)
    return make_regression(*(x.astype(dtype) for x in (z, labels, fresh)))


def perceptron(params, z):
    """Two hidden layers, written out."""
    layers = params["params"]

    def affine(z, i):
        return z @ layers[f"Dense_{i}"]["kernel"] + layers[f"Dense_{i}"]["bias"][None]

    return affine(jnp.maximum(affine(jnp.maximum(affine(z, 0), 0), 1), 0), 2)


def slope(params, given):
    """The gradient of the loss, by differentiation of the plain formula."""

    def loss(params):
        return jnp.sum((perceptron(params, given.z) - given.labels) ** 2) / (2 * len(given.z))

    return jax.value_and_grad(loss)(params)


def started(by, given):
    """A state whose every parameter has a gradient; the usual start has none below the last."""
    params = by.parameters(KEY, given)
    return by.init(None, given, jax.tree.map(lambda x: x + 0.1, params))


def test_first_steps_are_those_of_the_formulas():
    given = regression()
    by = DeepTraining(0.1, 8, 2, "sgd")
    state = started(by, given)
    loss, gradient = slope(state.params, given)
    after, info = by.step(None, state, given)
    expected = jax.tree.map(lambda W, g: W - 0.1 * g, state.params, gradient)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-13), after.params, expected)
    np.testing.assert_allclose(info.loss, loss, rtol=1e-12)
    adam = DeepTraining(0.1, 8, 2, "adam")
    after, _ = adam.step(None, started(adam, given), given)
    # Adam's first step has the length of the rate in every coordinate, up to its 1e-8.
    expected = jax.tree.map(lambda W, g: W - 0.1 * g / (np.abs(g) + 1e-8), state.params, gradient)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-9), after.params, expected)


@pytest.mark.slow
def test_a_batch_is_drawn_without_replacement_and_by_the_key():
    given = regression()
    whole, batch = (DeepTraining(0.1, 8, 2, "sgd", size) for size in (16, 4))
    state = started(whole, given)
    all_data = DeepTraining(0.1, 8, 2, "sgd").step(None, state, given)[0].params
    same = whole.step(KEY, state, given)[0].params
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-13), same, all_data)
    one, two = (batch.step(jax.random.key(s), state, given)[1].loss for s in (0, 1))
    assert one != two


def test_perceptron_has_its_layers_and_starts_at_zero():
    z = regression(dtype=jnp.float32).z
    module = Perceptron(8, 3, 2)
    params: Any = module.init(KEY, z)
    shapes = [params["params"][f"Dense_{i}"]["kernel"].shape for i in range(4)]
    assert shapes == [(3, 8), (8, 8), (8, 8), (8, 2)]
    f: Any = module.apply(params, z)
    assert f.dtype == jnp.float32
    np.testing.assert_array_equal(f, 0)


@pytest.mark.slow
def test_adam_fits_what_it_is_given_and_records_it():
    given = regression()
    found = fineq.solve(
        given, DeepTraining(0.01, 32, 2, "adam", 8), key=KEY, num_steps=400, record=[10]
    )
    assert list(found.trace.iterations) == [0, 10, 400]
    assert found["fresh"].shape == (3, 4, 2)
    np.testing.assert_array_equal(found["train"][0], 0)
    loss = np.sum((found["train"] - np.asarray(given.labels)) ** 2, (1, 2)) / 32
    np.testing.assert_allclose(found["loss"], loss, rtol=1e-10)
    # 16 smooth labels and 1000 parameters: interpolation, at the noise of the minibatches.
    assert loss[-1] < 0.01 * loss[0]
    np.testing.assert_allclose(perceptron(found.value, given.fresh), found["fresh"][-1], atol=1e-12)


def test_the_precision_is_that_of_the_data_whatever_the_rate():
    given = regression(dtype=np.float32)
    by = DeepTraining(jnp.float64(0.01), 8, 1)
    found = fineq.solve(given, by, key=KEY, num_steps=2)
    assert {x.dtype for x in jax.tree.leaves(found.value)} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"width": 0}, "width must be at least 1"),
        ({"depth": 0}, "depth must be at least 1"),
        ({"rule": "lion"}, "adam, sgd"),
        ({"batch": 17}, "between 1 and the 16"),
    ],
)
def test_bad_input_is_refused(options, words):
    with pytest.raises(InputError, match=words):
        fineq.solve(regression(), DeepTraining(0.01, **options), key=KEY, num_steps=1)
