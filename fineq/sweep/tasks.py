"""Sweeps of methods: what `fineq.solve` does for one member, for each member of a sweep."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jax import Array

from fineq.iterate.methods import Method
from fineq.iterate.stepping import Given, given, measured, not_done, refused, stochastic_step
from fineq.keys import key_for
from fineq.sweep.program import Member, Program


class Task(NamedTuple):
    """What one member solves, and by which method; as the arguments of `fineq.solve`."""

    problem: Any
    method: Method
    start: Any = None
    reference: Any = None


def solving(
    make: Callable[[Array, Member], Task | tuple[Any, Method, Any, Any]],
    *,
    num_steps: int,
    record: Any = None,
    stops: bool = False,
) -> Program:
    """The program in which every member of a sweep solves its own task.

    Args:
        make: `make(key, member) -> Task`, or its four parts: pure, called once for a member before
            its first step. The key depends on the seed alone; a method's `init` gets another.
        num_steps: as for `fineq.solve`.
        record: likewise.
        stops: whether members end when their method is done. A loop that looks for it goes on
            until the last member of its block is done, and each step is charged for looking.

    Returns:
        A `Program` for `fineq.sweep.sweep`. Its metrics are what the method measures, its final
        states those of the method.
    """

    def init(key: Array, member: Member) -> tuple[Any, Given]:
        problem, method, start, reference = make(key_for(key, "a task"), member)
        if stops and not method.stops:
            raise ValueError(f"{type(method).__name__} never says that it is done: stops=False")
        state = method.init(key_for(key, "a method's first state"), problem, start)
        return state, given(method, problem, reference)

    return Program(
        init,
        stochastic_step,
        num_steps=num_steps,
        metrics=measured,
        record=record,
        until=not_done if stops else None,
        tolerance=0.5,
        diverged=refused,
    )
