"""Checkpoints on disk: a `fineq.iterate.Store` that survives kill -9 and damaged files.

Under each name lies one file, written beside its predecessor and renamed over it: a line of JSON
(the run it belongs to, dtypes and shapes of its arrays, the SHA-256 of their bytes), then the bytes
of the arrays one behind the other. What does not match is never used.
"""

import hashlib
import math
import warnings
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jax
import numpy as np

from fineq.errors import FineqError
from fineq.keys import is_key
from fineq.runs.files import (
    CHECKPOINT,
    disk_errors,
    read_json,
    read_regular,
    strict_json,
    write_atomic,
)

Notify = Callable[[str], None]


def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=4)


class DamagedError(Exception):
    """A checkpoint that is not what was written, or belongs to another run."""


class Checkpoints:
    """A store in a folder of its own, made when something is first saved.

    Args:
        folder: where the files lie.
        run: what names the run that they belong to, for example its hash.
        notify: receives one sentence when a checkpoint is discarded (default: a `RuntimeWarning`).

    """

    def __init__(self, folder: Path | str, run: str = "", notify: Notify = _warn) -> None:
        self._folder = Path(folder).absolute()
        self._run = run
        self._notify = notify

    def save(self, name: str, tree: Any) -> None:
        """Replace what is kept under the name; where that fails, what was kept stays.

        Raises:
            ResourceError: when the disk is full or fails.
            InputError: when the folder refuses the file.

        """
        arrays = [_data(leaf) for leaf in jax.tree.leaves(tree)]
        content = b"".join(array.tobytes() for array in arrays)
        about = {"run": self._run, "leaves": _describe(arrays), "sha256": _digest(content)}
        # JSON of one line: the first line break ends it.
        head = b" ".join(strict_json(about).split(b"\n"))
        with disk_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        write_atomic(self._path(name), head + b"\n" + content)

    def load(self, name: str, like: Any) -> Any | None:
        """What is kept under the name in the structure of `like`, or None.

        A checkpoint that cannot be read, is not what was written, belongs to another run or has
        other shapes than `like` is named to `notify` and discarded.
        """
        path = self._path(name)
        try:
            content = read_regular(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            return self._discard(path, error.strerror or str(error))
        try:
            return self._read(content, like)
        except (DamagedError, ValueError, KeyError, TypeError) as error:
            return self._discard(path, str(error))

    def _path(self, name: str) -> Path:
        return self._folder / f"{quote(name, safe=' =,')}{CHECKPOINT}"

    def _read(self, content: bytes, like: Any) -> Any:
        head, _, body = content.partition(b"\n")
        about = read_json(head)
        if about["sha256"] != _digest(body):
            raise DamagedError("its content is not what was written")
        if about["run"] != self._run:
            raise DamagedError("it belongs to another run")
        leaves, tree = jax.tree.flatten(like)
        shapes = [_shape(leaf) for leaf in leaves]
        if about["leaves"] != _describe(shapes):
            raise DamagedError("it has other shapes than the run")
        return tree.unflatten(map(_restored, _cut(body, shapes), leaves))

    def _discard(self, path: Path, reason: str) -> None:
        self._notify(f"the checkpoint {path} is discarded and its part recomputed: {reason}")
        try:
            with disk_errors(path):
                path.unlink(missing_ok=True)
        except FineqError as error:
            self._notify(str(error))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _data(leaf: Any) -> np.ndarray:
    """The leaf as a host array; random keys as their data."""
    return np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf)


def _shape(leaf: Any) -> Any:
    """Shape and dtype of `_data(leaf)`, also where the leaf is only a shape."""
    return jax.eval_shape(jax.random.key_data, leaf) if is_key(leaf) else leaf


def _restored(data: np.ndarray, like: Any) -> np.ndarray | jax.Array:
    """The leaf from its data; `like` tells whether it holds keys, and of which kind."""
    if not is_key(like):
        return data
    impl: list[Any] = []
    jax.eval_shape(lambda key: impl.append(jax.random.key_impl(key)), like)
    return jax.random.wrap_key_data(jax.numpy.asarray(data), impl=impl[0])


def _describe(leaves: list[Any]) -> list[list[Any]]:
    return [[str(x.dtype), list(x.shape)] for x in leaves]


def _cut(content: bytes, shapes: list[Any]) -> list[np.ndarray]:
    """The arrays of these shapes that lie one behind the other in the content."""
    sizes = [math.prod(s.shape) * np.dtype(s.dtype).itemsize for s in shapes]
    if sum(sizes) != len(content):
        raise DamagedError("it has another length than its shapes")
    ends = list(accumulate(sizes))
    pieces = [content[end - size : end] for end, size in zip(ends, sizes, strict=True)]
    return [
        np.frombuffer(piece, s.dtype).reshape(s.shape).copy()
        for piece, s in zip(pieces, shapes, strict=True)
    ]
