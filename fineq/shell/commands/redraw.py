"""`fineq redraw`: a run's figures, drawn again from its data."""

from collections.abc import Sequence

from fineq.errors import EXIT_DONE, InputError
from fineq.runs.drawing import redraw
from fineq.shell.commands.found import OUTPUT, named, studies
from fineq.shell.commands.words import TRUTH, flag, read
from fineq.shell.console import make_console, shortest

USAGE = """\
usage: fineq redraw RUN [to=DIR] [style=STYLE] [overwrite=true] [output=DIR]

Draws a run's figures again, from its data alone: in its own folder, or in
to=DIR and there in any style over the house's: one of matplotlib's by name
(style=dark_background) or a file of settings. RUN is its folder, the first
digits of its hash, or AREA/STUDY for the newest run of that.
"""
PLACES = studies()
VALUES = {"overwrite": TRUTH}
FIELDS = ("to", "style", "overwrite", "output")


def main(words: Sequence[str]) -> int:
    """Draw and print the paths."""
    given = read("redraw", words, places=(1, 1), fields=FIELDS)
    if given.help:
        print(USAGE, end="")
        return EXIT_DONE
    told = given.fields
    overwrite = flag(given, "overwrite")
    for name in ("to", "style"):
        if told.get(name) == "":
            raise InputError(f"{name} must be given, got nothing")
    folder = named(given.places[0], told.get("output", OUTPUT))
    console = make_console()
    drawn = redraw(folder, style=told.get("style"), to=told.get("to"), overwrite=overwrite)
    for path in drawn:
        console.line(f"  {shortest(path)}")
    return EXIT_DONE
