"""Gradient descent of the two-layer network against automatic differentiation and a plain loop."""

import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fineq
from fineq.errors import InputError
from fineq.iterate import Interrupted
from fineq.ntk.kernel_descent import KernelDescent
from fineq.ntk.network import Weights, draw_weights, evaluate
from fineq.ntk.problem import make_regression
from fineq.ntk.step_size import largest_eigenvalue
from fineq.ntk.training import NetworkTraining

KEY = jax.random.key(5)


def problem(dtype=np.float64, N=12, M=5, d=2):
    rng = np.random.default_rng(0)
    z, y, fresh = (rng.normal(size=s).astype(dtype) for s in ((N, 3), (N, d), (M, 3)))
    return make_regression(z, y, fresh)


def plain(W, A, z):
    return jax.nn.relu(z @ W.T) @ A / np.sqrt(len(W))


# 22 units in groups of 4: the last is filled up.
@pytest.mark.parametrize(
    ("initialisation", "units"),
    [pytest.param("symmetric", 4, marks=pytest.mark.slow), ("subtracted", 4), ("plain", 64)],
)
def test_a_step_is_the_gradient_of_the_loss_by_differentiation(initialisation, units):
    given, eta = problem(), 0.3
    first = draw_weights(KEY, 22, 3, 2, initialisation)
    kept = float(initialisation == "subtracted")

    def f(W, z):
        return plain(W, first.A, z) - kept * plain(first.W, first.A, z)

    def loss(W):
        return jnp.sum((f(W, given.z) - given.labels) ** 2) / (2 * given.z.shape[0])

    by = NetworkTraining(eta, 22, initialisation, units)
    state, W = by.init(None, given, first), first.W
    if initialisation != "plain":
        np.testing.assert_allclose(state.predictions(), 0, atol=1e-14)
    for _ in range(3):
        state, info = by.step(None, state, given)
        np.testing.assert_allclose(info.loss, loss(W), rtol=1e-12)
        W = W - eta * jax.grad(loss)(W)
        np.testing.assert_allclose(by.value(state, given).W, W, rtol=0, atol=1e-12)
    found = by.measure(state, None, given, None)
    np.testing.assert_allclose(found["train"], f(W, given.z), atol=1e-12)
    np.testing.assert_allclose(found["fresh"], f(W, given.fresh), atol=1e-12)


# Rounding of float32 grows with the steps, the order of one per step of eps |f|.
@pytest.mark.parametrize(("dtype", "atol"), [(np.float64, 1e-12), (np.float32, 2e-5)])
def test_recorded_predictions_are_those_of_a_plain_loop(dtype, atol):
    given, eta = problem(dtype), 0.3
    first = draw_weights(KEY, 16, 3, 2, dtype=dtype)
    found = fineq.solve(
        given, NetworkTraining(eta, 16), start=first, key=KEY, num_steps=20, record=[5]
    )
    W, A = (np.asarray(x, np.float64) for x in first)
    z, y = np.asarray(given.z, np.float64), np.asarray(given.labels, np.float64)
    for k in range(21):
        if k in (0, 5, 20):
            r = list(found.trace.iterations).index(k)
            f = np.maximum(z @ W.T, 0) @ A / 4
            np.testing.assert_allclose(found["train"][r], f, atol=atol)
        if k == 20:
            np.testing.assert_allclose(found.value.W, W, atol=atol)
        active = (z @ W.T > 0).astype(float)
        residual = (active * (z @ W.T)) @ A / 4 - y
        W = W - eta / 12 * ((residual @ A.T / 4) * active).T @ z
    np.testing.assert_array_equal(found.value.A, first.A)
    np.testing.assert_allclose(evaluate(found.value, given.fresh), found["fresh"][-1], atol=atol)
    assert found["fresh"].dtype == evaluate(found.value, given.fresh).dtype == dtype
    assert found.status == fineq.Status.BUDGET


@pytest.mark.slow
def test_networks_side_by_side_are_networks_one_by_one():
    given = problem()

    def end(key, eta):
        return fineq.unroll(given, NetworkTraining(eta, 8), key=key, num_steps=3)[0]

    keys, sizes = jax.random.split(KEY, 3), jnp.array([0.1, 0.2, 0.3])
    together = jax.vmap(end)(keys, sizes)
    for s, (key, eta) in enumerate(zip(keys, sizes)):
        alone = end(key, eta)
        np.testing.assert_allclose(together.W[s], alone.W, atol=1e-14)
        np.testing.assert_array_equal(together.A[s], alone.A)


