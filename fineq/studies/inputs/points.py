"""Points of a law, from an npz file or a table."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fineq.arrays import finite_rows
from fineq.errors import InputError
from fineq.studies.inputs.arrays import load_npz, span
from fineq.studies.inputs.files import regular_file
from fineq.studies.inputs.sheet import ENDINGS, delimiter_of
from fineq.studies.inputs.tables import counted, in_words, load_table

MOST_SPANS = 4  # columns whose ranges are said one by one


class Points(NamedTuple):
    """Points `x [S, d]`, their weights `[S]` or None where they are equal, and what was read."""

    x: np.ndarray
    weights: np.ndarray | None
    words: str


def load_points(
    field: str,
    path: str | None,
    columns: Sequence[str | int] = (),
    header: bool | None = None,
    array: str = "x",
) -> Points:
    """The points that a configuration field names.

    Args:
        field: for the message.
        path: an npz file with `x [S, d]` and perhaps `weights [S]`, or a table of rows.
        columns: of a table, as `load_table`.
        header: likewise.
        array: what the points are called in an npz file.

    Raises:
        InputError: when the file is missing or holds anything else.
        ResourceError: for more than memory can hold.
    """
    if delimiter_of(path):
        table = load_table(field, path, columns, header)
        return Points(table.x, None, _sentence(path, table.x, table.names, table.left_out))
    name, block = f"{field}={path}", field.rpartition(".")[0]
    if not zipfile.is_zipfile(regular_file(field, path)) and not str(path).endswith(".npz"):
        raise InputError(f"{name} is neither an npz file nor a table, which ends in {ENDINGS}")
    for option, given in (("columns", bool(columns)), ("header", header is not None)):
        if given:
            raise InputError(f"{block}.{option} has no effect on an npz file: drop it")
    found = load_npz(field, path, (array, "weights"))
    if array not in found.arrays:
        has = in_words([*found.arrays, *found.unread]) or "none"
        raise InputError(f"{name} has no array {array} [S, d]; it has {has}")
    x = finite_rows(f"{name}: array {array}", found.arrays[array])
    left_out = [f"array {key}" for key in found.unread]
    weights = found.arrays.get("weights")
    return Points(x, weights, _sentence(path, x, (), left_out, weights is not None))


def _sentence(
    path: str | None,
    x: np.ndarray,
    names: Sequence[str],
    left_out: Sequence[str],
    weighted: bool = False,
) -> str:
    """What was read of a file: rows, columns, ranges, and what was not."""
    num, d = x.shape
    rows = counted(num, "row") + (" with weights" if weighted else "")
    words = [f"{Path(str(path)).name}: {rows}"]
    labels = [*names] or [str(j) for j in range(d)]
    if d <= MOST_SPANS:
        spans = [f"{label} in {span(x[:, j])}" for j, label in enumerate(labels)]
        words.append(f"{counted(d, 'column')}: {', '.join(spans)}")
    else:
        words.append(f"{counted(d, 'column')}, {in_words(labels)}, in {span(x)}")
    return ", ".join(words) + (f"; not read: {', '.join(left_out)}" if left_out else "")
