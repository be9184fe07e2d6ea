"""Rewards of a batch of points: pytrees `(y [B, d], label [B] or None) -> [B]`.

Images are flat, with intensities from -1 to 1. A path's own label is its class, the "prompt" of a
class-conditional model. `per_point` makes a reward of a function of one point, a user's or one of
`fineq.pift.rewards`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.tree_util import Partial
from jax.typing import ArrayLike

from fineq.arrays import real_array
from fineq.errors import InputError
from fineq.finetune.classifier import Classifier
from fineq.traced import check_finite, traced


class Reward(Protocol):
    """A reward of each point of a batch: a pytree."""

    def __call__(self, y: Array, label: Array | None) -> Array:
        """r(y) `[B]` of points `[B, d]` and their labels `[B]`, or None."""
        ...


class ClassLogProb(NamedTuple):
    """r(y) = log p(k | y), with k the target, or each path's own label where that is None."""

    classifier: Classifier
    target: Array | None

    def __call__(self, y: Array, label: Array | None) -> Array:
        """r(y), `[B]`."""
        logs = self.classifier.log_probs(y)
        wanted = label if self.target is None else jnp.broadcast_to(self.target, y.shape[:1])
        if wanted is None:
            raise InputError("a reward of each path's own class needs labels: give it a target")
        return jnp.take_along_axis(logs, wanted[:, None], axis=-1)[:, 0]


class Ink(NamedTuple):
    """r(y) = mean of (y_i + 1)/2: 0 of a black image, 1 of a white one."""

    def __call__(self, y: Array, label: Array | None) -> Array:
        """r(y), `[B]`."""
        del label
        return jnp.mean(y + 1, axis=-1) / 2


class Template(NamedTuple):
    """r(y) = -mean of (y_i - image_i)², image `[d]`."""

    image: Array

    def __call__(self, y: Array, label: Array | None) -> Array:
        """r(y), `[B]`."""
        del label
        return -jnp.mean(jnp.square(y - self.image[None]), axis=-1)


@partial(jax.tree_util.register_dataclass, data_fields=[], meta_fields=["shape"])
@dataclass(frozen=True)
class Symmetry:
    """r(y) = -mean of (y_i - mirrored y_i)², left against right.

    Attributes:
        shape: (height, width, channels) of the images.
    """

    shape: tuple[int, int, int]

    def __call__(self, y: Array, label: Array | None) -> Array:
        """r(y), `[B]`."""
        del label
        images = y.reshape(-1, *self.shape)
        return -jnp.mean(jnp.square(images - images[:, :, ::-1]), axis=(1, 2, 3))


@partial(jax.tree_util.register_dataclass, data_fields=["function"], meta_fields=["takes_label"])
@dataclass(frozen=True)
class PerPoint:
    """r of one point after the other.

    Attributes:
        function: a pytree, of one point `[d]`, and of its label where it takes one.
        takes_label: whether it does.
    """

    function: Callable[..., Array]
    takes_label: bool

    def __call__(self, y: Array, label: Array | None) -> Array:
        """r(y), `[B]`."""
        if not self.takes_label:
            return jax.vmap(self.function)(y)
        if label is None:
            raise InputError("this reward takes a label, and the model has no classes")
        return jax.vmap(self.function)(y, label)


def class_log_prob(classifier: Classifier, target: int | None = None) -> ClassLogProb:
    """The reward of a class under a classifier; None: of each path's own.

    Raises:
        InputError: for a target that is no class of the classifier.
    """
    num = classifier.num_classes
    if target is not None and not 0 <= target < num:
        raise InputError(f"the reward's class must lie between 0 and {num - 1}, got {target}")
    return ClassLogProb(classifier, None if target is None else jnp.asarray(target, jnp.int32))


def template(image: ArrayLike) -> Template:
    """Nearness to an image, flat or not; raises `InputError` for what is no array of numbers."""
    return Template(real_array("image", image).ravel())


def per_point(function: Callable[..., Any], *, takes_label: bool = False) -> PerPoint:
    """The reward of a function of one point `[d]`, or of a point and its label.

    Raises:
        InputError: as `as_tree`.
    """
    return PerPoint(as_tree("reward", function), takes_label)


def as_tree(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function as a pytree, as programs are handed it: a plain one has no leaves.

    Args:
        name: of the function, for the message.
        function: a pytree of arrays that is called, or a plain function.

    Raises:
        InputError: for what is no function, cannot be hashed, or holds anything but arrays.
    """
    if not callable(function):
        raise InputError(f"{name} must be a function, got {function!r:.60}")
    if jax.tree_util.all_leaves([function]):
        try:
            hash(function)
        except TypeError:
            raise InputError(
                f"{name} is a {type(function).__name__}, which cannot be hashed: JAX knows a "
                "program again by its functions; make it a NamedTuple of arrays"
            ) from None
        return Partial(function)
    for leaf in jax.tree.leaves(function):
        if not isinstance(leaf, Array | np.ndarray | np.generic | float | int | complex):
            raise InputError(
                f"{name} holds a {type(leaf).__name__}, which is no array: make it a static field, "
                "as jax.tree_util.register_dataclass does"
            )
    return function


def check_reward(
    reward: Reward, points: Array, label: Array | None = None, name: str = "reward"
) -> str | None:
    """Refuse a reward that cannot be optimised; say of a constant one that it is.

    Args:
        reward: of batches.
        points: where it is tried, `[B, d]`, for example samples of the pre-trained model.
        label: their labels `[B]`, or None.
        name: of the field, for the message.

    Returns:
        None, or a sentence: every policy is then as good, and the pre-trained one optimal.

    Raises:
        InputError: for a reward that is unfit for JAX, has another shape than `[B]`, a value or
            gradient that is not finite, or differs among points but has no gradient at any.
    """
    given = jax.ShapeDtypeStruct(points.shape, points.dtype)
    shape = traced(name, partial(reward, label=label), given, "batch of points").shape
    if shape != points.shape[:1]:
        raise InputError(
            f"{name} must return one number for each of {points.shape[0]} points, got shape {shape}"
        )
    values, pull_back = jax.vjp(lambda y: reward(y, label), points)
    gradients = pull_back(jnp.ones_like(values))[0]
    check_finite(name, points, values, gradients)
    if np.any(np.asarray(gradients)):
        return None
    if np.ptp(np.asarray(values)):
        raise InputError(
            f"{name} differs among {points.shape[0]} points but has gradient 0 at all of them: "
            "smooth it, or no method that differentiates it can learn"
        )
    return (
        f"{name} is {float(values[0]):g} at all of {points.shape[0]} points and has gradient 0 "
        "there: the pre-trained model is optimal already"
    )