@pytest.mark.slow
def test_a_wide_network_is_near_kernel_descent():
    """`ntk/coupling`: 64 times the width, an eighth of the distance; one seed scatters by a third,
    so 5 of them, and the square root of 1/5 of it: between an eighth's half and double."""
    given, eta = problem(), 0.3
    kernel = fineq.solve(given, KernelDescent(eta), num_steps=10)["fresh"][-1]

    def distance(width):
        ends = [
            fineq.solve(
                given, NetworkTraining(eta, width), key=key, num_steps=10, reference=kernel
            )["distance"][-1]
            for key in jax.random.split(KEY, 5)
        ]
        return np.sqrt(np.mean(np.square(ends)))

    assert 4 < distance(128) / distance(128 * 64) < 16


def test_a_step_above_the_limit_diverges():
    given = problem()
    limit = 2 / float(largest_eigenvalue(given.z))
    wild, tame = (
        fineq.solve(given, NetworkTraining(c * limit, 512), key=KEY, num_steps=300)
        for c in (4, 0.5)
    )
    assert (wild.status, tame.status) == (fineq.Status.DIVERGED, fineq.Status.BUDGET)
    after = wild.trace.iterations >= wild.stats.diverged_at
    assert np.all(np.isnan(wild["train"][after]))
    assert np.all(np.isfinite(wild["train"][wild.trace.valid]))


def test_a_loss_has_risen_beyond_a_hundred_times_that_of_plain_starts():
    given = problem()
    given = given._replace(labels=1.5 * given.labels)  # both terms of the loss of a start count
    by, num = NetworkTraining(0.1, 64, "plain"), 1600

    def seen(weights):
        return by.step(None, by.init(None, given, weights), given)[1]

    def start(key):
        return draw_weights(key, 64, 3, 2, "plain", np.float64)

    starts = jax.vmap(start)(jax.random.split(KEY, num))
    usual = jax.jit(jax.vmap(seen))(starts).loss
    size, error = np.mean(usual), np.std(usual) / np.sqrt(num)
    scales = np.geomspace(1, 100, 60)
    W, A = start(KEY)
    found = jax.jit(jax.vmap(seen))(
        Weights(jnp.asarray(scales[:, None, None] * np.asarray(W)), jnp.stack([A] * 60))
    )
    below, above = (found.loss < 100 * (size + side * 5 * error) for side in (-1, 1))
    assert below.any()
    assert not above.all()
    assert not found.risen[below].any()
    assert found.risen[~above].all()
    assert 5 * error < 0.1 * size


class Memory:
    """A store that keeps the last snapshot."""

    def __init__(self):
        self.kept = {}

    def save(self, name, snapshot):
        self.kept[name] = jax.tree.map(np.array, snapshot)

    def load(self, name, like):
        return self.kept.get(name)


def test_an_interrupted_run_resumes_to_the_same_bits():
    given, by = problem(), NetworkTraining(0.3, 8)
    whole = fineq.solve(given, by, key=KEY, num_steps=60)
    store, seen = Memory(), []

    def stop(event):
        if event.phase == "running" and event.iteration > 0 and not seen:
            seen.append(event)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        fineq.solve(given, by, key=KEY, num_steps=60, store=store, progress=stop)
    again = fineq.solve(given, by, key=KEY, num_steps=60, store=store)
    np.testing.assert_array_equal(again["train"], whole["train"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"width": 3}, "width must be even"),
        ({"width": 0}, "width must be at least 1"),
        ({"initialisation": "zero"}, "initialisation must be one of symmetric"),
        ({"units": 0}, "units must be at least 1"),
    ],
)
def test_impossible_networks_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        NetworkTraining(0.1, **options)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (Weights(np.ones((8, 3)), np.ones((8, 1))), r"start must hold W \(8, 3\) and A \(8, 2\)"),
        (Weights(np.ones((6, 3)), np.ones((6, 2))), r"start must hold W \(8, 3\)"),
        (Weights(np.ones((8, 3)), np.ones((6, 2))), r"weights must be W \[m, D\]"),
    ],
)
def test_a_start_that_does_not_fit_is_refused(start, words):
    with pytest.raises(InputError, match=words):
        fineq.solve(problem(), NetworkTraining(0.1, 8), start=start, key=KEY, num_steps=1)
