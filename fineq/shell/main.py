"""The command line of an area: one configuration or many, one sentence and an exit code at the end.

Hydra is used as a library: it composes and launches; it makes no folders, no log files and changes
no directory.
"""

import sys
from collections.abc import Sequence

from fineq.errors import EXIT_DONE, EXIT_RESOURCES, FineqError, InputError, ResourceError
from fineq.shell.compose import compose, to_yaml
from fineq.shell.execute import execute
from fineq.shell.foresee import foresee
from fineq.shell.multirun import multirun
from fineq.shell.options import help_text, listing, parse
from fineq.shell.reports import report_error, report_interrupt
from fineq.shell.streams import Lasting, lasting_streams
from fineq.shell.words import read_words, told
from fineq.shell.xla import hurry
from fineq.studies.area import Area


def main(area: Area, argv: Sequence[str] | None = None, *, alone: bool | None = None) -> int:
    """Run the command line of `area` and return the exit code (never raises for bad input).

    Args:
        area: whose command line it is.
        argv: its words; default: those of this process.
        alone: whether the process is there for this command only; default: without `argv`.
    """
    alone = argv is None if alone is None else alone
    with lasting_streams() as out:
        code = _command(area, list(sys.argv[1:] if argv is None else argv), out, alone)
        out.flush()
        if out.lost and code != EXIT_RESOURCES:
            print(f"fineq: what was printed is lost: {out.lost}", file=sys.stderr)
        return code


def _command(area: Area, arguments: list[str], out: Lasting, alone: bool) -> int:
    """`alone`: whether the process is there for this command only."""
    debug = "--traceback" in arguments
    try:
        options = parse(area, arguments)
        if options.help:
            return _show(help_text(area) + "\n", out)
        if options.empty:
            _show(listing(area), out)
            # What runs nothing has not done what it was called for, and says so to a script.
            raise InputError("there is nothing to run: give one of these, or a study=")
        if options.multirun and (options.show or options.dry or options.source):
            raise InputError("-m runs many: it goes with none of --cfg, --dry-run and --from")
        if options.multirun:
            return multirun(area, options.overrides, debug, alone=alone)
        config = compose(area, options.overrides, options.source)
        words = None if options.source else told(read_words(area, options.overrides))
        if options.show:
            return _show(to_yaml(config), out)
        if options.dry:
            return _show(foresee(area, config, words), out)
        if alone and config.profile == "smoke":
            hurry()
        return execute(area, config, words=words)[0]
    except FineqError as error:
        return report_error(error, debug)
    except KeyboardInterrupt:
        return report_interrupt()


def _show(text: str, out: Lasting) -> int:
    """Print what was asked for; where it does not arrive, nothing was done."""
    print(text, end="", flush=True)
    if out.lost:
        raise ResourceError(f"standard output cannot be written: {out.lost}")
    return EXIT_DONE
