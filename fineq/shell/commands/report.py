"""`fineq report`: claims and figures of many runs as one page, or of runs beside each other."""

import importlib
from collections.abc import Sequence
from pathlib import Path

from fineq.errors import EXIT_DONE, InputError
from fineq.shell.commands.found import OUTPUT, studies
from fineq.shell.commands.words import read
from fineq.shell.console import make_console, shortest
from fineq.studies.area import AREAS

NAME = "report.html"
BESIDE = "comparison.html"
USAGE = f"""\
usage: fineq report [DIR] [to=FILE]
       fineq report A B [to=FILE] [output=DIR]

Writes one page of the runs below DIR (./{OUTPUT}): every claim of the papers
with what was measured, what theory allows, the verdict and its reason, claims
that no run speaks of among them; then each run with its figures, which can be
enlarged and narrowed down to a value of a sweep, its command, configuration
and versions. The page, DIR/{NAME} or FILE, needs no network and no
other file. Figures are drawn from the runs' data, about a second each.

Of A and B, two runs or two folders of runs as fineq compare takes them, the
page, ./{BESIDE} or FILE, shows what differs, every claim as both
found it, and their figures side by side.
"""
PLACES, FIELDS = studies(), ("to", "output")


def main(words: Sequence[str]) -> int:
    """Write the page and print its path."""
    given = read("report", words, places=(0, 2), what="DIR", fields=FIELDS)
    if given.help:
        print(USAGE, end="")
        return EXIT_DONE
    to, output = given.fields.get("to"), given.fields.get("output")
    lines: list[str] = []
    if to == "":
        raise InputError("to must be given, got nothing")
    if len(given.places) == 2:
        path, lines = _write_beside(given.places, output or OUTPUT, to or BESIDE)
    elif output is None:
        path = write_page(given.places[0] if given.places else OUTPUT, to)
    else:
        raise InputError("output= says where runs A and B lie; of one folder: fineq report DIR")
    console = make_console()
    for line in lines:
        console.line(line)
    console.line(f"  {shortest(path)}")
    return EXIT_DONE


def _write_beside(words: Sequence[str], output: str, to: str) -> tuple[Path, list[str]]:
    """Return the page, and what it leaves out in lines."""
    from fineq.report import write_comparison
    from fineq.shell.commands.compare import paired, runs_of, unlike_lines

    found, alone, repeated = paired(*(runs_of(word, output) for word in words))
    page = write_comparison(found, to, alone=alone)
    return page, list(unlike_lines(words, repeated))


def write_page(folder: Path | str, to: Path | str | None = None) -> Path:
    """Write the page of all runs below a folder, in which each claim of every area has its place.

    Args:
        folder: that holds all runs.
        to: the file; None: `report.html` in the folder.

    Raises:
        InputError, ResourceError: as `fineq.report.write`.
    """
    from fineq.report import write

    for area in AREAS:
        importlib.import_module(f"fineq.studies.{area}.claims")
    return write(folder, Path(folder) / NAME if to is None else to)
