"""What a person who asks a run to stop is told, and the end of a run that cannot listen."""

import os
import signal
import sys
from collections.abc import Callable

from fineq.errors import EXIT_INTERRUPTED
from fineq.shell.console import Console


class Stop:
    """Answers to requests to stop, given from a thread while the program may be compiling."""

    def __init__(self, console: Console, farewell: Callable[[], None] | None = None):
        """`farewell`: what is said beside, where the process is ended."""
        self._console = console
        self._farewell = farewell

    def acknowledge(self, number: signal.Signals) -> None:
        """Say that the request was heard and what is waited for."""
        again = "; press again to stop at once" if number == signal.SIGINT else ""
        self._console.line(f"{number.name}: stopping after what is computed or compiled now{again}")

    def abandon(self) -> None:
        """End the process where it stands, for XLA cannot be told to stop compiling.

        As after a kill, the lock goes with the process and what was kept is whole.
        """
        self._console.release()
        if self._farewell is not None:
            self._farewell()
        text = "fineq: stopped at once; the same command goes on from what was kept"
        print(text, file=sys.stderr, flush=True)
        os._exit(EXIT_INTERRUPTED)
