"""`outputs/summary.json`: all runs and all claims of one command, and how it ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fineq.confidence import LEVEL
from fineq.runs import summary as summaries
from fineq.runs.data import DamagedError
from fineq.runs.files import (
    check_writable,
    disk_errors,
    local_folder,
    read_json,
    read_regular,
    strict_json,
    write_atomic,
)

_VERDICTS = ("holds", "fails", "inconclusive", "not refuted")


@dataclass(frozen=True)
class Outcome:
    """How one study of a larger command ended.

    Attributes:
        study: `area/study`.
        exit_code: 0 done, otherwise as in `fineq.errors`.
        path: the run folder, None when none was made.
        message: the sentence of the error, empty when there was none.
        seconds: wall time.

    """

    study: str
    exit_code: int
    path: Path | None = None
    message: str = ""
    seconds: float = 0.0


def write_overall_summary(output: Path | str, outcomes: Sequence[Outcome]) -> Path:
    """Write `<output>/summary.json` and return its path.

    Keys: `schema_version`, `exit_code` (the worst), `seconds`, `runs` (study, exit_code,
    message, seconds, path relative to `output`, and from the run's own summary name, hash,
    status, timing), `verdicts` (how many claims have each, see `count_verdicts`), `claims` (each
    claim with the `run` it belongs to).

    Raises:
        InputError: when the folder cannot be written.
        ResourceError: when the disk is full.

    """
    output = local_folder(output)
    check_writable(output)
    entries = [_entry(output, outcome) for outcome in outcomes]
    every = [{"run": entry["path"], **claim} for entry, claims in entries for claim in claims]
    content = {
        "schema_version": summaries.SCHEMA_VERSION,
        "exit_code": max((outcome.exit_code for outcome in outcomes), default=0),
        "seconds": sum(outcome.seconds for outcome in outcomes),
        "runs": [entry for entry, _ in entries],
        "verdicts": count_verdicts(every),
        "claims": every,
    }
    path = output / summaries.NAME
    with disk_errors(output):
        output.mkdir(parents=True, exist_ok=True)
    write_atomic(path, strict_json(content))
    return path


def read_outcomes(output: Path | str) -> list[Outcome]:
    """Return how the studies of the command ended that wrote `<output>/summary.json`, if any."""
    output = Path(output)
    try:
        runs = read_json(read_regular(output / summaries.NAME))["runs"]
        return [_outcome(output, run) for run in runs]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _outcome(output: Path, run: Mapping[str, Any]) -> Outcome:
    path = None if run["path"] is None else output / str(run["path"])
    code, seconds = int(run["exit_code"]), float(run["seconds"])
    return Outcome(str(run["study"]), code, path, str(run["message"]), seconds)


def count_verdicts(claims: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Count the verdicts of many claims, and say how many of them chance alone would refute.

    An interval of 95% misses the truth once in 20 times at most, so that of m true claims judged by
    one m/20 are refuted by chance at most, on average. Exact numbers are refuted by none, and
    claims about all x only by a counterexample.

    Returns:
        `holds`, `fails`, `inconclusive`, `not refuted`: numbers of claims; `judged_by_intervals`:
        m; `refuted_by_chance`: the expected number, at most; `note`: the same in a sentence.

    """
    judged = [claim for claim in claims if claim.get("verdict")]
    counts = {v: sum(claim["verdict"] == v for claim in judged) for v in _VERDICTS}
    m = sum(
        not claim.get("sampled") and LEVEL <= (claim.get("confidence") or 0.0) < 1
        for claim in judged
    )
    expected = (1 - LEVEL) * m
    note = (
        f"{len(judged)} claims are judged: "
        + ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
        + f"; {m} of them by {LEVEL:.0%} intervals, of which chance alone would refute "
        f"{expected:.1f} at most were all of them true"
    )
    return {**counts, "judged_by_intervals": m, "refuted_by_chance": expected, "note": note}


def _entry(output: Path, outcome: Outcome) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    entry = {
        "study": outcome.study,
        "exit_code": outcome.exit_code,
        "message": outcome.message,
        "seconds": outcome.seconds,
        "path": None,
    }
    if outcome.path is None:
        return entry, []
    entry["path"] = _relative(outcome.path, output)
    try:
        summary = summaries.read_summary(outcome.path)
    except DamagedError as error:
        return {**entry, "message": outcome.message or str(error)}, []
    known = {key: summary[key] for key in ("name", "hash", "status", "timing")}
    return {**entry, **known}, summary["claims"]


def _relative(path: Path, output: Path) -> str:
    try:
        return path.absolute().relative_to(output.absolute()).as_posix()
    except ValueError:
        return path.name
