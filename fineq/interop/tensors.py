"""Tensors of a safetensors file, of which nothing is run, and whether they are those wanted."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from safetensors import SafetensorError, safe_open

from fineq.errors import InputError, in_a_line

SHOWN = 4  # tensors that a sentence names


class Tensors(NamedTuple):
    """Arrays of real numbers by name, in the precision of the file, and texts by name."""

    arrays: dict[str, Array]
    texts: dict[str, str]


def read_tensors(path: Path, what: str) -> Tensors:
    """Read a file that should hold `what`, for example `a model`.

    Raises:
        InputError: for a file that is none, is cut off or whose header lies, and tensors of other
            than floating-point numbers.
    """
    try:
        # The framework that has bfloat16.
        with safe_open(path, framework="flax") as file:
            texts = dict(file.metadata() or {})
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    # TypeError and AttributeError: of kinds of numbers that there are not.
    except (SafetensorError, AttributeError, OSError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not {what}, or damaged ({in_a_line(error)})") from None
    if bad := [name for name, x in arrays.items() if not jnp.issubdtype(x.dtype, jnp.floating)]:
        raise InputError(f"{path} is not {what}: {bad[0]} holds {arrays[bad[0]].dtype}")
    return Tensors(arrays, texts)


def check_tensors(
    wanted: Mapping[str, tuple[int, ...]], given: Mapping[str, Array | np.ndarray], sentence: str
) -> None:
    """Refuse other tensors than are wanted, all in one sentence that begins as is said.

    Raises:
        InputError: naming those that are missing, too many, of another shape, or not finite.
    """
    wrong = {
        "lacks": sorted(wanted.keys() - given.keys()),
        "has besides": sorted(given.keys() - wanted.keys()),
        "has in another shape": sorted(
            f"{k} {given[k].shape} for {wanted[k]}"
            for k in wanted.keys() & given.keys()
            if wanted[k] != given[k].shape
        ),
        "has numbers that are not finite in": sorted(
            k for k, x in given.items() if not np.isfinite(np.asarray(x, np.float64)).all()
        ),
    }
    said = [f"{verb} {_few(names)}" for verb, names in wrong.items() if names]
    if said:
        raise InputError(f"{sentence} " + ", ".join(said))


def _few(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
