"""Files that are never half written, and errors of the file system in words."""

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fineq.errors import InputError, ResourceError

PART = ".part"
CHECKPOINTS = "checkpoints"  # the folder within that of a run, and how files in it end
CHECKPOINT = ".checkpoint"
OWN_SUFFIXES = (".yaml", ".nc", ".json", ".png", ".pdf", ".safetensors", PART)
_DEEPEST = 100
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ENOENT}
_REFUSED |= {errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ELOOP, errno.EINVAL, errno.ENXIO}
# What a file system says that has no way to flush.
_CANNOT_FLUSH = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


class RefusedError(InputError):
    """A folder refuses a file; what lies there is none the worse."""


def write_atomic(path: Path, content: bytes) -> str:
    """Write `content` beside `path`, flush it to the disk, rename it into place.

    Returns:
        The SHA-256 of the content, hexadecimal.

    Raises:
        ResourceError: when the disk is full or fails; nothing is left behind.
        RefusedError: when the folder refuses the file.

    """
    part = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    with disk_errors(path, len(content)):
        try:
            _write_all(part, content)
            os.replace(part, path)
            _flush_folder(path.parent)
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
    return hashlib.sha256(content).hexdigest()


def plain_name(name: str) -> bool:
    """Whether a file of this name lies in the folder that it is joined to, and can be one."""
    return name not in ("", ".", "..") and not {"/", "\\", "\0"} & {*name}


def read_regular(path: Path) -> bytes:
    """Return the content of a file; what is none may never end, and is not read.

    Raises:
        OSError: as `open`, and for a folder, a device or a pipe.

    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a file", str(path))
    with open(descriptor, "rb") as file:
        return file.read()


def _write_all(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    # Exclusive: a link laid at this name must not lead the content elsewhere.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        _flush(descriptor)
    finally:
        os.close(descriptor)


def _flush_folder(folder: Path) -> None:
    # Without this a power cut may undo the rename although the file itself is on the disk.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _flush(descriptor)
    finally:
        os.close(descriptor)


def _flush(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH:
            raise


@contextlib.contextmanager
def disk_errors(path: Path, needed: int = 0) -> Iterator[None]:
    """Turn every error of the system while writing `path` into `ResourceError` or `RefusedError`.

    What a full or failing disk and exhausted limits of the system raise is a `ResourceError`, what
    another place would not raise a `RefusedError`.

    Args:
        path: the file or folder that is being written; named in the message.
        needed: its size in bytes, when known.

    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise ResourceError(_full_message(path, needed)) from error
        if error.errno in _REFUSED:
            reason = os.strerror(error.errno or 0).lower()
            raise RefusedError(f"cannot write {path}: {reason}; choose another output=") from error
        reason = (os.strerror(error.errno) if error.errno else str(error)).lower()
        raise ResourceError(f"cannot write {path}: {reason}") from error


def _full_message(path: Path, needed: int) -> str:
    free = _free_bytes(path)
    amounts = f" ({_megabytes(needed)} needed, {_megabytes(free)} free)" if needed else ""
    return (
        f"the disk is full: could not write {path}{amounts}; free some space, "
        "choose another output=, or lower seeds="
    )


def _free_bytes(path: Path) -> int:
    try:
        return shutil.disk_usage(existing_ancestor(path)).free
    except OSError:
        return 0


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def local_folder(output: Path | str) -> Path:
    """Return the folder that `output=` names.

    Raises:
        InputError: for the address of a store elsewhere, such as `gs://bucket`.

    """
    if _SCHEME.match(str(output)) or "\0" in str(output):
        raise InputError(f"output must be a folder of this machine, got {str(output)!r}")
    return Path(output)


def existing_ancestor(path: Path) -> Path:
    """Return `path` or its nearest ancestor that exists."""
    path = Path(path).absolute()
    while not os.path.lexists(path):
        path = path.parent
    return path


def check_writable(folder: Path) -> None:
    """Raise `InputError` when no file could be written below `folder`; write nothing."""
    ancestor = existing_ancestor(folder)
    if not ancestor.is_dir():
        raise InputError(f"output folder {folder} cannot be made: {ancestor} is not a folder")
    if not os.access(ancestor, os.W_OK | os.X_OK):
        raise InputError(f"output folder {folder} is not writable; choose another output=")


def plain(value: Any) -> Any:
    """Return `value` as nested dicts, lists, strings, numbers, booleans and None.

    Raises:
        TypeError: for an object that has no such form.

    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise TypeError(f"{value!r} of type {type(value).__name__} has no plain form")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def strict_json(value: Any) -> bytes:
    """Return `value` as strict JSON: UTF-8, indented, non-finite numbers as null."""
    text = json.dumps(_finite(plain(value)), allow_nan=False, ensure_ascii=False, indent=2)
    return text.encode() + b"\n"


def read_json(content: bytes) -> Any:
    """Parse strict JSON.

    Raises:
        ValueError: for anything else, `NaN` and `Infinity` included, and for more levels of
            nesting than any code that walks through the value could follow.

    """

    def refuse(token: str) -> Any:
        raise ValueError(f"{token} is not strict JSON")

    too_deep = ValueError(f"more than {_DEEPEST} levels of nesting")
    try:
        value = json.loads(content.decode(), parse_constant=refuse)
    except RecursionError:
        raise too_deep from None
    if _is_deeper(value, _DEEPEST):
        raise too_deep
    return value


def _is_deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, (dict, list)):
        return False
    items = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(item, levels - 1) for item in items)
