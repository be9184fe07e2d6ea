"""`fineq show`: claims, rates and figures of a run that is there."""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from fineq.errors import EXIT_DONE
from fineq.runs.folders import command_of, files_of
from fineq.runs.summary import is_older, read_summary
from fineq.shell.commands.found import OUTPUT, entries, named, of_study, studies
from fineq.shell.commands.runs import FIELDS as FIELDS
from fineq.shell.commands.runs import VALUES as VALUES
from fineq.shell.commands.runs import filtered
from fineq.shell.commands.words import read
from fineq.shell.console import Console, make_console, shortest
from fineq.table import NOTHING

USAGE = """\
usage: fineq show RUN [output=DIR]
       fineq show AREA/STUDY [filter=value ...] [output=DIR]

A run's claims, rates and notes, the command that asks for it again, and the
paths of its figures and data. RUN is its folder or the first digits of its
hash (fineq runs has them); of a study its newest run below ./outputs, or
output=DIR, is shown, or the newest that passes the filters of fineq runs.
"""
PLACES = studies()


def main(words: Sequence[str]) -> int:
    """Print the run."""
    given = read("show", words, places=(1, 1), fields=FIELDS)
    if given.help:
        print(USAGE, end="")
        return EXIT_DONE
    filters, word = dict(given.fields), given.places[0]
    output = filters.pop("output", OUTPUT)
    folder = named(word, output, partial(filtered, filters=filters) if filters else None)
    summary = read_summary(folder)
    console = make_console()
    for line in heading(folder, summary):
        console.line(line)
    if is_older(summary):
        console.line("its claims are of an older fineq, and stand in summary.json")
        summary = {**summary, "claims": []}
    _rates(console, summary["rates"])
    console.report(summary, files_of(folder, summary))
    others = [] if folder == Path(word) or "/" not in word else of_study(word, entries(output))
    if len(others) > 1:
        console.line(f"the newest of {len(others)}: fineq runs study={word} lists them")
    return EXIT_DONE


def heading(folder: Path, summary: Mapping[str, Any]) -> list[str]:
    """What a run is, where and when it was computed, and how to ask for it again."""
    where = summary["environment"]
    devices = ", ".join(f"{n} {kind}" for kind, n in where.get("devices", {}).items())
    when = time.strftime(
        "%Y-%m-%d %H:%M", time.localtime((folder / "summary.json").stat().st_mtime)
    )
    parts = [when, devices, str(where.get("precision", ""))]
    parts += [
        f"{name} {v}" for name, v in where.get("versions", {}).items() if name in ("fineq", "jax")
    ]
    return [
        f"{summary['area']}/{summary['study']}, {summary['status'].replace('_', ' ')}",
        f"  {shortest(folder)}",
        f"  {', '.join(filter(None, parts))}",
        f"  {command_of(folder, summary)}",
    ]


def _rates(console: Console, rates: Sequence[Mapping[str, Any]]) -> None:
    if rates:
        console.line("rates")
    for rate in rates:
        console.line(f"  {rate_words(rate)}")


def rate_words(rate: Mapping[str, Any]) -> str:
    """A fitted rate in a line: what converges, how fast, of how many seeds, what the fits say."""
    value, low, high = (_number(rate.get(name)) for name in ("value", "low", "high"))
    unit = rate.get("unit") or "1"
    number = (
        [value, f"[{low or NOTHING}, {high or NOTHING}]", "" if unit == "1" else unit]
        if value
        else [NOTHING]
    )
    seeds = f"{rate['seeds']} seeds" if rate.get("seeds") else ""
    parts = (" ".join(filter(None, number)), seeds, rate.get("verdict"))
    return f"{rate['quantity']}: {', '.join(filter(None, parts))}"


def _number(value: Any) -> str:
    """The number; nothing where it is not known."""
    return f"{value:.4g}" if isinstance(value, int | float) else ""
