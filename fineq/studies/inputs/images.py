"""Images to train on: scikit-learn's digits, a folder of IDX files or of pictures, an npz file."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fineq.arrays import finite_array
from fineq.errors import InputError
from fineq.studies.inputs.arrays import load_npz, span
from fineq.studies.inputs.idx import find_idx, load_idx
from fineq.studies.inputs.pictures import load_pictures
from fineq.studies.inputs.tables import counted

IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
OWN_TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")

Shape = tuple[int, int, int]


class Images(NamedTuple):
    """Images with intensities from -1 to 1, float32, split in two.

    Attributes:
        x: to train on, flat, `[N, H*W*C]`.
        label: their classes from 0, int32 `[N]`, or None.
        held_x: held out, `[M, H*W*C]`.
        held_label: their classes, or None.
        shape: (H, W, C).
        words: what was read.
    """

    x: np.ndarray
    label: np.ndarray | None
    held_x: np.ndarray
    held_label: np.ndarray | None
    shape: Shape
    words: str


class _Found(NamedTuple):
    """What a source holds: images `[N, H, W, C]` as stored, and the range of a stored number."""

    name: str
    images: np.ndarray
    label: np.ndarray | None
    low: float
    high: float


def digits(*, share: float = 0.2, seed: int = 0) -> Images:
    """The 1797 digits of 8x8 pixels that come with scikit-learn.

    Args:
        share: of the images to hold out.
        seed: of the split.

    Raises:
        InputError: for a share outside (0, 1).
    """
    from sklearn.datasets import load_digits  # here, for it takes a second to load

    x, label = load_digits(return_X_y=True)
    found = _Found("digits", np.reshape(x, (-1, 8, 8, 1)), np.asarray(label), 0, 16)
    return _split(found, share, seed)


def load_images(
    field: str, path: str | None, *, pool: bool = False, share: float = 0.2, seed: int = 0
) -> Images:
    """The images that a configuration field names.

    Args:
        field: for the message.
        path: a folder of IDX files under the names of MNIST, with its own test images or without;
            a folder of pictures of one size, grey or RGB; or an npz file with `x` `[N, H, W]` or
            `[N, H, W, C]`, bytes or numbers from -1 to 1, and perhaps `label [N]`.
        pool: take the mean of each 2x2 pixels.
        share: of the images to hold out, where the source has no test images of its own.
        seed: of that split.

    Raises:
        InputError: when there is no such thing, it holds anything else, or sizes are odd where
            pixels are to be pooled.
        ResourceError: for more than memory can hold.
    """
    name = f"{field}={path}"
    if path is None or not Path(path).is_dir():
        return _split(_npz(field, path), share, seed, pool)
    folder = Path(path)
    if find_idx(folder, IDX[0]) is None:
        found = _Found(folder.name, load_pictures(name, folder), None, 0, 255)
        return _split(found, share, seed, pool)
    train = _idx(name, folder, IDX)
    if find_idx(folder, OWN_TEST[0]) is None:
        return _split(train, share, seed, pool)
    return _joined(train, _idx(name, folder, OWN_TEST), pool)


def _idx(name: str, folder: Path, stems: tuple[str, str]) -> _Found:
    images, label = (find_idx(folder, stem) for stem in stems)
    assert images is not None
    x = load_idx(f"{name}: {images.name}", images, 3)
    if label is None:
        return _Found(folder.name, x[..., None], None, 0, 255)
    k = load_idx(f"{name}: {label.name}", label, 1)
    if len(k) != len(x):
        raise InputError(f"{name} holds {counted(len(x), 'image')}, but {counted(len(k), 'label')}")
    return _Found(folder.name, x[..., None], k, 0, 255)


def _npz(field: str, path: str | None) -> _Found:
    arrays, name = load_npz(field, path, ("x", "label")).arrays, f"{field}={path}"
    if "x" not in arrays:
        raise InputError(f"{name} has no array x [N, H, W] or [N, H, W, C]")
    x, label = arrays["x"], arrays.get("label")
    if x.ndim not in (3, 4) or not x.size or (x.ndim == 4 and x.shape[-1] not in (1, 3)):
        raise InputError(
            f"{name}: array x must have shape [N, H, W], or [N, H, W, C] of 1 or 3 channels, got "
            f"{x.shape}"
        )
    x = x[..., None] if x.ndim == 3 else x
    if label is not None:
        label = finite_array(f"{name}: array label", label, 1)
        if label.shape != x.shape[:1] or np.any((label < 0) | (label % 1 != 0)):
            raise InputError(
                f"{name}: array label must hold a whole number from 0 for each of {len(x)} images"
            )
    if x.dtype == np.uint8:
        return _Found(Path(str(path)).name, x, label, 0, 255)
    x = finite_array(f"{name}: array x", x, 4)
    if np.abs(x).max() > 1:
        raise InputError(
            f"{name}: array x must hold bytes, or numbers from -1 to 1, but they lie in {span(x)}"
        )
    return _Found(Path(str(path)).name, x, label, -1, 1)


def _split(found: _Found, share: float, seed: int, pool: bool = False) -> Images:
    """Part of the images, drawn at random, held out."""
    num = len(found.images)
    held = math.ceil(share * num) if 0 < share < 1 else 0
    if not 0 < held < num:
        raise InputError(
            f"a share of {share:g} of {counted(num, 'image')} holds out {held} and leaves "
            f"{num - held} to train on: there must be some of both"
        )
    order = np.random.default_rng(seed).permutation(num)
    x, shape, words = _scaled(found, pool)
    k = None if found.label is None else found.label.astype(np.int32)
    parts = [(x[rows], None if k is None else k[rows]) for rows in (order[held:], order[:held])]
    words += f"; {num - held} to train on, {held} held out by seed {seed}"
    return Images(*parts[0], *parts[1], shape, words)


def _joined(train: _Found, test: _Found, pool: bool) -> Images:
    """Images whose source says itself which are held out."""
    x, shape, words = _scaled(train, pool)
    held_x, other, _ = _scaled(test, pool)
    if other != shape or (train.label is None) != (test.label is None):
        raise InputError(
            f"{train.name}: images to train on and to test on must be alike, but are of "
            f"{_size(shape)} and {_size(other)}"
            + ("" if other != shape else ", and one kind has no labels")
        )
    labels = [None if f.label is None else f.label.astype(np.int32) for f in (train, test)]
    words += f"; {len(x)} to train on, {len(held_x)} held out by the source"
    return Images(x, labels[0], held_x, labels[1], shape, words)


def _scaled(found: _Found, pool: bool) -> tuple[np.ndarray, Shape, str]:
    """Flat images from -1 to 1, float32, their shape, and what was read."""
    x = found.images.astype(np.float32)
    num, stored = len(x), found.images.shape[1:]
    x = (x - found.low) * np.float32(2 / (found.high - found.low)) - 1
    if pool:
        if stored[0] % 2 or stored[1] % 2:
            raise InputError(f"{found.name}: images of {_size(stored)} cannot be halved")
        x = x.reshape(num, stored[0] // 2, 2, stored[1] // 2, 2, stored[2]).mean(axis=(2, 4))
    shape = (x.shape[1], x.shape[2], x.shape[3])
    words = [f"{found.name}: {counted(num, 'image')} of {_size(stored)}"]
    words += [f"pooled to {_size(shape)}"] if pool else []
    if found.label is not None:
        words.append(f"{len(np.unique(found.label))} classes")
    words.append(f"intensities in {span(found.images)}, taken as {span(x)}")
    return np.ascontiguousarray(x.reshape(num, -1)), shape, ", ".join(words)


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(str(n) for n in shape)
