"""Checkpoints on disk: a `fineq.iterate.Store` on orbax that survives kill -9 and damaged files.

Under each name lies one checkpoint, written beside its predecessor and renamed into place before
that one goes. It carries a digest of its own content: what does not match is never used.
"""

import errno
import hashlib
import math
import shutil
import warnings
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fineq.errors import ResourceError
from fineq.iterate.core import is_key

Notify = Callable[[str], None]
FULL = (errno.ENOSPC, errno.EDQUOT)


def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=4)


def _data(leaf: Any) -> np.ndarray:
    """The leaf as a host array; random keys as their data."""
    return np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf)


def _shape(leaf: Any) -> Any:
    """Shape and dtype of `_data(leaf)`, also where the leaf is only a shape."""
    return jax.eval_shape(jax.random.key_data, leaf) if is_key(leaf) else leaf


def _restored(data: np.ndarray, like: Any) -> Any:
    """The leaf from its data; `like` tells whether it holds keys, and of which kind."""
    if not is_key(like):
        return data
    impl: list[Any] = []
    jax.eval_shape(lambda key: impl.append(jax.random.key_impl(key)), like)
    return jax.random.wrap_key_data(jnp.asarray(data), impl=impl[0])


def _describe(leaves: list[Any]) -> list[list[Any]]:
    return [[str(x.dtype), list(x.shape)] for x in leaves]


def _cut(content: bytes, shapes: list[Any]) -> list[np.ndarray]:
    """The arrays of these shapes that lie one behind the other in the content."""
    sizes = [math.prod(s.shape) * np.dtype(s.dtype).itemsize for s in shapes]
    ends = list(accumulate(sizes))
    pieces = [content[end - size : end] for end, size in zip(ends, sizes, strict=True)]
    return [
        np.frombuffer(piece, s.dtype).reshape(s.shape).copy()
        for piece, s in zip(pieces, shapes, strict=True)
    ]


class DamagedError(Exception):
    """A checkpoint whose content is not what was written."""


class Checkpoints:
    """A store in a folder of its own, made when something is first saved.

    notify: receives one sentence when a checkpoint is discarded (default: a `RuntimeWarning`).
    """

    def __init__(self, folder: Path | str, notify: Notify = _warn) -> None:
        self._folder = Path(folder).absolute()
        self._notify = notify
        self._managers: dict[str, Any] = {}

    def save(self, name: str, tree: Any) -> None:
        """Replace what is kept under the name. Raises `ResourceError` when the disk is full."""
        arrays = [_data(leaf) for leaf in jax.tree.leaves(tree)]
        content = b"".join(array.tobytes() for array in arrays)
        meta = {"leaves": _describe(arrays), "digest": hashlib.sha256(content).hexdigest()}
        try:
            self._write(name, content, meta)
        except Exception as error:
            if getattr(error, "errno", None) in FULL or "No space left" in str(error):
                raise ResourceError(
                    f"no space left for the checkpoint {name} in {self._folder}; free some, or "
                    "choose another output folder"
                ) from error
            raise

    def load(self, name: str, like: Any) -> Any | None:
        """What is kept under the name in the structure of `like`, or None.

        A checkpoint that cannot be read, or is not what was written, is named to `notify` and
        discarded; so is one whose shapes are not those of `like`.
        """
        if not (self._folder / name).is_dir():
            return None
        for step in sorted(self._manager(name).all_steps(), reverse=True):
            try:
                return self._read(name, step, like)
            except Exception as error:  # whatever a damaged file makes the reader raise
                self._discard(name, step, error)
        return None

    def close(self) -> None:
        """Let go of the folder, which may then be deleted."""
        for manager in self._managers.values():
            manager.close()
        self._managers = {}

    def _manager(self, name: str) -> Any:
        if name not in self._managers:
            # Imported here because it costs a third of a second that most runs need not spend.
            import orbax.checkpoint as ocp

            options = ocp.CheckpointManagerOptions(
                max_to_keep=1, create=True, enable_async_checkpointing=False
            )
            self._managers[name] = ocp.CheckpointManager(self._folder / name, options=options)
        return self._managers[name]

    def _write(self, name: str, content: bytes, meta: dict[str, Any]) -> None:
        import orbax.checkpoint as ocp

        manager = self._manager(name)
        # One array for all leaves: one file, and one reader that can fail when it is damaged.
        array = {"content": np.frombuffer(content, np.uint8)}
        items = ocp.args.Composite(
            content=ocp.args.StandardSave(array), meta=ocp.args.JsonSave(meta)
        )
        manager.save((manager.latest_step() or 0) + 1, args=items, force=True)

    def _read(self, name: str, step: int, like: Any) -> Any:
        import orbax.checkpoint as ocp

        leaves, tree = jax.tree.flatten(like)
        shapes = [_shape(leaf) for leaf in leaves]
        manager = self._manager(name)
        meta = manager.restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore())).meta
        if meta["leaves"] != _describe(shapes):
            raise DamagedError("it has other shapes than the run")
        size = sum(math.prod(s.shape) * np.dtype(s.dtype).itemsize for s in shapes)
        target = ocp.args.StandardRestore({"content": np.empty(size, np.uint8)})
        read = manager.restore(step, args=ocp.args.Composite(content=target)).content
        content = np.asarray(read["content"]).tobytes()
        if hashlib.sha256(content).hexdigest() != meta["digest"]:
            raise DamagedError("its content is not what was written")
        return tree.unflatten(map(_restored, _cut(content, shapes), leaves))

    def _discard(self, name: str, step: int, error: Exception) -> None:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        where = self._folder / name / str(step)
        self._notify(f"the checkpoint {where} is discarded and its part recomputed: {reason}")
        self._managers.pop(name).close()
        shutil.rmtree(where, ignore_errors=True)
