"""`fineq run`: the command line of an area, with the study named first."""

from collections.abc import Sequence

from fineq.errors import EXIT_DONE, InputError
from fineq.shell.experiments import listed
from fineq.shell.main import main as run_area
from fineq.studies.area import AREAS, area_of

USAGE = """\
usage: fineq run AREA/NAME [field=value ...] [options]
       fineq run AREA [field=value ...] [options]

  fineq run nlqr/landscape                                  minutes
  fineq run nlqr/landscape profile=smoke                    seconds
  fineq run nlqr/lipschitz_sweep 'sweep.system.lipschitz=[1,2,3]' seeds=64

`fineq list` has the names; `fineq run AREA --help` has every field and option.
A run goes to a folder of its own below ./outputs, or output=DIR; a complete
one is found and not run again.
"""


def main(words: Sequence[str]) -> int:
    """Run a study and return the exit code."""
    if not words or words[0] in ("--help", "-h"):
        print(USAGE, end="")
        if words:
            return EXIT_DONE
        raise InputError("there is nothing to run: give AREA/NAME; fineq list has them")
    area, arguments = named(words)
    return run_area(area_of(area), arguments, alone=True)


def named(words: Sequence[str]) -> tuple[str, list[str]]:
    """The area that the words name, first or by `experiment=`, and the words of its command line.

    Raises:
        InputError: for words that name none; the sentence names what may be meant.
    """
    first, rest = words[0], [*words[1:]]
    if "=" in first or first.startswith("-"):
        named = [word for word in words if word.startswith("experiment=")]
        if not named:
            raise InputError(f"fineq run begins with AREA/NAME, got {first!r}; fineq list has them")
        area, rest = named[0].partition("=")[2].partition("/")[0], [*words]
    else:
        area, slash, _ = first.partition("/")
        rest = [f"experiment={first}", *rest] if slash else rest
    if area not in AREAS:
        raise InputError(_unknown(first))
    return area, rest


def _unknown(name: str) -> str:
    """What is said of a name of no area: that of a study, or nothing near."""
    import difflib

    known = [one.name for area in AREAS for one in listed(area)[1]]
    last = name.rpartition("/")[2]
    same = [full for full in known if full.rpartition("/")[2] == last]
    close = same or difflib.get_close_matches(name, known, 2, 0.7)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    return f"{name!r} is no study; {hint}fineq list has them"
