"""`fineq report`: claims and figures of many runs as one page."""

import importlib
from collections.abc import Sequence
from pathlib import Path

from fineq.errors import EXIT_DONE, InputError
from fineq.shell.commands.found import OUTPUT
from fineq.shell.commands.words import read
from fineq.shell.console import make_console, shortest
from fineq.studies.area import AREAS

NAME = "report.html"
USAGE = f"""\
usage: fineq report [DIR] [to=FILE]

Writes one page of the runs below DIR (./{OUTPUT}): every claim of the papers with what was
measured, what theory allows, the verdict and its reason, claims that no run speaks of among them;
then each run with its figures, which can be enlarged and narrowed down to a value of a sweep, its
command, configuration and versions. The page, DIR/{NAME} or FILE, needs no network and no
other file. Figures are drawn from the runs' data, about a second each.
"""
FIELDS = ("to",)


def main(words: Sequence[str]) -> int:
    """Write the page and print its path."""
    given = read("report", words, places=(0, 1), what="DIR", fields=FIELDS)
    if given.help:
        print(USAGE, end="")
        return EXIT_DONE
    if given.fields.get("to") == "":
        raise InputError("to must be given, got nothing")
    folder = given.places[0] if given.places else OUTPUT
    path = write_page(folder, given.fields.get("to"))
    make_console().line(f"  {shortest(path)}")
    return EXIT_DONE


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
