"""Checks of plain data that may come from anywhere, field by field."""

import math
import re
from collections.abc import Mapping
from typing import Any

NUMBER = (int, float)
MAYBE_NUMBER = (int, float, type(None))
_ID = re.compile(r"[a-z0-9]+/[a-z0-9]+(-[a-z0-9]+)*")


def read(data: Any, where: str, kinds: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of `data` after checking that it has exactly the fields of `kinds`."""
    if not isinstance(data, Mapping):
        raise ValueError(f"{where} must be an object, got {type(data).__name__}")
    for name in {**kinds, **data}:
        if name not in data or name not in kinds:
            raise ValueError(f"{where}.{name} is {'missing' if name in kinds else 'unknown'}")
    return {name: _value(data[name], f"{where}.{name}", kind) for name, kind in kinds.items()}


def _value(value: Any, where: str, kind: Any) -> Any:
    # bool is an int in Python, never a number here.
    wrong = isinstance(value, bool) and kind is not bool
    if wrong or not isinstance(value, kind):
        raise ValueError(f"{where} is of the wrong type, {type(value).__name__}")
    if isinstance(value, NUMBER) and not isinstance(value, bool):
        try:
            value = float(value)
        except OverflowError:
            value = math.inf
        if not math.isfinite(value):
            raise ValueError(f"{where} must be a finite number")
    return value


def check_id(id: str) -> None:
    """Raise `ValueError` unless the id has the form `area/claim`."""
    if not _ID.fullmatch(id):
        raise ValueError(f"a claim's id must have the form area/claim, got {id!r}")
