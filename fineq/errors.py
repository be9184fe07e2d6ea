"""Errors that end a command with one sentence and an exit code."""

from typing import ClassVar

EXIT_DONE = 0
EXIT_CLAIM_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_ALL_DIVERGED = 3
EXIT_RESOURCES = 4
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


class FineqError(Exception):
    """An error whose message is a full sentence for the user; `exit_code` ends the process."""

    exit_code: ClassVar[int] = 1


class InputError(FineqError, ValueError):
    """Bad input: says what is wrong, where, and what is allowed."""

    exit_code: ClassVar[int] = EXIT_BAD_INPUT


class ResourceError(FineqError):
    """Too little memory or disk: says how much is needed and what to lower."""

    exit_code: ClassVar[int] = EXIT_RESOURCES


class PrecisionWarning(UserWarning):
    """What is meant as exact truth is computed in float32; said once for each line that asks."""


def in_a_line(error: BaseException) -> str:
    """The kind of an error that is not ours, and the first line of what it says."""
    said = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
