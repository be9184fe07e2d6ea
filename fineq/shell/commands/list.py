"""`fineq list`: the areas and their studies, a line and minutes each."""

import os
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence

from fineq.errors import EXIT_DONE, InputError
from fineq.shell.commands.words import read
from fineq.shell.experiments import listed
from fineq.shell.past import ended, key_of, measured, minutes_of
from fineq.studies.area import AREAS

USAGE = """\
usage: fineq list [AREA ...] [output=DIR]

The studies of all areas, or of some: the name that fineq run takes, minutes,
and what it shows. Minutes are those of its newest run at the default size
(profile=quick) below ./outputs, or output=DIR; where there is none, as
measured once, of processor time. profile=smoke takes seconds.
"""
PLACES, FIELDS = AREAS, ("output",)
INDENT, GAP = 2, 2


def main(words: Sequence[str]) -> int:
    """Print the list."""
    given = read("list", words, places=(0, len(AREAS)), what="AREA", fields=FIELDS)
    if given.help:
        print(USAGE, end="")
        return EXIT_DONE
    for area in given.places:
        if area not in AREAS:
            raise InputError(f"{area!r} is no area; allowed: {', '.join(AREAS)}")
    minutes = known_minutes(given.fields.get("output", "outputs"))
    for area in given.places or AREAS:
        print("\n".join(lines_of(area, minutes, terminal_width())), end="\n\n")
    print("Run one:  fineq run NAME    in seconds:  fineq run NAME profile=smoke")
    return EXIT_DONE


def known_minutes(output: str) -> dict[str, float]:
    """Minutes by the words of a run at its default size: measured once, or what a run here took."""
    minutes = {words: cost.minutes for words, cost in measured().items()}
    if not os.path.isdir(output):
        return minutes
    here = [one for one in ended(output) if one.words]
    return minutes | {key_of(one.words): one.seconds / 60 for one in here if one.words}


def lines_of(area: str, minutes: Mapping[str, float], width: int | None) -> list[str]:
    """An area and its studies, in lines that are at most so wide; None: as wide as they are."""
    about, found = listed(area)
    longest = max(len(one.name) for one in found)
    lines = [f"{area}: {about}", f"{'':{INDENT + longest + GAP}}minutes"]
    for one in found:
        known = minutes_of(one, minutes)
        took = "" if known is None else f"{known:.1f}"
        head = f"{'':{INDENT}}{one.name:{longest}}{'':{GAP}}{took:>7}{'':{GAP}}"
        lines += _wrapped(head, one.about, width)
    return lines


def _wrapped(head: str, text: str, width: int | None) -> list[str]:
    """The text behind its head, in lines that are indented as far."""
    if width is None:
        return [head + text]
    first, *rest = textwrap.wrap(text, max(width - len(head), 20), break_on_hyphens=False)
    return [head + first, *(" " * len(head) + line for line in rest)]


def terminal_width() -> int | None:
    """Columns of the terminal; None where there is none, and lines are as long as they are."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
