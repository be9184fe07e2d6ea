"""What stands within a summary, as far as it is counted, formatted or walked through anywhere.

Another program may have written a summary, with a digest that fits: it is damaged then, and told.
"""

from collections.abc import Iterator, Mapping
from typing import Any

_NONE = type(None)
_NUMBER = (int, float, _NONE)
_TEXT = (str,)
_MAYBE_TEXT = (str, _NONE)
_MAYBE_PARTS = (dict, _NONE)
_CLAIM = {"id": _TEXT, "statement": _TEXT, "verdict": _MAYBE_TEXT}
_CLAIM |= {"measured": _MAYBE_PARTS, "theory": _MAYBE_PARTS}
_CLAIM_MAY = {"source": _TEXT, "instance": _MAYBE_TEXT, "reason": _MAYBE_TEXT}
_CLAIM_MAY |= {"confidence": _NUMBER, "margin": _NUMBER}
_MEASURED_MAY = {"value": _NUMBER, "low": _NUMBER, "high": _NUMBER, "unit": _MAYBE_TEXT}
_THEORY = {"value": _NUMBER, "relation": _TEXT}
_THEORY_MAY = {"formula": _MAYBE_TEXT, "note": _MAYBE_TEXT}
_RATE = {"quantity": _TEXT}
_RATE_MAY = {"method": _TEXT, "value": _NUMBER, "low": _NUMBER, "high": _NUMBER}
_RATE_MAY |= {"seeds": (int, _NONE), "verdict": _MAYBE_TEXT, "unit": _MAYBE_TEXT}
_ABOUT_MAY = {"versions": (dict,), "devices": (dict,), "stages": (dict,)}

_Kinds = Mapping[str, tuple[type, ...]]


def odd(summary: Mapping[str, Any], older: bool) -> str:
    """Name the first part of a summary that is not of its kind; empty where there is none.

    Args:
        summary: whose own keys are of their kinds already.
        older: claims of an older fineq are shown by none, and may hold anything.
    """
    return next(_odd(summary, older), "")


def _odd(summary: Mapping[str, Any], older: bool) -> Iterator[str]:
    for rate in summary["rates"]:
        yield from _wrong("a rate", rate, _RATE, _RATE_MAY)
    for claim in () if older else summary["claims"]:
        yield from _wrong("a claim", claim, _CLAIM, _CLAIM_MAY)
        yield from _wrong("what a claim measured", claim["measured"] or {}, {}, _MEASURED_MAY)
        if claim["theory"] is not None:
            yield from _wrong("the theory of a claim", claim["theory"], _THEORY, _THEORY_MAY)
    for name, kinds in (("timing", _NUMBER), ("notes", _MAYBE_TEXT), ("files", _TEXT)):
        parts = summary[name]
        yield from _wrong(name, parts, dict.fromkeys(parts, kinds), {})
    yield from _wrong("environment", summary["environment"], {}, _ABOUT_MAY)


def _wrong(what: str, parts: Any, must: _Kinds, may: _Kinds) -> Iterator[str]:
    if not isinstance(parts, dict):
        yield f"{what} is no object"
        return
    known = {**must, **{name: kinds for name, kinds in may.items() if name in parts}}
    for name, kinds in known.items():
        # Not isinstance: a boolean is an integer in Python, not here.
        if name not in parts or type(parts[name]) not in kinds:
            yield f"{name!r} of {what} is missing or of the wrong type"
