"""The door of the methods: each takes a problem in its own form."""

from typing import Any

from fineq.errors import InputError


def expect(method: Any, problem: Any, form: type, maker: str) -> None:
    """Raise `InputError` unless a problem has the form that a method solves.

    Args:
        method: for the sentence.
        problem: what was given.
        form: its type.
        maker: the function that makes one.
    """
    if not isinstance(problem, form):
        raise InputError(
            f"{type(method).__name__} solves a {form.__name__}, which {maker} makes, got a "
            f"{type(problem).__name__}"
        )
