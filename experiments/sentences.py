"""Hydra's and OmegaConf's errors, each in one sentence."""

import re
from pathlib import Path
from typing import Any

from fineq.errors import InputError

CONFIGS = Path(__file__).resolve().parent.parent / "configs"


class one_sentence:  # noqa: N801 (used as a function)
    """Turn Hydra's and OmegaConf's errors into one sentence each."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        from hydra.errors import HydraException
        from omegaconf.errors import OmegaConfBaseException

        if isinstance(error, HydraException | OmegaConfBaseException):
            raise InputError(_sentence(error)) from error


def _sentence(error: BaseException) -> str:
    """One sentence from Hydra's message and the OmegaConf error that caused it."""
    chain, cause = [], error
    while cause is not None and len(chain) < 5:
        chain.append(str(cause))
        cause = cause.__cause__
    message = "\n".join(chain)
    override = re.search(r"(?:override|merging override) '?\+*([\w.]+)", message)
    key = re.search(r"full_key: (\S+)", message)
    where = key[1] if key else override[1] if override else "a field"
    if match := re.search(r"Value '(.*?)'.*? could not be converted to (\w+)", message, re.S):
        return f"{where} must be of type {match[2].lower()}, got {match[1]}"
    if "is not Optional" in message:
        return f"{where} must be given, got null"
    if match := re.search(r"Could not (?:find|load) '([^']+)'", message):
        options = re.search(r"Available options in '[^']+':(.*?)(?:Config search|$)", message, re.S)
        known = ", ".join(options[1].split()) if options else ", ".join(_siblings(match[1]))
        return f"{match[1]} was not found; allowed: {known}"
    if "viable alternative" in message or "mismatched input" in message:
        return f"the command line cannot be read: {message.splitlines()[0]}"
    if "Could not override" in message or "not in struct" in message:
        name = override[1] if override else where
        return f"{name} is not a field; --help lists the fields there are"
    first = " ".join(message.split("\n")[0].split())
    return f"{where}: {' '.join(chain[-1].splitlines()[0].split())}" if override else first


def _siblings(name: str) -> list[str]:
    return sorted(path.stem for path in (CONFIGS / name).parent.glob("*.yaml"))
