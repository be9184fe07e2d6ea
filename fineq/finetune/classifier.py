"""A smooth classifier: what rewards a class, judges samples, and gives the features of a distance.

SiLU throughout: log p(k | y) has derivatives of every order, for rewards are differentiated twice
where curvatures are asked for. Trained by `fineq.finetune.recognition`.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from fineq.ddpm.networks import Conv
from fineq.errors import InputError


class PerceptronFeatures(nn.Module):
    """Hidden layers of equal width on flat points.

    Attributes:
        width, depth: of the hidden layers.
    """

    width: int
    depth: int

    @nn.compact
    def __call__(self, y: Array) -> Array:
        """The last hidden layer `[B, width]` at points `[B, d]`."""
        for _ in range(self.depth):
            y = nn.silu(nn.Dense(self.width, dtype=y.dtype, param_dtype=y.dtype)(y))
        return y


class ConvFeatures(nn.Module):
    """Two 3x3 convolutions, each before the mean over 2x2 pixels, and a hidden layer.

    Attributes:
        shape: (H, W, C) of the images that flat points are.
        channels: of the first convolution; the second has twice as many.
        width: of the hidden layer.
    """

    shape: tuple[int, int, int]
    channels: int
    width: int

    @nn.compact
    def __call__(self, y: Array) -> Array:
        """The hidden layer `[B, width]` at flat images `[B, H*W*C]`."""
        x = y.reshape(-1, *self.shape)
        for channels in (self.channels, 2 * self.channels):
            x = nn.silu(Conv(channels, dtype=y.dtype)(x))
            with jax.numpy_dtype_promotion("standard"):  # Flax divides by a whole number
                x = nn.avg_pool(x, (2, 2), (2, 2))
        x = x.reshape(x.shape[0], -1)
        return nn.silu(nn.Dense(self.width, dtype=y.dtype, param_dtype=y.dtype)(x))


class Recogniser(nn.Module):
    """Features, and a linear layer with one logit for each class.

    Attributes:
        body: from points `[B, d]` to features `[B, m]`.
        num_classes: K.
    """

    body: nn.Module
    num_classes: int

    @nn.compact
    def __call__(self, y: Array) -> tuple[Array, Array]:
        """Features `[B, m]` and logits `[B, K]`."""
        x = self.body(y)
        return x, nn.Dense(self.num_classes, dtype=y.dtype, param_dtype=y.dtype)(x)


@partial(jax.tree_util.register_dataclass, data_fields=["variables"], meta_fields=["module"])
@dataclass(frozen=True)
class Classifier:
    """p(k | y) of K classes at points `[B, d]`.

    Attributes:
        variables: of the Flax module.
        module: maps points to features and logits.
    """

    variables: Any
    module: Recogniser

    @property
    def num_classes(self) -> int:
        """K."""
        return self.module.num_classes

    def log_probs(self, y: Array) -> Array:
        """Log p(k | y), `[B, K]`."""
        return jax.nn.log_softmax(self._both(y)[1])

    def features(self, y: Array) -> Array:
        """The last hidden layer, `[B, m]`."""
        return self._both(y)[0]

    def holding(self, variables: Any) -> "Classifier":
        """The same network with other variables."""
        return Classifier(variables, self.module)

    def _both(self, y: Array) -> tuple[Array, Array]:
        features, logits = self.module.apply(self.variables, y)
        return jnp.asarray(features), jnp.asarray(logits)


def perceptron_classifier(
    key: Array, d: int, num_classes: int, *, width: int = 128, depth: int = 2, dtype: Any = float
) -> Classifier:
    """An untrained perceptron.

    Args:
        key: of its parameters.
        d: dimension of a point.
        num_classes: K.
        width: of the hidden layers; the last one is the features.
        depth: their number.
        dtype: of its parameters.

    Raises:
        InputError: for fewer than two classes, or no dimensions, units or layers.
    """
    _check(d=d, width=width, depth=depth)
    return _drawn(key, PerceptronFeatures(width, depth), d, num_classes, dtype)


def conv_classifier(
    key: Array,
    shape: tuple[int, int, int],
    num_classes: int,
    *,
    channels: int = 16,
    width: int = 64,
    dtype: Any = float,
) -> Classifier:
    """An untrained convolutional network.

    Args:
        key: of its parameters.
        shape: (H, W, C) of the images, which come flat.
        num_classes: K.
        channels: of the first convolution; the second has twice as many.
        width: of the hidden layer, which is the features.
        dtype: of its parameters.

    Raises:
        InputError: for fewer than two classes, images below 4x4 pixels, or no channels or units.
    """
    _check(channels=channels, width=width)
    if min(shape[:2]) < 4:
        raise InputError(
            f"a convolutional classifier needs images of 4x4 pixels or more, got {shape}"
        )
    return _drawn(key, ConvFeatures(shape, channels, width), math.prod(shape), num_classes, dtype)


def _drawn(key: Array, body: nn.Module, d: int, num_classes: int, dtype: Any) -> Classifier:
    if num_classes < 2:
        raise InputError(f"a classifier needs at least 2 classes, got {num_classes}")
    module = Recogniser(body, num_classes)
    return Classifier(module.init(key, jnp.zeros((1, d), dtype)), module)


def _check(**counts: int) -> None:
    for name, value in counts.items():
        if value < 1:
            raise InputError(f"{name} of a classifier must be at least 1, got {value}")
