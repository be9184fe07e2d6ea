"""Arrays of npz files, read without executing anything in them and without trusting their sizes."""

import math
import zipfile
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from fineq.errors import InputError
from fineq.studies.inputs.files import check_memory, decoding, regular_file

MOST_INFLATED = 1032  # bytes that one byte of the deflate format can stand for
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what np.savez writes
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_SINGLE = b"\x93NUMPY"


class Archive(NamedTuple):
    """Arrays by name, in the machine's byte order, and the names of those that were not read."""

    arrays: dict[str, np.ndarray]
    unread: tuple[str, ...]

    def words(self) -> str:
        """Shapes of what was read, and what was left out."""
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in self.arrays.items())
        return shapes + (f"; not read: {', '.join(self.unread)}" if self.unread else "")


def load_npz(field: str, path: str | None, wanted: Collection[str] | None = None) -> Archive:
    """Arrays of real numbers from an npz file.

    Args:
        field: the configuration field that named the file, for the message.
        path: the file.
        wanted: names of the arrays to read, where they are there; None: all.

    Raises:
        InputError: for a file that is missing, not npz, damaged or encrypted, an array that does
            not hold real numbers, or whose size is not that of its shape.
        ResourceError: for an array that memory cannot hold.
    """
    name = f"{field}={path}"
    found = regular_file(field, path)
    with decoding(name, "an npz file"):
        if not zipfile.is_zipfile(found):
            raise InputError(f"{name} is not an npz file{_hint(found)}")
        with zipfile.ZipFile(found) as archive:
            members = _members(name, archive)
            read = [key for key in members if wanted is None or key in wanted]
            arrays = {key: _array(f"{name}: array {key}", archive, members[key]) for key in read}
    return Archive(arrays, tuple(key for key in members if key not in arrays))


def _hint(path: Path) -> str:
    with path.open("rb") as stream:
        single = stream.read(len(_SINGLE)) == _SINGLE
    return ": it holds a single array, save it under a name by np.savez" if single else ""


def _members(name: str, archive: zipfile.ZipFile) -> Mapping[str, zipfile.ZipInfo]:
    infos = [info for info in archive.infolist() if not info.is_dir()]
    strange = [info.filename for info in infos if not info.filename.endswith(".npy")]
    if strange:
        raise InputError(f"{name} is not an npz file: it holds {strange[0]}, which is no array")
    twice = [key for key, count in Counter(info.filename for info in infos).items() if count > 1]
    if twice:
        raise InputError(f"{name} holds {twice[0]} more than once")
    return {info.filename.removesuffix(".npy"): info for info in infos}


def _array(name: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    if info.flag_bits & 1:
        raise InputError(f"{name} is encrypted")
    if info.compress_type not in _COMPRESSIONS:
        raise InputError(f"{name} is compressed in a way that np.savez does not use")
    with archive.open(info) as stream:
        shape, dtype = _header(name, stream)
        _check_size(name, shape, dtype, info, info.file_size - stream.tell())
    with archive.open(info) as stream:
        array = np.lib.format.read_array(stream, allow_pickle=False)
    return array.astype(dtype.newbyteorder("="), copy=False)


def _header(name: str, stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    try:
        shape, _, dtype = _HEADERS[np.lib.format.read_magic(stream)](stream)
    except Exception as error:  # a header is Python text: what its parser raises is without end
        raise InputError(f"{name} has a damaged header") from error
    if dtype.kind not in "fiu":
        raise InputError(f"{name} must hold real numbers, got an array of type {dtype}")
    return shape, dtype


def _check_size(
    name: str, shape: tuple[int, ...], dtype: np.dtype, info: zipfile.ZipInfo, held: int
) -> None:
    needed = math.prod(shape) * dtype.itemsize
    if needed != held or held > MOST_INFLATED * info.compress_size:
        held = min(held, MOST_INFLATED * info.compress_size)
        raise InputError(
            f"{name} is damaged: its shape {shape} takes {needed:,} bytes, and the file holds no "
            f"more than {held:,}"
        )
    check_memory(name, needed)


def span(x: Any) -> str:
    """The range of some numbers in words."""
    return f"[{np.min(x):.4g}, {np.max(x):.4g}]"
