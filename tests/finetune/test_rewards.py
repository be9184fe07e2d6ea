"""Rewards against loops in NumPy, their gradients where they are known, and the door."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq import pift
from fineq.errors import InputError
from fineq.finetune import perceptron_classifier, rewards

RNG = np.random.default_rng(0)
Y = jnp.asarray(RNG.normal(size=(5, 12)))
LABEL = jnp.asarray([0, 2, 1, 1, 0], jnp.int32)
SHAPE = (2, 3, 2)
CLASSIFIER = perceptron_classifier(jax.random.key(0), 12, 3, width=4)


def mirrored(image):
    image = np.asarray(image).reshape(SHAPE)
    return np.array([[row[SHAPE[1] - 1 - j] for j in range(SHAPE[1])] for row in image]).ravel()


def log_prob(y, k):
    logs = np.asarray(CLASSIFIER.log_probs(y[None]))[0]
    return logs[int(k)]


CASES = {
    "own class": (rewards.class_log_prob(CLASSIFIER), log_prob),
    "one class": (rewards.class_log_prob(CLASSIFIER, 2), lambda y, _: log_prob(y, 2)),
    "ink": (rewards.Ink(), lambda y, _: np.mean((np.asarray(y) + 1) / 2)),
    "template": (rewards.template(np.ones(SHAPE)), lambda y, _: -np.mean((np.asarray(y) - 1) ** 2)),
    "symmetry": (
        rewards.Symmetry(SHAPE),
        lambda y, _: -np.mean((np.asarray(y) - mirrored(y)) ** 2),
    ),
    "a function": (rewards.per_point(lambda y: y[0] * y[1]), lambda y, _: y[0] * y[1]),
    "a function of the label": (
        rewards.per_point(lambda y, k: y[0] * k.astype(y.dtype), takes_label=True),
        lambda y, k: y[0] * np.asarray(k, float),
    ),
    "a reward of pift": (
        rewards.per_point(pift.linear(np.arange(12.0))),
        lambda y, _: y @ np.arange(12.0),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_point_earns_what_a_loop_says(name):
    reward, alone = CASES[name]
    expected = [alone(y, k) for y, k in zip(Y, LABEL, strict=True)]
    np.testing.assert_allclose(reward(Y, LABEL), expected, rtol=1e-12)
    # A reward is a pytree: it goes through `jit` as an argument, and keeps the type of the points.
    np.testing.assert_allclose(jax.jit(lambda r, y: r(y, LABEL))(reward, Y), expected, rtol=1e-12)
    assert rewards.check_reward(reward, Y, LABEL) is None


@pytest.mark.parametrize("name", ["ink", "template", "symmetry", "a function"])
def test_float32_stays(name):
    reward = jax.tree.map(lambda x: x.astype(jnp.float32), CASES[name][0])
    assert reward(Y.astype(jnp.float32), None).dtype == jnp.float32


def test_the_best_of_template_and_symmetry_is_reached():
    image = np.linspace(-1, 1, 12)
    np.testing.assert_array_equal(rewards.template(image)(jnp.asarray(image)[None], None), 0)
    both = (image + mirrored(image)) / 2
    np.testing.assert_allclose(
        rewards.Symmetry(SHAPE)(jnp.asarray(both)[None], None), 0, atol=1e-30
    )
    # Upside down is no mirror.
    flipped = image.reshape(SHAPE)[::-1].ravel()
    assert rewards.Symmetry(SHAPE)(jnp.asarray((image + flipped) / 2)[None], None)[0] < -0.01


def test_a_constant_reward_is_told():
    said = rewards.check_reward(rewards.per_point(lambda y: 0 * y[0] + 2), Y)
    assert said == (
        "reward is 2 at all of 5 points and has gradient 0 there: the pre-trained model is optimal "
        "already"
    )


@pytest.mark.parametrize(
    ("reward", "sentence"),
    [
        (
            lambda y, label: jnp.sum(y),
            "reward must return one number for each of 5 points, got shape ()",
        ),
        (
            lambda y, label: y,
            "reward must return one number for each of 5 points, got shape (5, 12)",
        ),
        (rewards.per_point(lambda y: jnp.log(y[0])), "reward has a NaN value at"),
        (rewards.per_point(lambda y: jnp.sqrt(0 * y[0])), "reward has a NaN gradient at"),
        (
            rewards.per_point(lambda y: jnp.sign(y[0])),
            "reward differs among 5 points but has gradient 0",
        ),
        (
            rewards.per_point(lambda y: np.sin(y[0])),
            "reward failed on a batch of points of shape (5, 12)",
        ),
        (rewards.class_log_prob(CLASSIFIER), "a reward of each path's own class needs labels"),
        (rewards.per_point(lambda y, k: y[0], takes_label=True), "this reward takes a label"),
    ],
)
def test_what_cannot_be_optimised_is_refused(reward, sentence):
    with pytest.raises(InputError) as caught:
        rewards.check_reward(reward, Y)
    assert str(caught.value).startswith(sentence)


def test_a_class_that_is_none_and_what_is_no_function_are_refused():
    with pytest.raises(InputError, match="the reward's class must lie between 0 and 2, got 3"):
        rewards.class_log_prob(CLASSIFIER, 3)
    with pytest.raises(InputError, match="reward must be a function, got 3"):
        rewards.per_point(3)
