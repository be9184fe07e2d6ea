"""What a method is: how one member of a problem goes on from where it stands.

A method is a frozen dataclass and a pytree. Its numbers (a step size, a smoothing radius) are
leaves: other numbers compile nothing, and `vmap` and `grad` go through them. Its choices (a rule, a
count that makes shapes) are static. It holds no data and no answer: what is solved is the problem,
and what is known of its solution is a reference, which only `measure` and `done` see.

    @method
    class Heavy(Method):
        step_size: float
        momentum: float = 0.9

        def init(self, key, problem, start):
            return start, jnp.zeros_like(start)

        def step(self, key, state, problem):
            x, v = state
            v = self.momentum * v - self.step_size * jax.grad(problem)(x)
            return (x + v, v), None
"""

import dataclasses
from typing import Any, TypeVar, dataclass_transform

import jax
import jax.numpy as jnp
from jax import Array

from fineq.iterate.core import non_finite

T = TypeVar("T", bound=type)


def static(**options: Any) -> Any:
    """A field of a method that is a choice and not a number; options of `dataclasses.field`."""
    return dataclasses.field(metadata={"static": True}, **options)


@dataclass_transform(frozen_default=True, field_specifiers=(static, dataclasses.field))
def method(cls: T) -> T:
    """Make a class a method: a frozen dataclass whose fields, but for `static` ones, are leaves."""
    return jax.tree_util.register_dataclass(dataclasses.dataclass(frozen=True, eq=False)(cls))


class Method:
    """The five functions of a method, of one member and pure; `init` and `step` are to be given.

    `problem` is whatever the method works on, `state` what its next step needs, `info` what a step
    has seen on its way (None will do), `reference` what is known of the solution, or None.
    """

    draws: bool = False
    """Whether the method uses its key."""

    reads: tuple[str, ...] = ()
    """What `measure` and `done` read of a reference: one that lacks any of it is refused."""

    @property
    def stops(self) -> bool:
        """Whether `done` ever holds, static: where it does not, no loop asks for it."""
        return type(self).done is not Method.done

    def init(self, key: Array | None, problem: Any, start: Any) -> Any:
        """The state before the first step, from `start`, or the usual one where that is None."""
        raise NotImplementedError

    def step(self, key: Array | None, state: Any, problem: Any) -> tuple[Any, Any]:
        """The next state, and info; structure, shapes and dtypes of the state stay."""
        raise NotImplementedError

    def measure(self, state: Any, info: Any, problem: Any, reference: Any) -> dict[str, Array]:
        """What is recorded of a state; before the first step info is NaN (integers: 0)."""
        del state, info, problem, reference
        return {}

    def done(self, state: Any, info: Any, problem: Any, reference: Any) -> Array:
        """Whether the state, which a step has just reached, is good enough, bool []."""
        del state, info, problem, reference
        return jnp.bool_(False)

    def diverged(self, state: Any, info: Any, problem: Any) -> Array:
        """Whether the state is to be refused, bool []; it is never stored."""
        del info, problem
        return non_finite(state)

    def value(self, state: Any, problem: Any) -> Any:
        """What is solved for, from a state."""
        del problem
        return state
