"""Gradient descent of the two-layer network against automatic differentiation and a plain loop."""

import os
import signal
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.errors import InputError
from fineq.iterate import Interrupted
from fineq.ntk.network import TwoLayer, Weights, draw, predict
from fineq.ntk.tangent import gram
from fineq.ntk.training import (
    begin,
    gradient_step,
    largest_eigenvalue,
    make_data,
    predictions,
    train,
    weights_of,
)

KEY = jax.random.key(5)


def problem_data(dtype=np.float64, N=12, M=5, d=2, eta=0.3):
    rng = np.random.default_rng(0)
    z, y, fresh = (rng.normal(size=s).astype(dtype) for s in ((N, 3), (N, d), (M, 3)))
    return make_data(z, y, fresh, eta)


# 22 units in groups of 4: the last is filled up.
@pytest.mark.parametrize(("start", "units"), [("symmetric", 4), ("subtracted", 4), ("plain", 64)])
def test_a_step_is_the_gradient_of_the_loss_of_the_flax_module(start, units):
    data, width = problem_data(), 22
    module = TwoLayer(width, 2, start)
    variables: Any = module.init(KEY, data.z)
    W, fixed = variables["params"]["W"], variables["fixed"]
    weights = Weights(W, fixed["A"])

    def loss(W):
        f = module.apply({"params": {"W": W}, "fixed": fixed}, data.z)
        assert isinstance(f, jax.Array)
        return jnp.sum((f - data.labels) ** 2) / (2 * data.z.shape[0])

    state, problem = begin(weights, data, start, units)
    for _ in range(3):
        expected = W - data.eta * jax.grad(loss)(W)
        state, info = gradient_step(state, problem)
        np.testing.assert_allclose(info.loss, loss(W), rtol=1e-12)
        W = expected
        np.testing.assert_allclose(weights_of(state.W, width), W, rtol=0, atol=1e-12)
    f = module.apply({"params": {"W": W}, "fixed": fixed}, data.z)
    found = predictions(state, gradient_step(state, problem)[1], problem)
    np.testing.assert_allclose(found["train"], f, atol=1e-12)
    g = module.apply({"params": {"W": W}, "fixed": fixed}, data.fresh)
    np.testing.assert_allclose(found["fresh"], g, atol=1e-12)


# Rounding of float32 grows with the steps, the order of one per step of eps |f|.
@pytest.mark.parametrize(("dtype", "atol"), [(np.float64, 1e-12), (np.float32, 2e-5)])
def test_recorded_predictions_are_those_of_a_plain_loop(dtype, atol):
    data = problem_data(dtype)
    trace = train(KEY, data, 16, num_steps=20, record=[5], keep_weights=True)
    W, A = (np.asarray(x, np.float64) for x in draw(KEY, 16, 3, 2, dtype=dtype))
    z, y = np.asarray(data.z, np.float64), np.asarray(data.labels, np.float64)
    for k in range(21):
        if k in (0, 5, 20):
            r = list(trace.iterations).index(k)
            np.testing.assert_allclose(trace.metrics["W"][r], W, atol=atol)
            f = np.maximum(z @ W.T, 0) @ A / 4
            np.testing.assert_allclose(trace.metrics["train"][r], f, atol=atol)
        active = (z @ W.T > 0).astype(float)
        residual = (active * (z @ W.T)) @ A / 4 - y
        W = W - float(data.eta) / 12 * ((residual @ A.T / 4) * active).T @ z
    assert trace.metrics["fresh"].dtype == dtype
    assert trace.stop_reason == "budget"


def test_networks_side_by_side_are_networks_one_by_one():
    data = problem_data()
    made = [begin(draw(jax.random.key(s), 8, 3, 2), data) for s in range(3)]
    states = jax.tree.map(lambda *x: jnp.stack(x), *[m[0] for m in made])
    signs = jnp.stack([m[1].A for m in made])

    def step(state, A):
        return gradient_step(state, made[0][1]._replace(A=A))[0]

    together = jax.vmap(step)(states, signs)
    for s, (state, problem) in enumerate(made):
        alone = gradient_step(state, problem)[0]
        np.testing.assert_allclose(together.W[s], alone.W, atol=1e-14)
        np.testing.assert_allclose(together.sums[s], alone.sums, atol=1e-13)


@pytest.mark.parametrize("num", [20, 600])
def test_largest_eigenvalue(num):
    z = np.random.default_rng(1).normal(size=(num, 3))
    expected = np.linalg.eigvalsh(np.asarray(gram(z)) / num)[-1]
    np.testing.assert_allclose(largest_eigenvalue(z), expected, rtol=1e-6)  # Ritz value at 600


def test_a_step_above_the_limit_is_refused_and_diverges_when_forced():
    data = problem_data()
    limit = 2 / float(largest_eigenvalue(data.z))
    with pytest.raises(InputError, match=f"2/λ_max = {limit:.4g}"):
        make_data(data.z, data.labels, data.fresh, 1.01 * limit)
    wild = make_data(data.z, data.labels, data.fresh, 4 * limit, force=True)
    trace = train(KEY, wild, 512, num_steps=300)
    assert trace.stop_reason == "diverged"
    assert np.all(np.isnan(trace.metrics["train"][trace.iterations >= trace.diverged_at]))
    assert np.all(np.isfinite(trace.metrics["train"][trace.valid]))
    assert train(KEY, data, 512, num_steps=300).stop_reason == "budget"


class Memory:
    """A store that keeps the last snapshot."""

    def __init__(self):
        self.kept = {}

    def save(self, name, snapshot):
        self.kept[name] = jax.tree.map(np.array, snapshot)

    def load(self, name, like):
        return self.kept.get(name)


def test_an_interrupted_run_resumes_to_the_same_bits():
    data = problem_data()
    whole = train(KEY, data, 8, num_steps=60)
    store, seen = Memory(), []

    def stop(event):
        if event.phase == "running" and event.iteration > 0 and not seen:
            seen.append(event)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        train(KEY, data, 8, num_steps=60, store=store, progress=stop)
    again = train(KEY, data, 8, num_steps=60, store=store)
    np.testing.assert_array_equal(again.metrics["train"], whole.metrics["train"])


@pytest.mark.parametrize(
    ("z", "y", "words"),
    [
        (np.ones((3, 2)), np.ones((2, 1)), "labels"),
        (np.full((3, 2), np.nan), np.ones((3, 1)), "finite"),
        (np.ones((0, 2)), np.ones((0, 1)), "at least one"),
    ],
)
def test_bad_data_are_refused(z, y, words):
    with pytest.raises(InputError, match=words):
        make_data(z, y)


def test_prediction_of_the_trained_weights():
    data = problem_data()
    trace = train(KEY, data, 8, num_steps=4, keep_weights=True)
    A = draw(KEY, 8, 3, 2).A
    found = predict(Weights(jnp.asarray(trace.metrics["W"][-1]), A), data.fresh)
    np.testing.assert_allclose(found, trace.metrics["fresh"][-1], atol=1e-13)
