"""What the user brings: plants and points from npz files, and functions from importable modules."""

import importlib
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fineq.errors import InputError
from fineq.runs import switches


def load_npz(field: str, path: str) -> dict[str, np.ndarray]:
    """The arrays of an npz file, read without executing anything in it.

    Args:
        field: the configuration field that named the file, for the message.
        path: the file.

    Raises:
        InputError: when the file is missing, not npz, damaged, or holds pickled objects.
    """
    if Path(path).is_dir():
        raise InputError(f"{field}={path} is a folder, not an npz file")
    if not Path(path).is_file():
        raise InputError(f"{field}={path}: there is no such file")
    if not zipfile.is_zipfile(path) and Path(path).suffix != ".npy":
        raise InputError(f"{field}={path} is not an npz file")
    try:
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise InputError(f"{field}={path} is not an npz file: it holds a single array")
        with archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, zipfile.BadZipFile, EOFError, OSError, KeyError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{field}={path} is not an npz file of plain numeric arrays ({error})"
        ) from error


def load_points(field: str, path: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Points `[S, d]` and their weights `[S]`, or None: arrays x and weights of an npz, or a csv.

    A csv holds one point per row, numbers separated by commas, and perhaps one line of names.

    Raises:
        InputError: when the file is missing or holds anything else.
    """
    if Path(path).suffix != ".csv":
        arrays = load_npz(field, path)
        if "x" not in arrays:
            raise InputError(f"{field}={path} has no array x [S, d]; it has {', '.join(arrays)}")
        return arrays["x"], arrays.get("weights")
    if not Path(path).is_file():
        raise InputError(f"{field}={path}: there is no such file")
    lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    rows = [line.split(",") for line in lines if line.strip()]
    named = bool(rows) and not any(map(_is_number, rows[0]))
    try:
        return np.array([[float(x) for x in row] for row in rows[named:]], ndmin=2), None
    except ValueError as error:
        raise InputError(
            f"{field}={path} must hold rows of equally many numbers ({error})"
        ) from error


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def load_function(field: str, target: str) -> Callable[..., Any]:
    """The function that `module:function` names; the working directory is searched first.

    Switches of JAX that the module flips while it is imported are put back.

    Raises:
        InputError: when the address is malformed, or there is no such module or function.
    """
    module_name, _, name = target.partition(":")
    if not (module_name and name):
        raise InputError(f"{field} must be module:function, got {target}")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise InputError(
            f"{field}={target}: module {module_name} cannot be imported ({error})"
        ) from error
    finally:
        switches.pin()
    function = getattr(module, name, None)
    if not callable(function):
        raise InputError(f"{field}={target}: module {module_name} has no function {name}")
    return function
