"""The command `fineq`: its subcommands, one sentence for bad input, and an exit code at the end.

What a subcommand needs is loaded when it is called, so that those that only look begin at once.
"""

import difflib
import importlib
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from fineq.errors import EXIT_DONE, FineqError, InputError, ResourceError
from fineq.shell.reports import report_error, report_interrupt
from fineq.shell.streams import Lasting, lasting_streams


class Command(NamedTuple):
    """A subcommand: the module `fineq.shell.commands.<name>` with `USAGE` and `main(words) -> int`.

    What shells complete stands there in `PLACES`, `FIELDS`, `SWITCHES` and `VALUES` (of fields).

    Attributes:
        name: as it is typed.
        about: one line of `fineq --help`.
        shows: whether all it does is to print: it has done nothing where that is lost.
    """

    name: str
    about: str
    shows: bool = True

    def usage(self) -> str:
        """What `fineq <name> --help` prints."""
        return self._module().USAGE

    def run(self, words: list[str]) -> int:
        """Carry it out and return the exit code; raises `FineqError` for what ends it."""
        return self._module().main(words)

    def _module(self) -> Any:
        return importlib.import_module(f"fineq.shell.commands.{self.name}")


COMMANDS = (
    Command("list", "the studies there are, what each shows, and how long it takes"),
    Command(
        "run", "run a study, or find it done: claims in a table, figures as files", shows=False
    ),
    Command("reproduce", "run every study of all areas, or of some", shows=False),
    Command("show", "claims, rates and figures of a run, or of a study's newest run"),
    Command("runs", "the runs there are: what was asked, status, when, minutes"),
    Command("compare", "what differs between two runs, or two folders of them"),
    Command(
        "redraw",
        "draw a run's figures again, in another style elsewhere if you like",
        shows=False,
    ),
    Command("report", "claims and figures of all runs as one page", shows=False),
    Command("clean", "remove runs, checkpoints or compiled programs, once you agree", shows=False),
    Command("doctor", "versions, devices, precision, memory, cache and disk"),
    Command("completion", "a script with which a shell completes all this"),
)
VERSION = ("--version", "-V")
ABOUT = (*VERSION, "--help", "-h", "help")
HEAD = """\
fineq: iterations that are said to converge at a linear rate, measured

usage: fineq COMMAND [words]

"""
TAIL = """
fineq COMMAND --help says more. A first study, in seconds: fineq run nlqr/demo
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code (never raises for bad input)."""
    with lasting_streams() as out:
        return _command(list(sys.argv[1:] if argv is None else argv), out)


def _command(words: list[str], out: Lasting) -> int:
    debug = "--traceback" in words
    try:
        if not words:
            print(help_text(), end="")
            raise InputError("there is nothing to do: give a command")
        command = None if words[0] in ABOUT else named(words[0])
        code = command.run(words[1:]) if command else _about(*words[:2])
        out.flush()
        if out.lost and (command is None or command.shows):
            raise ResourceError(f"standard output cannot be written: {out.lost}")
        return code
    except FineqError as error:
        return report_error(error, debug)
    except KeyboardInterrupt:
        return report_interrupt()


def help_text() -> str:
    """What `fineq --help` prints."""
    width = max(len(command.name) for command in COMMANDS)
    lines = [f"  {command.name:{width}}  {command.about}\n" for command in COMMANDS]
    return HEAD + "".join(lines) + TAIL


def named(name: str) -> Command:
    """The subcommand of a name; an `InputError` names one that may be meant."""
    known = {command.name: command for command in COMMANDS}
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise InputError(f"{name!r} is no command; {hint}allowed: {', '.join(known)}")


def _about(switch: str, name: str = "") -> int:
    if switch in VERSION:
        from fineq import __version__

        print(f"fineq {__version__}")
    else:
        print(named(name).usage() if name else help_text(), end="")
    return EXIT_DONE
