"""The command line of an area: one configuration or many, one sentence and an exit code at the end.

Hydra is used as a library: it composes and launches; it makes no folders, no log files and changes
no directory.
"""

import sys
import traceback
from collections.abc import Sequence

from experiments.area import Area
from experiments.compose import compose, to_yaml
from experiments.multirun import multirun
from experiments.options import help_text, parse
from fineq.errors import EXIT_INTERRUPTED, FineqError, InputError


def main(area: Area, argv: Sequence[str] | None = None) -> int:
    """Run the command line of `area` and return the exit code (never raises for bad input)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--traceback" in arguments
    try:
        options = parse(area, arguments)
        if options.help:
            print(help_text(area))
            return 0
        if options.multirun and (options.show or options.source):
            raise InputError("-m runs many configurations: it goes with neither --cfg nor --from")
        if options.multirun:
            return multirun(area, options)
        config = compose(area, options.overrides, options.source)
        if options.show:
            print(to_yaml(config), end="")
            return 0
        return area.run(config)[0]
    except FineqError as error:
        return report_error(error, debug)
    except KeyboardInterrupt:
        print("fineq: interrupted; the same command goes on from what was kept", file=sys.stderr)
        return EXIT_INTERRUPTED


def report_error(error: FineqError, debug: bool = False) -> int:
    """Print the error's sentence to standard error and return its exit code."""
    if debug:
        traceback.print_exception(error)
    print(f"fineq: {error}", file=sys.stderr)
    return error.exit_code
