"""A network as a score: the one place where what it predicts is turned into what a chain needs.

At the noise level of Y_t, x = √ᾱ x0 + √(1 - ᾱ) ε. A network predicts ε (`noise`), x0 (`data`) or
v = √ᾱ ε - √(1 - ᾱ) x0 (`velocity`, Salimans and Ho 2022), and the score is -ε/√(1 - ᾱ).
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, Protocol, get_args

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jax.typing import ArrayLike

from fineq.ddpm.chain import mean_of
from fineq.ddpm.schedules import Schedule
from fineq.errors import InputError, in_a_line

Prediction = Literal["noise", "data", "velocity"]


class Network(Protocol):
    """What a denoiser asks of its Flax module, called as `module.apply(variables, s, x, label)`.

    A module whose attribute `one_time` is true takes one time for all states as well, s `[1]`: what
    it makes of the time alone is then made once.
    """

    def __call__(self, s: Array, x: Array, label: Array | None) -> Array:
        """The prediction `[B, d]` from s `[B]`, x `[B, d]` and label `[B]` or None."""
        ...


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["variables", "schedule", "times", "guidance"],
    meta_fields=["module", "prediction", "num_classes", "d"],
)
@dataclass(frozen=True)
class Denoiser:
    """A network with its chain, for batches of states `[B, d]`; make it with `make_denoiser`.

    For one point it is a `Score`. Everything follows the dtype of the states.

    Attributes:
        variables: of the network.
        schedule: of the chain, with T steps.
        times: `[T]`, what the network is told at Y_t.
        guidance: w of classifier-free guidance, (1 + w) s(y | c) - w s(y | no class); None: none.
            Source: Ho and Salimans 2022.
        module: the network, called as `Network` says.
        prediction: what it predicts.
        num_classes: 0 for a model without classes.
        d: dimension of the states.
    """

    variables: Any
    schedule: Schedule
    times: Array
    guidance: Array | None
    module: nn.Module
    prediction: Prediction
    num_classes: int
    d: int

    def holding(self, variables: Any) -> "Denoiser":
        """The same with other variables."""
        return replace(self, variables=variables)

    def guided(self, weight: float) -> "Denoiser":
        """The same with classifier-free guidance of a weight w >= 0; 0: none.

        Raises:
            InputError: for a model without classes, or another weight.
        """
        if not self.num_classes:
            raise InputError("guidance needs a model with classes, and this one has none")
        if not 0 <= weight < float("inf"):
            raise InputError(f"the weight of guidance must be at least 0, got {weight:g}")
        w = jnp.asarray(weight, self.times.dtype) if weight else None
        return replace(self, guidance=w)

    def drawn(self, key: Array) -> "Denoiser":
        """The same with new variables."""
        # One program: layer by layer, each draw would compile by itself.
        return self.holding(jax.jit(self.module.init)(key, *self._example()))

    def predicted(self, t: ArrayLike, y: Array, label: Array | None = None) -> Array:
        """What the network says, `[B, d]`, guided; arguments and errors as for `score`."""
        if label is not None and not self.num_classes:
            raise InputError("the model has no classes, but labels were given")
        s = jnp.atleast_1d(self.times[jnp.asarray(t)])
        if not getattr(self.module, "one_time", False):
            s = jnp.broadcast_to(s, y.shape[:1])
        if label is None or self.guidance is None:
            return self._apply(s, y, label)
        w = self.guidance.astype(y.dtype)
        twice = s if s.shape != y.shape[:1] else jnp.concatenate([s, s])
        labels = jnp.concatenate([label, jnp.full_like(label, self.num_classes)])
        guided, free = jnp.split(self._apply(twice, jnp.concatenate([y, y]), labels), 2)
        return (1 + w) * guided - w * free

    def score(self, t: ArrayLike, y: Array, label: Array | None = None) -> Array:
        """The score of the law of Y_t, `[B, d]`.

        Args:
            t: one step, or one for each state `[B]`, below T.
            y: states `[B, d]`.
            label: classes `[B]`, `num_classes` for no class; None: none has one.

        Raises:
            InputError: for labels where the model has no classes.
        """
        _, b = self._levels(t, y)
        return -self.noise(t, y, label) / b

    def noise(self, t: ArrayLike, y: Array, label: Array | None = None) -> Array:
        """The estimate of ε, `[B, d]`; arguments and errors as for `score`."""
        a, b = self._levels(t, y)
        out = self.predicted(t, y, label)
        if self.prediction == "noise":
            return out
        return (y - a * out) / b if self.prediction == "data" else a * out + b * y

    def data(self, t: ArrayLike, y: Array, label: Array | None = None) -> Array:
        """The estimate of x0, `[B, d]`; arguments and errors as for `score`."""
        a, b = self._levels(t, y)
        out = self.predicted(t, y, label)
        if self.prediction == "data":
            return out
        return (y - b * out) / a if self.prediction == "noise" else a * y - b * out

    def mean(self, t: ArrayLike, y: Array, label: Array | None = None) -> Array:
        """The mean of Y_{t+1} given Y_t = y, `[B, d]`; arguments and errors as for `score`."""
        alpha = self.schedule.alphas[jnp.asarray(t)].astype(y.dtype).reshape(-1, 1)
        return mean_of(self.score(t, y, label), alpha, y)

    def __call__(self, t: ArrayLike, y: Array) -> Array:
        """The score at one point `[d]`."""
        return self.score(t, y[None])[0]

    def _example(self) -> tuple[Array, Array, Array | None]:
        label = jnp.zeros(1, jnp.int32) if self.num_classes else None
        return self.times[:1], jnp.zeros((1, self.d), self.times.dtype), label

    def _apply(self, s: Array, y: Array, label: Array | None) -> Array:
        return jnp.asarray(self.module.apply(self.variables, s, y, label)).astype(y.dtype)

    def _levels(self, t: ArrayLike, y: Array) -> tuple[Array, Array]:
        """√ᾱ and √(1 - ᾱ) at Y_t, each `[1, 1]` or `[B, 1]`."""
        return levels(self.schedule, t, y.dtype)


def levels(schedule: Schedule, t: ArrayLike, dtype: Any) -> tuple[Array, Array]:
    """√ᾱ and √(1 - ᾱ) at Y_t, `[1, 1]`, or `[B, 1]` for t `[B]`."""
    bar = schedule.alpha_bars[jnp.asarray(t)].reshape(-1, 1)
    return jnp.sqrt(bar).astype(dtype), jnp.sqrt(1 - bar).astype(dtype)


def target_of(prediction: Prediction, a: Array, b: Array, x0: Array, epsilon: Array) -> Array:
    """What a network of that prediction is to say at √ᾱ = a, √(1 - ᾱ) = b."""
    if prediction == "noise":
        return epsilon
    return x0 if prediction == "data" else a * epsilon - b * x0


def make_denoiser(
    key: Array,
    module: nn.Module,
    schedule: Schedule,
    d: int,
    *,
    prediction: Prediction = "noise",
    num_classes: int = 0,
    dtype: Any = None,
) -> Denoiser:
    """A network with new variables, told (T - t)/T at Y_t.

    Args:
        key: of the variables.
        module: called as `Network` says.
        schedule: of the chain.
        d: dimension of the states.
        prediction: what the network predicts.
        num_classes: 0 for a model without classes.
        dtype: of the schedule that the denoiser holds; None leaves it.

    Raises:
        InputError: for an unknown prediction, other classes than the module has, or a module that
            does not map `[B, d]` to `[B, d]`.
    """
    if prediction not in get_args(Prediction):
        known = ", ".join(get_args(Prediction))
        raise InputError(f"prediction must be one of {known}, got {prediction}")
    if (own := getattr(module, "num_classes", num_classes)) != num_classes:
        raise InputError(f"the network has {own} classes, but the model {num_classes}")
    schedule = Schedule(*(jnp.asarray(x, dtype) for x in schedule))
    T, dtype = schedule.num_steps, schedule.alphas.dtype
    times = jnp.arange(T, 0, -1, dtype=dtype) / T
    made = Denoiser(None, schedule, times, None, module, prediction, num_classes, d)
    try:
        found = jax.eval_shape(module.init_with_output, key, *made._example())[0]
    except TypeError as error:
        said = in_a_line(error)
        raise InputError(f"the network does not take states of shape [B, {d}]: {said}") from error
    if found.shape != (1, d):
        raise InputError(f"the network must map [B, {d}] to itself, got {found.shape} for B = 1")
    return made.drawn(key)
