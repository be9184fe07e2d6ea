"""What every case must do: end valid, or in exit 2 or 4 with one sentence and nothing written."""

import contextlib
import faulthandler
import io
import os
import re
import resource
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fineq.errors import EXIT_ALL_DIVERGED, EXIT_BAD_INPUT, EXIT_DONE, EXIT_RESOURCES
from fineq.runs import find, load
from fineq.shell.main import main
from fineq.studies.area import Area

VALID = (EXIT_DONE, EXIT_ALL_DIVERGED)
REFUSED = (EXIT_BAD_INPUT, EXIT_RESOURCES)
LONGEST = 30  # s of a case
HUNG = 120  # s after which a case that cannot be interrupted takes the process with it
HELD = Path("/proc/self/statm")  # on Linux
MEMORY = 4 << 30  # bytes that a case may ask for beyond what the process holds
# What only a programmer can read.
JARGON = re.compile(
    r"\w(Exception|Error)\b|Error parsing|Unexpected type|(List|Dict)Config|NoneType|<class|"
    r" at 0x|[Cc]onfig group|viable alternative|raised while|omegaconf"
)
STDERR = os.dup(2)  # where the process says what hung, while a case's own is caught


class FaultError(Exception):
    """A case that did not end as every case must."""


class TooLongError(BaseException):
    """Raised by the watchdog; not an `Exception`, so that nothing on the way takes it for one."""


class Ended(NamedTuple):
    """How a command line ended: its exit code and all that it printed."""

    code: int
    out: str
    err: str


def end(area: Area, words: Sequence[str], longest: float = LONGEST) -> Ended:
    """Run a command line in this process.

    Raises:
        FaultError: when an exception leaves `main`, or it takes too long.
    """
    out = io.StringIO()
    try:
        with _printed() as err, contextlib.redirect_stdout(out), _watched(longest), _bounded():
            code = main(area, list(words))
        return Ended(code, out.getvalue(), err())
    except TooLongError:
        raise FaultError(f"took longer than {longest:g} s\n{_trace()}") from None
    except (Exception, SystemExit):
        raise FaultError(f"an exception left main\n{_trace()}") from None


def _trace() -> str:
    return "".join(traceback.format_exc().splitlines(keepends=True)[-30:])


def check(ended: Ended, words: Sequence[str]) -> None:
    """Raise `FaultError` unless a command ended valid and silent, or refused in one sentence."""
    lines = ended.err.split("\n")
    if ended.code in VALID:
        if ended.err and not _many(words):
            raise FaultError(f"exit {ended.code}, and on stderr: {ended.err}")
        return
    if ended.code not in REFUSED:
        raise FaultError(f"exit {ended.code}: {ended.err}")
    if "--traceback" in words:
        lines = lines[-2:]
    if lines.pop() != "" or not lines or not all(map(_is_sentence, lines)):
        raise FaultError(f"exit {ended.code}, and no sentence: {ended.err!r}")
    if len(lines) > 1 and not _many(words):
        raise FaultError(f"exit {ended.code}, and more than a sentence: {ended.err!r}")


def _many(words: Sequence[str]) -> bool:
    """Whether a command runs several jobs, each of which may say a sentence."""
    return bool({"-m", "--multirun"} & set(words))


def _is_sentence(line: str) -> bool:
    said = re.sub(r"\([^()]*\)", "", line)  # a library's own words may follow in brackets
    return line.startswith("fineq: ") and 20 < len(line) < 1000 and not JARGON.search(said)


def check_written(before: set[Path], ended: Ended, words: Sequence[str]) -> None:
    """Raise `FaultError` for what a command left behind in the working folder.

    Args:
        before: what was there, from `tree`.
        ended: how it ended.
        words: the command line.
    """
    new = sorted(tree() - before)
    if ended.code in REFUSED and new and not _many(words):
        raise FaultError(f"exit {ended.code}, and left {', '.join(map(str, new))}: {ended.err}")
    for path in new:
        if path.name.endswith(".part") or path.name in (".lock", "checkpoints"):
            raise FaultError(f"exit {ended.code}, and left {path}")
    for path in new:
        if path.name == "config.yaml":
            load(path.parent)
            if find(path.parents[3])[0].state == "damaged":
                raise FaultError(f"exit {ended.code}, and {path.parent} is damaged")


def tree() -> set[Path]:
    """All files and folders below the working folder."""
    return {Path(at) / name for at, *names in os.walk(".") for name in (*names[0], *names[1])}


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A new folder, two levels deep, as working folder; it and all modules from it go again."""
    home, known = Path.cwd(), set(sys.modules)
    with tempfile.TemporaryDirectory() as outer:
        inner = Path(outer).resolve() / "fuzz" / "case"
        inner.mkdir(parents=True)
        os.chdir(inner)
        try:
            yield inner
        finally:
            os.chdir(home)
            for name in set(sys.modules) - known:
                if str(getattr(sys.modules[name], "__file__", None)).startswith(outer):
                    del sys.modules[name]


@contextlib.contextmanager
def _printed() -> Iterator[Callable[[], str]]:
    """Catch what is written to standard error, by Python and by libraries in C."""
    said, of_libraries = io.StringIO(), io.BytesIO()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            with contextlib.redirect_stderr(said):
                yield lambda: said.getvalue() + of_libraries.getvalue().decode(errors="replace")
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            of_libraries.write(file.read())


@contextlib.contextmanager
def _watched(longest: float) -> Iterator[None]:
    """Stop what takes longer; what cannot be stopped ends the process, and says where."""

    def stop(*_: Any) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGALRM, stop)
    faulthandler.dump_traceback_later(HUNG + longest, exit=True, file=STDERR)
    signal.setitimer(signal.ITIMER_REAL, longest)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _bounded() -> Iterator[None]:
    """Let a case that asks for all memory meet a bound of its own, and not the machine's."""
    if not HELD.exists():
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    held = int(HELD.read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
