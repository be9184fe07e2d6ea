"""Pre-training: a network learns to tell the noise of noisy data.

With x0 from the data, t uniform on the steps and ε standard normal, the loss is the mean square
over coordinates of the network's error in what it predicts at √ᾱ_t x0 + √(1 - ᾱ_t) ε (Ho, Jain and
Abbeel 2020; for ε-prediction their simple loss). No network does better than E|ε - E[ε | x]|²/d.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fineq.arrays import finite_rows
from fineq.ddpm.denoiser import Denoiser, levels, target_of
from fineq.ddpm.schedules import Schedule
from fineq.errors import InputError
from fineq.fast.blocks import in_blocks
from fineq.fast.draws import normal
from fineq.iterate import Method, method, static
from fineq.optimiser import Descent, Optimiser

DROP = 0.1  # of labels, which teaches what guidance starts from (Ho and Salimans 2022)
MOST = 512  # held-out states at once


class Batch(NamedTuple):
    """Noisy data: x0 `[B, d]`, label `[B]` or None, step t `[B]` and noise ε `[B, d]`."""

    x0: Array
    label: Array | None
    t: Array
    noise: Array


class Denoising(NamedTuple):
    """What pre-training is given; make it with `make_denoising`.

    Attributes:
        denoiser: network, chain and prediction; its variables are not used.
        x0: data `[N, d]`.
        label: their classes `[N]`, or None.
        fresh: data held out, with the draws at which all networks are judged.
    """

    denoiser: Denoiser
    x0: Array
    label: Array | None
    fresh: Batch


class Seen(NamedTuple):
    """What a step saw before it moved: the loss of its batch."""

    loss: Array


def make_denoising(
    key: Array,
    denoiser: Denoiser,
    x0: Any,
    fresh: Any,
    *,
    label: Any = None,
    fresh_label: Any = None,
) -> Denoising:
    """Pre-training of a denoiser, in the precision of its schedule.

    Args:
        key: of the noise on the data held out, whose times are as even as their number allows.
        denoiser: see `Denoising`.
        x0: data `[N, d]`.
        fresh: data held out `[M, d]`.
        label: classes `[N]` of a model that has some.
        fresh_label: those `[M]` of the data held out.

    Raises:
        InputError: for data of another dimension or that are not finite, labels without classes or
            the other way round, or labels out of range.
    """
    dtype, T = denoiser.times.dtype, denoiser.schedule.num_steps
    data, held = (_data(n, x, denoiser) for n, x in (("x0", x0), ("fresh", fresh)))
    labels = _labels("label", label, len(data), denoiser)
    held_labels = _labels("fresh_label", fresh_label, len(held), denoiser)
    key_t, key_noise = jax.random.split(key)
    t = jax.random.permutation(key_t, jnp.arange(len(held), dtype=jnp.int32) % T)
    noise = normal(key_noise, held.shape, dtype)
    return Denoising(denoiser, data, labels, Batch(held, held_labels, t, noise))


def noisy(schedule: Schedule, batch: Batch) -> Array:
    """√ᾱ_t x0 + √(1 - ᾱ_t) ε, `[B, d]`."""
    a, b = levels(schedule, batch.t, batch.x0.dtype)
    return a * batch.x0 + b * batch.noise


def losses(denoiser: Denoiser, batch: Batch) -> Array:
    """The squared error of each prediction, mean over coordinates, `[B]`."""
    a, b = levels(denoiser.schedule, batch.t, batch.x0.dtype)
    wanted = target_of(denoiser.prediction, a, b, batch.x0, batch.noise)
    found = denoiser.predicted(batch.t, noisy(denoiser.schedule, batch), batch.label)
    return jnp.mean(jnp.square(found - wanted), axis=-1)


def draw(key: Array, problem: Denoising, num: int) -> Batch:
    """A batch of noisy data, drawn with replacement; a tenth of the labels say no class."""
    key_rows, key_t, key_noise, key_drop = jax.random.split(key, 4)
    rows = jax.random.randint(key_rows, (num,), 0, problem.x0.shape[0])
    x0, label = problem.x0[rows], None
    if problem.label is not None:
        dropped = jax.random.bernoulli(key_drop, DROP, (num,))
        label = jnp.where(dropped, problem.denoiser.num_classes, problem.label[rows])
    t = jax.random.randint(key_t, (num,), 0, problem.denoiser.schedule.num_steps)
    return Batch(x0, label, t, normal(key_noise, x0.shape, x0.dtype))


@method
class DenoiserTraining(Method):
    """Training of a denoiser on a `Denoising`; its value is one with the averaged variables.

    Measured: `loss` of the batch of the last step, and `fresh`, the loss of the averaged network on
    the data held out, at draws that are the same for all steps and seeds.

    Attributes:
        optimiser: of the variables, and their average.
        batch: states of each step.

    Raises:
        InputError: for a batch below 1.
    """

    draws = True

    optimiser: Optimiser = static(default=Optimiser(average=0.999))
    batch: int = static(default=128)

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise InputError(f"training.batch must be at least 1, got {self.batch}")

    def init(self, key: Array | None, problem: Denoising, start: Denoiser | None) -> Descent:
        """From the variables of `start`, or from new ones.

        Raises:
            InputError: for a problem that is no `Denoising`.
        """
        if not isinstance(problem, Denoising):
            raise InputError(
                "DenoiserTraining solves a Denoising, which make_denoising makes, got a "
                f"{type(problem).__name__}"
            )
        if start is None:
            if key is None:
                raise InputError("DenoiserTraining draws its variables: give a key, or start")
            start = problem.denoiser.drawn(key)
        return self.optimiser.begin(start.variables)

    def step(self, key: Array | None, state: Descent, problem: Denoising) -> tuple[Descent, Seen]:
        """A step on a batch."""
        assert key is not None
        batch = draw(key, problem, self.batch)

        def loss(variables: Any) -> Array:
            return jnp.mean(losses(problem.denoiser.holding(variables), batch))

        value, gradient = jax.value_and_grad(loss)(state.variables)
        return self.optimiser.update(state, gradient), Seen(value)

    def measure(
        self, state: Descent, info: Seen, problem: Denoising, reference: Any
    ) -> dict[str, Array]:
        """`loss` and `fresh`."""
        del reference
        judged = problem.denoiser.holding(state.average)
        fresh = in_blocks(lambda batch: losses(judged, batch), MOST, problem.fresh)
        return {"loss": info.loss, "fresh": jnp.mean(fresh)}

    def value(self, state: Descent, problem: Denoising) -> Denoiser:
        """The denoiser of the averaged variables."""
        return problem.denoiser.holding(state.average)


def _data(name: str, given: Any, denoiser: Denoiser) -> Array:
    x = finite_rows(name, given)
    if x.shape[1] != denoiser.d:
        raise InputError(f"{name} has d = {x.shape[1]}, but the denoiser has d = {denoiser.d}")
    return jnp.asarray(x, denoiser.times.dtype)


def _labels(name: str, given: Any, num: int, denoiser: Denoiser) -> Array | None:
    classes = denoiser.num_classes
    if (given is None) != (not classes):
        said = "has no classes" if given is not None else f"has {classes} classes"
        raise InputError(f"the denoiser {said}: {name} must {'' if classes else 'not '}be given")
    if given is None:
        return None
    label = jnp.asarray(given)
    if label.shape != (num,) or not jnp.issubdtype(label.dtype, jnp.integer):
        raise InputError(
            f"{name} must be {num} whole numbers, got shape {label.shape} of {label.dtype}"
        )
    low, high = int(label.min()), int(label.max())
    if low < 0 or high >= classes:
        raise InputError(f"{name} must lie in [0, {classes}), got {low if low < 0 else high}")
    return label.astype(jnp.int32)
