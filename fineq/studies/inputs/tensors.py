"""Tensors and texts of a safetensors file, of which nothing is executed."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from fineq.errors import InputError, in_a_line
from fineq.studies.inputs.files import regular_file

SUFFIX = ".safetensors"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")  # run code when they are read


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
        InputError: for a file that is none, is cut off or whose header lies, and numbers that
            numpy does not have.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            texts = dict(file.metadata() or {})
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    # TypeError and AttributeError: of kinds of numbers that numpy has not.
    except (SafetensorError, AttributeError, OSError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not {what}, or damaged ({in_a_line(error)})") from None
    if bad := [name for name, x in arrays.items() if not np.issubdtype(x.dtype, np.floating)]:
        raise InputError(f"{path} is not {what}: {bad[0]} holds {arrays[bad[0]].dtype}")
    return Tensors(arrays, texts)
