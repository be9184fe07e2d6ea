"""The optimiser of networks: one step of it, and the average of its iterates.

What is optimised is held as one vector, whatever layers it has: a step is then a few loops and not
several for each layer, which XLA would compile one by one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from fineq.errors import InputError

Vectors = tuple[Array, ...]  # one for each dtype, of a form's leaves end to end


def updated(
    rule: optax.GradientTransformationExtraArgs | optax.GradientTransformation,
    gradient: Any,
    state: Any,
    variables: Any = None,
    **extra: Any,
) -> tuple[Any, Any]:
    """What an Optax rule adds to the variables, and its next state, under strict promotion too."""
    # Its schedules multiply whole numbers by real ones, which strict promotion refuses.
    with jax.numpy_dtype_promotion("standard"):
        return rule.update(gradient, state, variables, **extra)


def stepped(
    rule: optax.GradientTransformation, gradient: Any, state: Any, variables: Any
) -> tuple[Any, Any]:
    """Variables and the state of an Optax rule after one step of it."""
    step, state = updated(rule, gradient, state, variables)
    return optax.apply_updates(variables, step), state


class Form(NamedTuple):
    """How a pytree of arrays lies in vectors; no array itself.

    Attributes:
        tree: its structure.
        shapes, dtypes: of its leaves.
    """

    tree: Any
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[str, ...]

    def packed(self, tree: Any) -> Vectors:
        """The vectors of a pytree of this form."""
        leaves = jax.tree.leaves(tree)
        return tuple(
            jnp.concatenate([jnp.ravel(x) for x, own in zip(leaves, self.dtypes) if own == dtype])
            for dtype in self._kinds
        )

    def unpacked(self, vectors: Sequence[Array]) -> Any:
        """The pytree of vectors `[*lead, N]`, leaves `[*lead, ...]`; on the host it stays there."""
        at, leaves = [0] * len(vectors), []
        for shape, dtype in zip(self.shapes, self.dtypes, strict=True):
            i = self._kinds.index(dtype)
            x, begin, at[i] = vectors[i], at[i], at[i] + math.prod(shape)
            leaves.append(x[..., begin : at[i]].reshape(*x.shape[:-1], *shape))
        return jax.tree.unflatten(self.tree, leaves)

    @property
    def _kinds(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.dtypes))


def form_of(tree: Any) -> Form:
    """The form of a pytree of arrays."""
    leaves, structure = jax.tree.flatten(tree)
    arrays = [jnp.asarray(leaf) for leaf in leaves]
    return Form(structure, tuple(x.shape for x in arrays), tuple(x.dtype.name for x in arrays))


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["vectors", "averaged", "moments", "num_updates"],
    meta_fields=["form"],
)
@dataclass(frozen=True)
class Descent:
    """Where an optimiser stands; a pytree of few leaves, which members may lead.

    Attributes:
        vectors: what is optimised, packed.
        averaged: moving average of it, packed; None where the last ones alone are kept.
        moments: of the gradients.
        num_updates: steps so far, int32.
        form: of what is optimised.
    """

    vectors: Vectors
    averaged: Vectors | None
    moments: Any
    num_updates: Array
    form: Form

    @property
    def variables(self) -> Any:
        """What is optimised, a pytree."""
        return self.form.unpacked(self.vectors)

    @property
    def average(self) -> Any:
        """Moving average of the variables, or the last ones: those to use."""
        return self.form.unpacked(self.vectors if self.averaged is None else self.averaged)


@dataclass(frozen=True)
class Optimiser:
    """AdamW with clipping by global norm, cosine decay and an average of the iterates.

    Attributes:
        learning_rate: at the start.
        num_steps: over which it decays to `final` times that; 0 keeps it.
        final: share of the learning rate at the end.
        weight_decay: of AdamW.
        clip: largest global norm of a gradient; 0 for no clipping.
        average: decay of the exponential moving average of the variables per step, at step n at
            most (1 + n)/(10 + n) so that the start is soon forgotten; 0 keeps the last ones alone.

    Raises:
        InputError: for numbers out of range.
    """

    learning_rate: float = 1e-3
    num_steps: int = 0
    final: float = 0.01
    weight_decay: float = 0.0
    clip: float = 1.0
    average: float = 0.99

    def __post_init__(self):
        if not self.learning_rate > 0:
            raise InputError(f"training.learning_rate must be above 0, got {self.learning_rate}")
        if not 0 <= self.average < 1:
            raise InputError(f"training.average must lie in [0, 1), got {self.average}")
        for name in ("num_steps", "weight_decay", "clip", "final"):
            if getattr(self, name) < 0:
                raise InputError(f"training.{name} must be at least 0, got {getattr(self, name)}")

    def transform(self) -> optax.GradientTransformation:
        """The transformation of gradients."""
        rate: Any = self.learning_rate
        if self.num_steps:
            rate = optax.cosine_decay_schedule(self.learning_rate, self.num_steps, self.final)
        adam = optax.adamw(rate, weight_decay=self.weight_decay)
        return optax.chain(optax.clip_by_global_norm(self.clip), adam) if self.clip else adam

    def begin(self, variables: Any) -> Descent:
        """Before the first step."""
        form = form_of(variables)
        vectors = form.packed(variables)
        moments = self.transform().init(vectors)
        averaged = vectors if self.average else None
        return Descent(vectors, averaged, moments, jnp.zeros((), jnp.int32), form)

    def update(self, descent: Descent, gradient: Any) -> Descent:
        """One step down a gradient, a pytree as the variables."""
        packed, rule = descent.form.packed(gradient), self.transform()
        vectors, moments = stepped(rule, packed, descent.moments, descent.vectors)

        def mixed(new: Array, old: Array) -> Any:
            n = jnp.asarray(descent.num_updates, new.dtype)
            decay = jnp.minimum(self.average, (1 + n) / (10 + n))
            return optax.incremental_update(new, old, 1 - decay)

        known = descent.averaged
        return replace(
            descent,
            vectors=vectors,
            averaged=None if known is None else tuple(map(mixed, vectors, known)),
            moments=moments,
            num_updates=descent.num_updates + 1,
        )
