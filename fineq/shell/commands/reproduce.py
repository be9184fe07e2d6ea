"""`fineq reproduce`: every study, one after the other."""

from collections.abc import Sequence

from fineq.errors import EXIT_DONE
from fineq.settings.config import PROFILES, RunConfig
from fineq.settings.fields import leaves
from fineq.shell.reproduce import main as reproduce
from fineq.studies.area import AREAS

USAGE = """\
usage: fineq reproduce [AREA ...] [field=value ...]

Every study of all areas, or of some, one after the other, one summary of them
all, outputs/summary.json, and one page, outputs/report.html. What is complete
is found and not run again. Settings go to every study:

  fineq reproduce                                an hour on 2 cores
  fineq reproduce nlqr pift profile=smoke        minutes
"""
PLACES = AREAS
FIELDS = tuple(leaf.path for leaf in leaves(RunConfig()))
VALUES = {"profile": PROFILES}


def main(words: Sequence[str]) -> int:
    """Run the studies and return the worst exit code."""
    if "--help" in words or "-h" in words:
        print(USAGE, end="")
        return EXIT_DONE
    return reproduce(words, alone=True)
