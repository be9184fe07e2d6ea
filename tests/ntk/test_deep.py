"""Deeper networks: a step against finite differences, Adam against its formula, and batches."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fineq.errors import InputError
from fineq.ntk.deep import Fitting, Perceptron, fit, make_step
from fineq.ntk.training import Data

KEY = jax.random.key(2)


def regression(N=16, eta=0.01, dtype=float):
    rng = np.random.default_rng(0)
    z, fresh = rng.normal(size=(N, 3)), rng.normal(size=(4, 3))
    labels = np.stack([np.sin(z[:, 0]), z[:, 1] * z[:, 2]], axis=1)
    return Data(*(jnp.asarray(x, dtype) for x in (z, labels, fresh, eta)))


def linear(params, z):
    return z @ params


def slope(W, data):
    """The gradient of the loss of a linear model."""
    return data.z.T @ (data.z @ W - data.labels) / data.z.shape[0]


def test_first_steps_are_those_of_the_formulas():
    data, W = regression(), jnp.ones((3, 2))
    sgd = optax.sgd(0.1)
    state, info = make_step(linear, sgd)(KEY, Fitting(W, sgd.init(W)), data)
    np.testing.assert_allclose(state.params, W - 0.1 * slope(W, data), atol=1e-14)
    half = np.sum((data.z @ W - data.labels) ** 2) / 32
    np.testing.assert_allclose(info.loss, half, rtol=1e-12)
    adam = optax.adam(0.1)
    state, _ = make_step(linear, adam)(KEY, Fitting(W, adam.init(W)), data)
    # Adam's first step has the length of the rate in every coordinate, up to its 1e-8.
    np.testing.assert_allclose(state.params, W - 0.1 * np.sign(slope(W, data)), atol=1e-6)


def test_a_batch_is_drawn_without_replacement_and_by_the_key():
    data, W, sgd = regression(), jnp.ones((3, 2)), optax.sgd(0.1)
    state = Fitting(W, sgd.init(W))
    everything = make_step(linear, sgd, 16)(KEY, state, data)[0].params
    np.testing.assert_allclose(everything, W - 0.1 * slope(W, data), atol=1e-14)
    one, two = (make_step(linear, sgd, 4)(jax.random.key(s), state, data)[0] for s in (0, 1))
    assert not np.allclose(one.params, two.params)


def test_perceptron_has_its_layers_and_starts_at_zero():
    z = regression(dtype=jnp.float32).z
    module = Perceptron(8, 3, 2)
    params: Any = module.init(KEY, z)
    shapes = [params["params"][f"Dense_{i}"]["kernel"].shape for i in range(4)]
    assert shapes == [(3, 8), (8, 8), (8, 8), (8, 2)]
    f: Any = module.apply(params, z)
    assert f.dtype == jnp.float32
    np.testing.assert_array_equal(f, 0)


def test_adam_fits_what_it_is_given_and_records_it():
    data = regression()
    trace = fit(KEY, data, num_steps=400, width=32, batch=8, record=[10])
    assert list(trace.iterations) == [0, 10, 400]
    assert trace.metrics["fresh"].shape == (3, 4, 2)
    np.testing.assert_array_equal(trace.metrics["train"][0], 0)
    loss = np.sum((trace.metrics["train"] - np.asarray(data.labels)) ** 2, (1, 2)) / 32
    np.testing.assert_allclose(trace.metrics["loss"], loss, rtol=1e-10)
    # 16 smooth labels and 1000 parameters: interpolation, at the noise of the minibatches.
    assert loss[-1] < 0.01 * loss[0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"width": 0}, "deep.width"),
        ({"depth": 0}, "deep.depth"),
        ({"rule": "lion"}, "adam, sgd"),
        ({"batch": 17}, "between 1 and the 16"),
    ],
)
def test_bad_input_is_refused(options, words):
    with pytest.raises(InputError, match=words):
        fit(KEY, regression(), num_steps=1, **options)
