"""Standard streams that outlast their reader, their disk and their alphabet.

A run is not worth less because nobody reads what it prints: once a stream cannot be written, what
is printed is dropped and the run goes on.
"""

import contextlib
import errno
import io
import os
import sys
import unicodedata
from collections.abc import Iterator
from typing import Any, TextIO

_STEERING = ("Cc", "Cf", "Zl", "Zp")  # controls, marks of direction, separators of lines
_PLAIN = {
    "\N{EN DASH}": "-",
    "\N{MINUS SIGN}": "-",
    "\N{LESS-THAN OR EQUAL TO}": "<=",
    "\N{GREATER-THAN OR EQUAL TO}": ">=",
    "\N{ALMOST EQUAL TO}": "~",
    "\N{PLUS-MINUS SIGN}": "+-",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{MIDDLE DOT}": "*",
    "\N{INFINITY}": "inf",
    "\N{SQUARE ROOT}": "sqrt ",
    "\N{NABLA}": "grad ",
    "\N{LEFTWARDS ARROW}": "<-",
    "\N{RIGHTWARDS ARROW}": "->",
    "\N{SCRIPT SMALL L}": "l",
    "\N{FRACTION SLASH}": "/",
}


def readable(text: str, encoding: str) -> str:
    """Return the text with what the encoding lacks written in other letters: `η` as `eta`.

    What has no name in other letters becomes a question mark.
    """
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return "".join(_letters(letter, encoding) for letter in text)
    except LookupError:
        return readable(text, "ascii")
    return text


def visible(text: str, keep: str = "") -> str:
    """Return the text with characters that steer a terminal in escaped form, but for those kept."""
    return "".join(
        letter if letter in keep or unicodedata.category(letter) not in _STEERING else _code(letter)
        for letter in text
    )


def _code(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def _letters(letter: str, encoding: str) -> str:
    if _fits(letter, encoding):
        return letter
    if letter in _PLAIN:
        return _PLAIN[letter]
    parts = unicodedata.normalize("NFKD", letter)
    if parts != letter:
        return "".join(_letters(p, encoding) for p in parts if not unicodedata.combining(p))
    name = unicodedata.name(letter, "")
    if not name.startswith("GREEK ") or " LETTER " not in name:
        return "?"
    word = name.partition(" LETTER ")[2].split()[0].lower()
    return word.replace("lamda", "lambda") if "SMALL" in name else word.capitalize()


def _fits(letter: str, encoding: str) -> bool:
    try:
        letter.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


class Lasting(io.TextIOBase):
    """A text stream that goes on when what it writes to does not.

    Attributes:
        error: why nothing more can be written; None while it can.

    """

    def __init__(self, stream: TextIO | None):
        self._stream = stream
        self.error: OSError | ValueError | None = None

    @property
    def encoding(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The encoding of what it writes to; a stream without one takes every letter."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    @property
    def lost(self) -> str:
        """Why what was printed did not arrive, in words; empty where nobody waits for it."""
        if not isinstance(self.error, OSError) or self.error.errno == errno.EPIPE:
            return ""
        return os.strerror(self.error.errno or errno.EIO).lower()

    def write(self, text: str, /) -> int:
        """Write, or drop what cannot be written."""
        self._try("write", readable(text, self.encoding))
        return len(text)

    def flush(self) -> None:
        """Flush what it writes to."""
        self._try("flush")

    def isatty(self) -> bool:
        """Whether this is a terminal."""
        return bool(self._try("isatty"))

    def fileno(self) -> int:
        """Return the file descriptor; raise `OSError` where there is none."""
        if self._stream is None:
            raise io.UnsupportedOperation("fileno")
        return self._stream.fileno()

    def writable(self) -> bool:
        """Return true: what cannot be written is dropped."""
        return True

    def _try(self, method: str, *arguments: Any) -> Any:
        if self._stream is None or self.error is not None:
            return None
        try:
            return getattr(self._stream, method)(*arguments)
        except (OSError, ValueError) as error:
            self.error = error
            self._drop()
            return None

    def _drop(self) -> None:
        """Let what is buffered go nowhere, or the interpreter fails with it when it ends."""
        with contextlib.suppress(OSError, ValueError):
            descriptor = self.fileno()
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, descriptor)
            os.close(nowhere)


@contextlib.contextmanager
def lasting_streams() -> Iterator[Lasting]:
    """Make standard output and standard error last while the block runs; yield the former."""
    _fill_closed()
    before = sys.stdout, sys.stderr
    out, err = (s if isinstance(s, Lasting) else Lasting(s) for s in before)
    sys.stdout, sys.stderr = out, err
    try:
        yield out
    finally:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = before


def _fill_closed() -> None:
    """Open nothing in place of standard streams that are closed.

    Else the next file that is opened takes the number of one, and what libraries print goes there.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
