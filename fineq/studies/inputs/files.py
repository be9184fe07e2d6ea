"""Files that the user names: are they there and regular, and what is wrong with them in words."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from fineq.errors import FineqError, InputError, ResourceError, in_a_line

SHARE = 8  # of this machine's memory, which one array or text may take: computing needs copies


class Loaded(NamedTuple):
    """What a configuration names, in memory.

    Attributes:
        given: what the area's studies take as `given`.
        read: configuration field to a sentence that says what was read of the file it names.
    """

    given: Any
    read: dict[str, str] = {}  # noqa: RUF012 (never changed)


def regular_file(field: str, path: str | None) -> Path:
    """The file that a field names, when it can be opened and read to an end.

    Raises:
        InputError: for what is not there, a folder, or a pipe or device, which may never end.
    """
    return regular(f"{field}={path}", path)


def regular(name: str, path: str | None) -> Path:
    """As `regular_file`, of what sentences call `name`."""
    try:
        mode = os.stat(path or "").st_mode
    except FileNotFoundError:
        raise InputError(f"{name}: there is no such file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{name} cannot be opened: {_reason(error)}") from error
    if stat.S_ISDIR(mode):
        raise InputError(f"{name} is a folder, not a file")
    if not stat.S_ISREG(mode):
        raise InputError(f"{name} is a pipe or a device: save what it holds in a file first")
    return Path(str(path))


@contextmanager
def decoding(name: str, kind: str) -> Iterator[None]:
    """End in one sentence whatever a damaged file makes its decoder raise.

    Args:
        name: the field and the file, `field=path`.
        kind: what it should be, for example `an npz file`.

    Raises:
        InputError: where the file cannot be read, or is not what it should be.
        ResourceError: where memory runs out.
    """
    try:
        yield
    except FineqError:
        raise
    except MemoryError as error:
        raise ResourceError(f"{name} does not fit in memory") from error
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):  # those come from offsets that are wrong
            raise InputError(f"{name} cannot be read: {_reason(error)}") from error
        raise InputError(f"{name} is damaged, or not {kind} ({in_a_line(error)})") from error
    # Decoders meet bytes they were not written for: zlib.error, struct.error, RecursionError, ...
    except Exception as error:
        raise InputError(f"{name} is damaged, or not {kind} ({in_a_line(error)})") from error


@contextmanager
def named(name: str) -> Iterator[None]:
    """Begin the sentence of whatever is refused with the file it came from; an empty name: none.

    Raises:
        InputError: the one that was raised, behind `name`.
    """
    try:
        yield
    except InputError as error:
        raise InputError(f"{name}: {error}" if name else str(error)) from error


def _reason(error: OSError | ValueError) -> str:
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number).lower() if number else str(error)


def host_share() -> int:
    """Bytes that one array or text may take."""
    from fineq.sweep.memory import host_bytes  # here, for it loads JAX

    return host_bytes() // SHARE


def check_memory(name: str, needed: int) -> None:
    """Raise `ResourceError` unless `needed` bytes leave room to compute with them."""
    room = host_share()
    if needed > room:
        raise ResourceError(
            f"{name} needs {needed / 2**30:.3g} GiB of memory, but this machine has room for "
            f"{room / 2**30:.3g} GiB of data: take fewer rows or columns"
        )
