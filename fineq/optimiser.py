"""The optimiser of networks: one step of it, and the average of its iterates."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from fineq.errors import InputError


def stepped(
    rule: optax.GradientTransformation, gradient: Any, moments: Any, variables: Any
) -> tuple[Any, Any]:
    """Variables and moments after one step of an Optax rule."""
    # Optax's schedules multiply whole numbers by real ones, which strict promotion refuses.
    with jax.numpy_dtype_promotion("standard"):
        step, moments = rule.update(gradient, moments, variables)
        return optax.apply_updates(variables, step), moments


class Descent(NamedTuple):
    """Where an optimiser stands.

    Attributes:
        variables: what is optimised, a pytree.
        average: moving average of the variables: those to use.
        moments: of the gradients.
        num_updates: steps so far, int32.
    """

    variables: Any
    average: Any
    moments: Any
    num_updates: Array


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
        return Descent(
            variables, variables, self.transform().init(variables), jnp.zeros((), jnp.int32)
        )

    def update(self, descent: Descent, gradient: Any) -> Descent:
        """One step down a gradient."""
        variables = descent.variables
        variables, moments = stepped(self.transform(), gradient, descent.moments, variables)
        n = jnp.asarray(descent.num_updates, jax.tree.leaves(variables)[0].dtype)
        decay = jnp.minimum(self.average, (1 + n) / (10 + n)) if self.average else 0.0
        average = optax.incremental_update(variables, descent.average, 1 - decay)
        return Descent(variables, average, moments, descent.num_updates + 1)
