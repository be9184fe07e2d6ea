"""Training a classifier so that it is smooth off the data too.

The loss is cross entropy with smoothed labels on points with noise of random size added: samples of
a diffusion model, and its blurred estimates of them, are not exactly the data, and a reward is
asked for its gradient there.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from fineq.arrays import finite_rows, host_array
from fineq.errors import InputError
from fineq.finetune.classifier import Classifier
from fineq.iterate import Method, method, static
from fineq.optimiser import Descent, Optimiser


class Labelled(NamedTuple):
    """Points `x [N, d]` and their classes `label [N]`, int32 from 0."""

    x: Array
    label: Array


def labelled(x: ArrayLike, label: ArrayLike) -> Labelled:
    """Points and their classes, checked.

    Raises:
        InputError: for points that are not finite `[N, d]`, or labels that are not one whole number
            from 0 for each.
    """
    x, given = finite_rows("x", x), host_array("label", label, 1)
    if given.shape != x.shape[:1]:
        raise InputError(f"there must be one label for each of {len(x)} points, got {given.size}")
    wrong = given[(given < 0) | (given % 1 != 0)]
    if wrong.size:
        raise InputError(f"label must hold whole numbers from 0, got {wrong[0]:g}")
    return Labelled(jnp.asarray(x), jnp.asarray(given.astype(np.int32)))


def accuracy(classifier: Classifier, data: Labelled) -> Array:
    """Share of points whose most probable class is their own, []."""
    chosen = jnp.argmax(classifier.log_probs(data.x), axis=-1).astype(data.label.dtype)
    return jnp.mean(chosen == data.label, dtype=float)


class Learning(NamedTuple):
    """Before the next step.

    Attributes:
        network: the classifier without its variables.
        descent: of the variables.
    """

    network: Classifier
    descent: Descent

    @property
    def averaged(self) -> Classifier:
        """The classifier of the averaged variables: the one to use."""
        return self.network.holding(self.descent.average)


class Seen(NamedTuple):
    """The loss of a step's batch, before it moved."""

    loss: Array


@method
class ClassifierTraining(Method):
    """Training of a classifier on `Labelled`, from an untrained `Classifier` as start.

    Measured: `last_loss`, and with `Labelled` points held out as reference their `accuracy` and
    mean `log_prob`, of the averaged variables.

    Attributes:
        noise: largest standard deviation of the noise added; each point's is uniform up to it.
        smoothing: share of a label that is spread over all classes.
        batch: points of each step, drawn with replacement.
        optimiser: of the variables.
    """

    draws = True

    noise: float = 0.3
    smoothing: float = 0.02
    batch: int = static(default=128)
    optimiser: Optimiser = static(default=Optimiser(weight_decay=1e-2))

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise InputError(f"batch must be at least 1, got {self.batch}")

    def init(self, key: Array | None, problem: Labelled, start: Classifier | None) -> Learning:
        """Before the first step of the classifier `start`.

        Raises:
            InputError: without a start.
        """
        del key, problem
        if start is None:
            raise InputError("ClassifierTraining needs start=, as perceptron_classifier makes it")
        return Learning(start.holding(None), self.optimiser.begin(start.variables))

    def step(self, key: Array | None, state: Learning, problem: Labelled) -> tuple[Learning, Seen]:
        """One step on a fresh batch."""
        assert key is not None
        x, label = self._batch(key, problem)

        def of(variables: Any) -> Array:
            found = state.network.holding(variables).log_probs(x)
            return self._loss(found, label)

        value, gradient = jax.value_and_grad(of)(state.descent.variables)
        descent = self.optimiser.update(state.descent, gradient)
        return state._replace(descent=descent), Seen(value)

    def measure(
        self, state: Learning, info: Seen, problem: Labelled, reference: Labelled | None
    ) -> dict[str, Array]:
        """`last_loss`; `accuracy` and `log_prob` where points are held out."""
        del problem
        found = {"last_loss": info.loss}
        if reference is not None:
            found["accuracy"] = accuracy(state.averaged, reference)
            logs = state.averaged.log_probs(reference.x)
            found["log_prob"] = jnp.mean(_own(logs, reference.label))
        return found

    def value(self, state: Learning, problem: Labelled) -> Classifier:
        """The classifier of the averaged variables."""
        del problem
        return state.averaged

    def _batch(self, key: Array, problem: Labelled) -> tuple[Array, Array]:
        key_rows, key_size, key_noise = jax.random.split(key, 3)
        rows = jax.random.randint(key_rows, (self.batch,), 0, problem.x.shape[0])
        x = problem.x[rows]
        noise = jnp.asarray(self.noise, x.dtype)
        size = noise * jax.random.uniform(key_size, (self.batch, 1), x.dtype)
        return x + size * jax.random.normal(key_noise, x.shape, x.dtype), problem.label[rows]

    def _loss(self, logs: Array, label: Array) -> Array:
        """Cross entropy with (1 - s) of each label on its class and s spread over all."""
        own, s = _own(logs, label), jnp.asarray(self.smoothing, logs.dtype)
        return -jnp.mean((1 - s) * own + s * jnp.mean(logs, axis=-1))


def _own(logs: Array, label: Array) -> Array:
    """The entry of each row `[B, K]` that its label names, `[B]`."""
    return jnp.take_along_axis(logs, label[:, None], axis=-1)[:, 0]
