"""`summary.json`, schema version 2: what a run claims and measured; it marks the run complete.

Keys: `schema_version`, `area`, `study`, `name`, `hash`, `status`, `claims`, `rates`, `notes`,
`timing` (seconds: compile, run), `environment`, `sources` (SHA-256 of what computes and what draws,
and of the user's own modules by name), `files` (SHA-256 by file name), `undrawn` (why figures
could not be drawn, by their names), `digest` (SHA-256 of all the rest), and where they are known
`words` (of the command line, such as `experiment=nlqr/landscape` and `seeds=16`; those that only
say where and how it is carried out are left out). Non-finite numbers are null.

Version 1, whose claims did not say how sure their intervals are, is read as older: its content is
plain data, and the run it describes is computed again when it is asked for.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from fineq.results import Status, StudyResult
from fineq.runs.data import DamagedError, read_bytes
from fineq.runs.digest import Identity
from fineq.runs.files import plain_name, read_json, strict_json, write_atomic
from fineq.runs.shapes import odd

NAME = "summary.json"
WORDS = "words"
SCHEMA_VERSION = 2
STATUSES = get_args(Status)
FINISHED = ("complete", "partly_diverged", "diverged")
CLAIM_KEYS = (
    *("id", "statement", "source", "instance", "measured", "theory", "margin", "sampled"),
    *("confidence", "verdict", "reason"),
)
RATE_KEYS = ("quantity", "method", "value", "low", "high", "seeds", "verdict")
_KINDS = {
    "schema_version": int,
    "area": str,
    "study": str,
    "name": str,
    "hash": str,
    "status": str,
    "claims": list,
    "rates": list,
    "notes": dict,
    "timing": dict,
    "environment": dict,
    "files": dict,
}


_KINDS_SINCE_2 = {"sources": dict}


def build_summary(
    identity: Identity,
    result: StudyResult,
    timing: Mapping[str, float],
    environment: Mapping[str, Any],
    files: Mapping[str, str],
) -> dict[str, Any]:
    """Return the summary of a run as plain data.

    Args:
        identity: what names the run and made its numbers.
        result: what the study computed.
        timing: seconds by phase: `compile`, `run`.
        environment: from `fineq.runs.environment.environment`.
        files: SHA-256 by file name.

    Raises:
        ValueError: when a claim or a rate lacks a key of the schema.

    """
    return {
        "schema_version": SCHEMA_VERSION,
        "area": identity.area,
        "study": identity.study,
        "name": identity.name,
        "hash": identity.hash,
        "status": result.status,
        "claims": [_entry(claim, CLAIM_KEYS, "claim") for claim in result.claims],
        "rates": [_entry(rate, RATE_KEYS, "rate") for rate in result.rates],
        "notes": dict(result.notes),
        "timing": dict(timing),
        "environment": dict(environment),
        "sources": {**identity.sources._asdict(), "own": dict(identity.own)},
        "files": dict(files),
    }


def _entry(item: Any, keys: tuple[str, ...], kind: str) -> dict[str, Any]:
    entry = item.to_dict()
    missing = [key for key in keys if key not in entry]
    if missing:
        raise ValueError(f"a {kind} lacks {', '.join(missing)}: {entry}")
    return entry


def write_summary(folder: Path, summary: Mapping[str, Any]) -> None:
    """Write `summary.json` atomically with its own digest."""
    body = {key: value for key, value in summary.items() if key != "digest"}
    write_atomic(folder / NAME, strict_json({**body, "digest": _digest(body)}))


def _digest(body: Mapping[str, Any]) -> str:
    # Of the text as it will be read back, so that rounding of numbers cannot matter.
    return hashlib.sha256(strict_json(read_json(strict_json(body)))).hexdigest()


def read_summary(folder: Path) -> dict[str, Any]:
    """Return a checked summary, of this schema version or an older one (`is_older`).

    Raises:
        DamagedError: naming the file when it is not as written, or of a version yet unknown.

    """
    path = folder / NAME
    content = read_bytes(path)
    try:
        summary = read_json(content)
        reason = _fault(summary)
    except ValueError as error:
        raise DamagedError(f"{path} is damaged: {error}") from None
    if reason:
        raise DamagedError(f"{path} is damaged: {reason}")
    return summary


def is_older(summary: Mapping[str, Any]) -> bool:
    """Whether a summary that was read is of an older schema version than this fineq writes."""
    return summary["schema_version"] < SCHEMA_VERSION


def _fault(summary: Any) -> str:
    if not isinstance(summary, dict):
        return "not an object"
    older = summary.get("schema_version") == 1
    for key, kind in (_KINDS if older else _KINDS | _KINDS_SINCE_2).items():
        # Not isinstance: a boolean is an integer in Python, not here.
        if type(summary.get(key)) is not kind:
            return f"{key!r} is missing or of the wrong type"
    if not 1 <= summary["schema_version"] <= SCHEMA_VERSION:
        return f"schema version {summary['schema_version']} is not one of 1 to {SCHEMA_VERSION}"
    if summary["status"] not in STATUSES:
        return f"unknown status {summary['status']!r}"
    for name in summary["files"]:
        if not plain_name(name):
            return f"{name!r} is no plain name of a file"
    body = {key: value for key, value in summary.items() if key != "digest"}
    return odd(summary, older) if summary.get("digest") == _digest(body) else "its checksum differs"
