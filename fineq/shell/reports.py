"""How an error or an interruption reaches the user: its sentence and its exit code."""

import sys
import traceback

from fineq.errors import EXIT_INTERRUPTED, FineqError
from fineq.shell.streams import visible


def report_error(error: FineqError, debug: bool = False) -> int:
    """Print the error's sentence to standard error and return its exit code."""
    if debug:
        traceback.print_exception(error)
    sentence = visible(str(error), keep="\n")
    print(f"fineq: {sentence}", file=sys.stderr)
    return error.exit_code


def report_interrupt() -> int:
    """Print that a second Ctrl-C ended the command and return the exit code."""
    print("fineq: interrupted; the same command goes on from what was kept", file=sys.stderr)
    return EXIT_INTERRUPTED
