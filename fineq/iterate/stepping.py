"""A method in the form that the driver repeats: step, what is measured, when it is over.

The functions are the same objects for every method, which is among the arrays they are given: other
numbers of a method compile nothing.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from fineq.errors import InputError
from fineq.iterate.methods import Method


class Given(NamedTuple):
    """What a step is given: all arrays, so that other numbers compile nothing."""

    method: Method
    problem: Any
    reference: Any


def given(method: Method, problem: Any, reference: Any) -> Given:
    """What every step of a method is given.

    Raises:
        InputError: for a reference that is not of the kind that the method reads.
    """
    if reference is not None and not all(hasattr(reference, name) for name in method.reads):
        raise InputError(
            f"{type(method).__name__} reads {' and '.join(method.reads)} of a reference, got a "
            f"{type(reference).__name__}"
        )
    return Given(method, problem, reference)


class Seen(NamedTuple):
    """What a step has seen: the method's own info, and its verdicts on the state it has reached."""

    info: Any
    done: Array
    refused: Array


def stochastic_step(key: Array, state: Any, problem: Given) -> tuple[Any, Seen]:
    """The step of a method, handed its key."""
    return step_and_judge(key, state, problem)


def keyless_step(state: Any, problem: Given) -> tuple[Any, Seen]:
    """The step of a method that draws nothing."""
    return step_and_judge(None, state, problem)


def step_and_judge(key: Array | None, state: Any, given: Given) -> tuple[Any, Seen]:
    """One step, with what it has seen and whether it is the last or was one too far."""
    method, problem, reference = given
    state, info = method.step(key, state, problem)
    done = jnp.asarray(method.done(state, info, problem, reference))
    return state, Seen(info, done, jnp.asarray(method.diverged(state, info, problem)))


def measured(state: Any, info: Seen, problem: Given) -> dict[str, Array]:
    """What the method measures of a state."""
    return problem.method.measure(state, info.info, problem.problem, problem.reference)


def not_done(info: Seen) -> Array:
    """0 where the method is done, else 1."""
    return jnp.where(info.done, 0.0, 1.0)


def refused(state: Any, info: Seen) -> Array:
    """Whether the method refuses the state."""
    del state
    return info.refused
