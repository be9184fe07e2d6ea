"""A folder of pictures of one size, grey or RGB."""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fineq.errors import InputError
from fineq.studies.inputs.files import check_memory, decoding, regular

FORMATS = ("PNG", "JPEG", "BMP")
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp")
CHANNELS = {"L": 1, "RGB": 3}  # Pillow's names of the kinds that are taken


def load_pictures(name: str, folder: Path) -> np.ndarray:
    """All pictures of a folder, in the order of their names, `[N, H, W, C]`, uint8.

    Args:
        name: of the folder, for the message.
        folder: where they lie; files with other endings are left alone.

    Raises:
        InputError: for a folder without pictures, pictures that differ in size or kind, or one
            that is damaged, or neither grey nor RGB.
        ResourceError: for more than memory can hold.
    """
    with decoding(name, "a folder"):
        paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in ENDINGS)
    if not paths:
        raise InputError(f"{name} holds no picture: none of its files ends in {', '.join(ENDINGS)}")
    first = paths[0]
    size, mode = _kind(f"{name}: {first.name}", first)
    shape = (len(paths), size[1], size[0], CHANNELS[mode])
    check_memory(name, 4 * math.prod(shape))  # as float32
    images = np.empty(shape, np.uint8)
    for i, path in enumerate(paths):
        with _opened(f"{name}: {path.name}", path) as picture:
            if (picture.size, picture.mode) != (size, mode):
                raise InputError(
                    f"{name} must hold pictures of one size and kind, but {first.name} is "
                    f"{_words(size, mode)}, and {path.name} is {_words(picture.size, picture.mode)}"
                )
            images[i] = np.asarray(picture).reshape(shape[1:])
    return images


def _kind(name: str, path: Path) -> tuple[tuple[int, int], str]:
    """Size and kind of a picture, from its header alone."""
    with _opened(name, path) as picture:
        if picture.mode not in CHANNELS:
            raise InputError(
                f"{name} is of kind {picture.mode}: pictures must be grey or RGB, of 8 bits and "
                "without transparency"
            )
        return picture.size, picture.mode


@contextmanager
def _opened(name: str, path: Path) -> Iterator[Any]:
    found = regular(name, str(path))
    # A header may promise more pixels than Pillow trusts: it warns, and that is refused here.
    with decoding(name, "a picture"), warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(found, formats=FORMATS) as picture:
            yield picture


def _words(size: tuple[int, int], mode: str) -> str:
    return f"{size[0]}x{size[1]} ({mode})"
