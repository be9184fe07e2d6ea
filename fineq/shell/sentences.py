"""Hydra's and OmegaConf's errors, each in one sentence."""

import re
from typing import Any

from fineq.errors import InputError
from fineq.settings.values import shortened


class one_sentence:  # noqa: N801 (used as a function)
    """Turn Hydra's and OmegaConf's errors into one sentence each, behind a prefix if there is one.

    Neither has an error for a number that a float cannot hold: that is caught here as well.
    """

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        from hydra.errors import HydraException
        from omegaconf.errors import OmegaConfBaseException

        if isinstance(error, InputError) and self.prefix:
            raise InputError(f"{self.prefix}{error}") from error
        if isinstance(error, HydraException | OmegaConfBaseException):
            raise InputError(self.prefix + _sentence(error)) from error
        if isinstance(error, OverflowError):
            raise InputError(f"{self.prefix}{_where(str(error))} is too large a number") from error


def _sentence(error: BaseException) -> str:
    """One sentence from Hydra's message and the OmegaConf error that caused it."""
    chain, cause = [], error
    while cause is not None and len(chain) < 5:
        chain.append(str(cause))
        cause = cause.__cause__
    message = "\n".join(chain)
    where = _where(message)
    if match := re.search(r"Value '(.*?)'.*? could not be converted to (\w+)", message, re.S):
        return f"{where} must be of type {match[2].lower()}, got {shortened(match[1]) or 'nothing'}"
    if "is not Optional" in message or "Incompatible value 'None'" in message:
        return f"{where} must be given, got null"
    if match := re.search(r"missing mandatory value: (\S+)", message, re.I):
        return f"{match[1]} must be given, got ???"
    if match := re.search(r"Could not (?:find|load) '([^']+)'", message):
        return f"{match[1]} was not found"
    if "Could not override" in message or "not in struct" in message:
        return f"{where} is not a field; --help lists the fields there are"
    if "is not a ListConfig" in message:
        return f"{where} must be a list in brackets"
    if match := re.search(r"Cannot convert '\w+' to string: '(.*)'", message, re.S):
        return f"{where} must be text, got {shortened(match[1])}"
    if match := re.search(r"raised while resolving interpolation: (.*)", message):
        reason = match[1].strip("\"'")
        return f"{where}: what ${{...}} in it refers to cannot be found ({reason})"
    first = _first(message)
    return first if where == "a field" or where in first else f"{where}: {first}"


def _where(message: str) -> str:
    """The field that a message is about."""
    override = re.search(r"(?:override|merging override) '?\+*([\w.]+)", message)
    key = re.search(r"full_key: (\S+)", message)
    return key[1] if key else override[1] if override else "a field"


def _first(message: str) -> str:
    return " ".join(message.strip().split("\n")[0].split())
