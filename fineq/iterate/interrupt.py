"""Ctrl-C and termination requests: noted at once, obeyed between chunks, after the work is kept."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import ClassVar

from fineq.errors import EXIT_INTERRUPTED, EXIT_TERMINATED, FineqError

Notify = Callable[[signal.Signals], None]
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(FineqError):  # noqa: N818  (an interruption is no error)
    """The run was stopped from the keyboard; what was stored lets it resume."""

    exit_code: ClassVar[int] = EXIT_INTERRUPTED


class Terminated(Interrupted):
    """The run was asked to end (SIGTERM); what was stored lets it resume."""

    exit_code: ClassVar[int] = EXIT_TERMINATED


class Interruption:
    """Whether somebody asked to stop. `signal` is the first request, or None."""

    def __init__(self, notify: Notify | None = None) -> None:
        self.signal: signal.Signals | None = None
        self._notify = notify

    def receive(self, number: int, frame: FrameType | None = None) -> None:
        """Note a request; a second Ctrl-C raises `KeyboardInterrupt` where the program stands."""
        del frame
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        if self.signal is None:
            self.signal = signal.Signals(number)
            if self._notify is not None:
                self._notify(self.signal)

    def check(self, where: str = "") -> None:
        """Raise `Interrupted` or `Terminated` when a request was noted."""
        if self.signal is not None:
            kind = Terminated if self.signal == signal.SIGTERM else Interrupted
            raise kind(
                f"stopped by {self.signal.name}{where}; the same command goes on from what was kept"
            )


_active: Interruption | None = None


@contextmanager
def interruptible(notify: Notify | None = None) -> Iterator[Interruption]:
    """Turn SIGINT and SIGTERM into a flag that runs obey between chunks; the outermost use counts.

    `notify` is called once, in the signal handler, at the first request. Outside the main thread,
    where Python delivers no signals, the flag is never set.
    """
    global _active
    if _active is not None:
        yield _active
    elif threading.current_thread() is not threading.main_thread():
        yield Interruption()
    else:
        _active = Interruption(notify)
        before = {number: signal.signal(number, _active.receive) for number in SIGNALS}
        try:
            yield _active
        finally:
            _active = None
            for number, handler in before.items():
                # A handler set outside Python is reported as None and cannot be put back.
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
