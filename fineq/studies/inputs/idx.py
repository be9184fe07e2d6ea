"""IDX files, in which MNIST and its relatives are kept: bytes behind a header of their sizes."""

import gzip
import io
import math
import struct
from pathlib import Path

import numpy as np

from fineq.errors import InputError
from fineq.studies.inputs.arrays import MOST_INFLATED
from fineq.studies.inputs.files import check_memory, decoding, regular

_BYTES = 8  # the code of unsigned bytes, which all of these files hold


def find_idx(folder: Path, stem: str) -> Path | None:
    """The IDX file of this name in a folder, packed by gzip or not; None where there is none."""
    places = (folder / stem, folder / f"{stem}.gz")
    return next((path for path in places if path.exists()), None)


def load_idx(name: str, path: Path, ndim: int) -> np.ndarray:
    """The bytes of an IDX file as an array of `ndim` axes, uint8.

    Sizes are compared with what the file can hold before memory is taken.

    Args:
        name: of the file, for the message.
        path: of the file; one that ends in .gz is unpacked.
        ndim: axes that it must have.

    Raises:
        InputError: for a file that is damaged or holds anything else.
        ResourceError: for more than memory can hold.
    """
    found, packed = regular(name, str(path)), path.suffix == ".gz"
    held = found.stat().st_size * (MOST_INFLATED if packed else 1)
    with decoding(name, "an IDX file"), (gzip.open if packed else open)(found, "rb") as stream:
        shape = _header(name, stream, ndim)
        needed = math.prod(shape)
        if needed > held:
            raise _lying(name, shape, f"at most {held:,}")
        check_memory(name, 4 * needed)  # as float32
        content = stream.read(needed + 1)
        if len(content) != needed:
            raise _lying(name, shape, "more" if len(content) > needed else f"{len(content):,}")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _header(name: str, stream: io.BufferedIOBase, ndim: int) -> tuple[int, ...]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] != _BYTES:
        raise InputError(f"{name} is not an IDX file of bytes: it begins with {magic.hex() or '-'}")
    if magic[3] != ndim:
        raise InputError(f"{name} must have {ndim} axes, got {magic[3]}")
    sizes = stream.read(4 * ndim)
    if len(sizes) < 4 * ndim:
        raise InputError(f"{name} is damaged: it ends within its header")
    shape = struct.unpack(f">{ndim}I", sizes)
    if not math.prod(shape):
        raise InputError(f"{name} is empty: its shape is {shape}")
    return shape


def _lying(name: str, shape: tuple[int, ...], held: str) -> InputError:
    return InputError(
        f"{name} is damaged: its shape {shape} takes {math.prod(shape):,} bytes, and the file "
        f"holds {held}"
    )
