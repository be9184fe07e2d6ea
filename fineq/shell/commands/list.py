"""`fineq list`: the areas and their studies, a line and minutes each."""

import shutil
import sys
import textwrap
from collections.abc import Sequence

from fineq.errors import EXIT_DONE, InputError
from fineq.shell.commands.words import read
from fineq.shell.experiments import Experiment, listed
from fineq.studies.area import AREAS

USAGE = """\
usage: fineq list [AREA ...]

The studies of all areas, or of some: the name that fineq run takes, minutes on two cores at the
default size (profile=quick), and what it shows. `profile=smoke` takes seconds.
"""
INDENT = 2


def main(words: Sequence[str]) -> int:
    """Print the list."""
    given = read("list", words, places=(0, len(AREAS)), what="AREA")
    if given.help:
        print(USAGE, end="")
        return EXIT_DONE
    for area in given.places:
        if area not in AREAS:
            raise InputError(f"{area!r} is no area; allowed: {', '.join(AREAS)}")
    for area in given.places or AREAS:
        print("\n".join(lines_of(area, _width())), end="\n\n")
    print("Run one:  fineq run NAME    in seconds:  fineq run NAME profile=smoke")
    return EXIT_DONE


def lines_of(area: str, width: int | None) -> list[str]:
    """An area and its studies, in lines that are at most so wide; None: as wide as they are."""
    about, found = listed(area)
    head = max(len(one.name) for one in found) + INDENT
    return [f"{area}: {about}", *(line for one in found for line in _of(one, head, width))]


def _of(one: Experiment, head: int, width: int | None) -> list[str]:
    name = f"{'':{INDENT}}{one.name}".ljust(head) + "  "
    if width is None:
        return [name + one.about]
    room = max(width - len(name), 20)
    first, *rest = textwrap.wrap(one.about, room)
    return [name + first, *(" " * len(name) + line for line in rest)]


def _width() -> int | None:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
