"""Ctrl-C and termination requests: heard at once, obeyed between chunks, after the work is kept."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import ClassVar

from fineq.errors import EXIT_INTERRUPTED, EXIT_TERMINATED, FineqError

Notify = Callable[[signal.Signals], None]
SIGNALS = (signal.SIGINT, signal.SIGTERM)
GRACE = 1.0  # seconds in which a second Ctrl-C may end the program in Python's own way
_OVER = b"\0"  # no signal has the number 0


class Interrupted(FineqError):  # noqa: N818  (an interruption is no error)
    """The run was stopped from the keyboard; what was stored lets it resume."""

    exit_code: ClassVar[int] = EXIT_INTERRUPTED


class Terminated(Interrupted):
    """The run was asked to end (SIGTERM); what was stored lets it resume."""

    exit_code: ClassVar[int] = EXIT_TERMINATED


class Interruption:
    """Whether somebody asked to stop. `signal` is the first request, or None."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def receive(self, number: int, frame: FrameType | None = None) -> None:
        """Note a request; a second Ctrl-C raises `KeyboardInterrupt` where the program stands."""
        del frame
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = self.signal or signal.Signals(number)

    def check(self, where: str = "") -> None:
        """Raise `Interrupted` or `Terminated` when a request was noted."""
        if self.signal is not None:
            kind = Terminated if self.signal == signal.SIGTERM else Interrupted
            raise kind(
                f"stopped by {self.signal.name}{where}; the same command goes on from what was kept"
            )


class _Listener:
    """Hears of signals by a thread of its own.

    Python runs its signal handlers in the main thread between two of its own instructions: not
    while that compiles, for a minute or more. The interpreter writes the number of a signal to a
    pipe at once.
    """

    def __init__(self, notify: Notify | None, abandon: Callable[[], None] | None) -> None:
        self._notify = notify
        self._abandon = abandon
        self._ended = threading.Event()
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._listen, name="signals", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Hear of nothing more."""
        self._ended.set()
        signal.set_wakeup_fd(self._before)
        os.write(self._write, _OVER)
        self._thread.join()
        os.close(self._read)
        os.close(self._write)

    def _listen(self) -> None:
        asked = False
        while (byte := os.read(self._read, 1)) != _OVER:
            if byte[0] not in SIGNALS:
                continue
            if not asked and self._notify is not None:
                self._notify(signal.Signals(byte[0]))
            if asked and byte[0] == signal.SIGINT and not self._ended.wait(GRACE) and self._abandon:
                self._abandon()
            asked = True


_active: Interruption | None = None


@contextmanager
def interruptible(
    notify: Notify | None = None, abandon: Callable[[], None] | None = None
) -> Iterator[Interruption]:
    """Turn SIGINT and SIGTERM into a flag that runs obey between chunks; the outermost use counts.

    Args:
        notify: called once, at the first request, also while the program compiles; in a thread.
        abandon: called when a second Ctrl-C has not ended the block after a second, because the
            program compiles; in a thread. It may end the process: what was kept is whole.

    Outside the main thread, where Python delivers no signals, the flag is never set.
    """
    global _active
    if _active is not None:
        yield _active
    elif threading.current_thread() is not threading.main_thread():
        yield Interruption()
    else:
        _active = Interruption()
        before = {number: signal.signal(number, _active.receive) for number in SIGNALS}
        listener = _Listener(notify, abandon) if notify or abandon else None
        try:
            yield _active
        finally:
            _active = None
            if listener is not None:
                listener.close()
            for number, handler in before.items():
                # A handler set outside Python is reported as None and cannot be put back.
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
