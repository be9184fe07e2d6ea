"""Tensors and texts of a safetensors file, of which nothing is executed."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from fineq.errors import InputError
from fineq.interop.places import PICKLES
from fineq.studies.inputs.files import regular_file

SUFFIX = ".safetensors"


class Tensors(NamedTuple):
    """Arrays of real numbers by name, and texts by name."""

    arrays: dict[str, np.ndarray]
    texts: dict[str, str]


def tensors_file(field: str, path: str) -> Path:
    """The safetensors file that a field names.

    Raises:
        InputError: for a pickle, by its name alone; and as `regular_file`.
    """
    if Path(path).suffix.lower() in PICKLES:
        raise InputError(
            f"{field}={path} is by its name a pickle, which could run code when it is read, and is "
            f"not opened: save its tensors as {SUFFIX}"
        )
    return regular_file(field, path)


def load_tensors(path: Path, what: str) -> Tensors:
    """Read a file that should hold `what`, for example `a model`.

    Raises:
        InputError: as `fineq.interop.tensors.read_tensors`.
    """
    from fineq.interop.tensors import read_tensors  # here, for it loads JAX

    found = read_tensors(path, what)
    return Tensors({name: np.asarray(x) for name, x in found.arrays.items()}, found.texts)
