"""The classifier: its formula, a step's gradient, and digits against logistic regression."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.signal import correlate2d
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

import fineq
from fineq.errors import InputError
from fineq.finetune import (
    ClassifierTraining,
    accuracy,
    conv_classifier,
    labelled,
    perceptron_classifier,
)
from fineq.optimiser import Optimiser

KEY = jax.random.key(3)


def small(dtype=float):
    return perceptron_classifier(KEY, 4, 3, width=5, depth=2, dtype=dtype)


def data(num=12, dtype=float):
    rng = np.random.default_rng(0)
    return labelled(rng.normal(size=(num, 4)).astype(dtype), np.arange(num) % 3)


def digits():
    x, label = load_digits(return_X_y=True)
    order = np.random.default_rng(1).permutation(len(x))
    x, label = (x[order] / 8 - 1).astype(np.float32), label[order]
    return labelled(x[:1300], label[:1300]), labelled(x[1300:], label[1300:])


def test_log_probs_and_features_are_those_of_the_layers_written_out():
    given, y = small(), np.random.default_rng(1).normal(size=(6, 4))
    layers = given.variables["params"]
    x = y
    for name in ("Dense_0", "Dense_1"):
        layer = layers["body"][name]
        z = x @ layer["kernel"] + layer["bias"][None]
        x = z / (1 + np.exp(-z))
    logits = x @ layers["Dense_0"]["kernel"] + layers["Dense_0"]["bias"][None]
    expected = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    np.testing.assert_allclose(given.features(y), x, rtol=1e-12)
    np.testing.assert_allclose(given.log_probs(y), expected, rtol=1e-12)
    assert given.num_classes == 3


def test_a_convolutional_one_is_scipys_convolutions_and_means():
    shape = (6, 4, 2)
    given = conv_classifier(KEY, shape, 3, channels=2, width=5)
    y = np.random.default_rng(1).normal(size=(2, 48))
    layers = given.variables["params"]["body"]

    def convolved(image, layer):
        kernel = np.asarray(layer["kernel"])
        out = np.zeros((*image.shape[:2], kernel.shape[-1]))
        for c, o in np.ndindex(*kernel.shape[2:]):
            out[..., o] += correlate2d(image[..., c], kernel[:, :, c, o], mode="same")
        return out + np.asarray(layer["bias"])

    def silu(x):
        return x / (1 + np.exp(-x))

    def halved(x):
        x = x[: x.shape[0] // 2 * 2, : x.shape[1] // 2 * 2]
        return (x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) / 4

    for point, found in zip(y, given.features(y), strict=True):
        x = point.reshape(shape)
        for name in ("Conv_0", "Conv_1"):
            x = halved(silu(convolved(x, layers[name])))
        dense = layers["Dense_0"]
        expected = silu(x.ravel() @ dense["kernel"] + dense["bias"])
        np.testing.assert_allclose(found, expected, rtol=1e-10)
    short = conv_classifier(KEY, shape, 3, channels=2, dtype=np.float32)
    assert short.log_probs(y.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_type_of_the_points_is_followed(dtype):
    given = small(dtype)
    y = jnp.zeros((2, 4), dtype)
    assert given.log_probs(y).dtype == given.features(y).dtype == dtype
    found = fineq.solve(data(dtype=dtype), ClassifierTraining(), start=given, key=KEY, num_steps=2)
    assert {leaf.dtype for leaf in jax.tree.leaves(found.value)} == {np.dtype(dtype)}


def test_a_step_without_noise_is_the_optimisers_on_smoothed_cross_entropy():
    # One point alone: every batch holds copies of it.
    given, one, rule = small(), data(1), Optimiser(learning_rate=0.01, average=0.0)
    by = ClassifierTraining(noise=0.0, smoothing=0.3, batch=4, optimiser=rule)
    found = fineq.solve(one, by, start=given, key=KEY, num_steps=1)

    def loss(variables):
        targets = optax.smooth_labels(jax.nn.one_hot(one.label, 3), 0.3)
        logits = given.module.apply(variables, one.x)[1]
        return jnp.mean(optax.softmax_cross_entropy(logits, targets))

    value, gradient = jax.value_and_grad(loss)(given.variables)
    expected = rule.update(rule.begin(given.variables), gradient).variables
    np.testing.assert_allclose(found["last_loss"][-1], value, rtol=1e-12)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), found.value.variables, expected
    )


def test_noise_has_the_mean_square_of_a_uniform_size():
    by = ClassifierTraining(noise=0.6, batch=20_000)
    x, label = by._batch(KEY, labelled(np.zeros((2, 4)), [0, 1]))
    # E size² = noise²/3; its 80,000 squares have a relative spread below 2.
    np.testing.assert_allclose(jnp.mean(x**2), 0.12, rtol=4 * 2 / np.sqrt(80_000))
    np.testing.assert_allclose(jnp.mean(label == 1), 0.5, atol=4 * 0.5 / np.sqrt(20_000))


@pytest.mark.slow
def test_digits_are_recognised_no_worse_than_by_logistic_regression():
    train, held = digits()
    start = perceptron_classifier(KEY, 64, 10, width=64, dtype=np.float32)
    by = ClassifierTraining(optimiser=Optimiser(5e-3, num_steps=250))
    options = {"num_steps": 250, "record": [0], "reference": held}
    found = fineq.solve(train, by, start=start, key=KEY, **options)
    plain = LogisticRegression(max_iter=50, tol=1e-2).fit(
        np.asarray(train.x), np.asarray(train.label)
    )
    other = plain.score(np.asarray(held.x), np.asarray(held.label))
    # Two standard errors of a share, the other's: chance is 0.1.
    error = np.sqrt(other * (1 - other) / len(held.x))
    assert found["accuracy"][-1] == accuracy(found.value, held) > other - 2 * error
    assert found["log_prob"][-1] > -0.35 > found["log_prob"][0]


@pytest.mark.slow
def test_many_classifiers_train_at_once():
    def one(key):
        start = perceptron_classifier(key, 4, 3, width=5)
        return fineq.unroll(data(), ClassifierTraining(), start=start, key=key, num_steps=3)[0]

    both, alone = jax.vmap(one)(jnp.stack([KEY, KEY])), one(KEY)
    # Batched products add in another order.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[1], b, rtol=1e-9), both, alone)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: perceptron_classifier(KEY, 4, 1), "a classifier needs at least 2 classes, got 1"),
        (
            lambda: perceptron_classifier(KEY, 4, 3, width=0),
            "width of a classifier must be at least 1, got 0",
        ),
        (
            lambda: conv_classifier(KEY, (3, 8, 1), 2),
            "a convolutional classifier needs images of 4x4 pixels or more, got (3, 8, 1)",
        ),
        (
            lambda: labelled(np.zeros((3, 2)), [0, 1]),
            "there must be one label for each of 3 points, got 2",
        ),
        (
            lambda: labelled(np.zeros((2, 2)), [0, -1]),
            "label must hold whole numbers from 0, got -1",
        ),
        (
            lambda: fineq.solve(data(), ClassifierTraining(), key=KEY, num_steps=1),
            "ClassifierTraining needs start=, as perceptron_classifier makes it",
        ),
        (lambda: ClassifierTraining(batch=0), "batch must be at least 1, got 0"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(make, sentence):
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == sentence
