"""Files of plants and points: archives and tables, sound, strange and damaged."""

import bz2
import gzip
import io
import warnings
import zipfile
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np

from tests.fuzz.damage import BYTES, PLACE

PLANT = {"A": 0.5 * np.eye(2), "B": np.eye(2), "C": 0.1 * np.eye(2), "Q": np.eye(2), "R": np.eye(2)}
POINTS = {"x": np.array([[0.5, -0.25], [0.125, 0.75], [-0.5, 0.0]]), "weights": np.ones(3) / 3}
STARTS = {"x0": POINTS["x"], "weights": POINTS["weights"]}


class Door(NamedTuple):
    """A field that names a file: its area, the words that make it count, what the file holds."""

    area: str
    words: tuple[str, ...]
    field: str
    arrays: dict[str, np.ndarray]
    tables: bool


DOORS = (
    Door("nlqr", ("system=file", "law.degree=3"), "system.path", PLANT, False),
    Door("nlqr", ("law=file", "system.n=2"), "law.path", STARTS, False),
    Door("pift", ("data.name=points", "reward.name=wave"), "data.path", POINTS, True),
    Door(
        "ntk",
        ("study=assumptions", "target.name=points"),
        "target.path",
        POINTS,
        True,
    ),
)
NAMES = ("a b", "é", "a'b", "a=b", "a[1]", "$x", "x" * 200, "a,b", "-x", "\udcff", "${x}", "a\\b")


def file_words(draw: Random, door: Door) -> list[str]:
    """Write a file for the door into the working folder; the words that read it."""
    table = door.tables and draw.random() < 0.6
    suffix = draw.choice(
        (".csv", ".csv", ".tsv", ".txt", ".CSV", ".csv.gz") if table else (".npz",)
    )
    path = Path((draw.choice(NAMES) if draw.random() < 0.15 else "given") + suffix)
    content = _table(draw) if table else _archive(draw, dict(door.arrays))
    if suffix == ".csv.gz":
        content = gzip.compress(content)
    path.write_bytes(content)
    for _ in range(draw.choice((0, 1, 1, 2))):
        draw.choice(BYTES)(draw, path)
    if draw.random() < 0.15:
        draw.choice(PLACE)(draw, path)
    elif draw.random() < 0.05:
        path = path.rename(path.with_suffix(draw.choice((".csv", ".npz", ".npy", ".dat", ""))))
    quoted = str(path).replace("\\", "\\\\").replace("'", "\\'")
    plain = str(path).isascii() and str(path).replace(".", "").isalnum()
    return [*door.words, f"{door.field}={path}" if plain else f"{door.field}='{quoted}'"]


def _table(draw: Random) -> bytes:
    """A table of numbers as other programs write it, or nearly."""
    rows = [[f"{x}" for x in row] for row in POINTS["x"]]
    for _ in range(draw.choice((0, 1, 1, 2))):
        draw.choice(ROWS)(draw, rows)
    comma = draw.choice((",", ",", ",", ";", "\t", " ", "|", ", "))
    line = draw.choice(("\n", "\n", "\r\n", "\r", "\n\n"))
    text = line.join(comma.join(row) for row in rows) + draw.choice(("", line))
    if draw.random() < 0.15:
        text = text.replace(".", ",")
    coding = draw.choice(("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"))
    return text.encode(coding, errors="replace")


def _header(draw: Random, rows: list[list[str]]) -> None:
    names = draw.choice(
        (["x", "y"], ["0", "1"], ["x", "x"], ["", "0"], ["a"], ["é", '"b"'], ["#x"])
    )
    rows.insert(0, list(names))


def _index(draw: Random, rows: list[list[str]]) -> None:
    for number, row in enumerate(rows):
        row.insert(0, str(number))


def _cell(draw: Random, rows: list[list[str]]) -> None:
    row = draw.choice(rows)
    cells = (
        "",
        "nan",
        "inf",
        "1e400",
        "1e300",
        "abc",
        '"0.5"',
        "'0.5'",
        "1 m",
        "0,5",
        "1_0",
        "0x1",
    )
    cells += ("1+2j", "true", "\0", "é", "-", "2020-01-01", "٣", '"', "#", "1e-400", "9" * 400)
    row[draw.randrange(len(row))] = draw.choice(cells)


def _ragged(draw: Random, rows: list[list[str]]) -> None:
    draw.choice(rows).append("1.0")


def _none(draw: Random, rows: list[list[str]]) -> None:
    del rows[draw.randrange(len(rows)) :]
    rows.append([""])


def _wide(draw: Random, rows: list[list[str]]) -> None:
    for row in rows:
        row += ["0.5"] * 3000


def _comment(draw: Random, rows: list[list[str]]) -> None:
    rows.insert(
        draw.randrange(len(rows)), [draw.choice(("# made by hand", "", " ", "// x", "---"))]
    )


ROWS = (_header, _header, _index, _cell, _cell, _cell, _ragged, _none, _wide, _comment)


KINDS = (object, complex, ">f8", ">i4", "f2", "f4", "g", "G", "i8", "u1", "?", "U8", "S8", "m8[s]")
SHAPES: tuple[tuple[int, ...], ...] = (
    (),
    (1,),
    (4,),
    (0,),
    (0, 2),
    (2, 0),
    (2, 2, 1),
    (5, 3),
    (1, 1),
)
ENTRIES = (np.nan, np.inf, 1e300, -1e300, 5e-324, -1.0, 0.0, 3.0, 1e-200)


def _archive(draw: Random, arrays: dict[str, np.ndarray]) -> bytes:
    """An archive of arrays, of which some are not what they should be."""
    for _ in range(draw.choice((0, 1, 1, 2))):
        name = draw.choice(list(arrays))
        array = arrays.pop(name)
        if draw.random() < 0.9 and array.dtype == float and array.size:
            arrays[draw.choice((name, name, name, name, "D", "x", "x0"))] = _odd(draw, array)
    members = {f"{name}.npy": _member(draw, array) for name, array in arrays.items()}
    return _zipped(draw, members)


def _odd(draw: Random, array: np.ndarray) -> np.ndarray:
    """The array with another type, another shape, or an odd entry."""
    kind = draw.random()
    if kind < 0.4:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return array.astype(draw.choice(KINDS))
    if kind < 0.5:
        return np.zeros(array.shape, [("a", "f8"), ("b", "i4")])
    if kind < 0.75:
        return np.full(draw.choice(SHAPES), 0.25)
    odd = np.array(array, float, order=draw.choice(("C", "F")))
    odd.flat[draw.randrange(odd.size)] = draw.choice(ENTRIES)
    return odd


def _member(draw: Random, array: np.ndarray) -> bytes:
    """A .npy file, perhaps with a header of its own making."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    content = buffer.getvalue()
    if draw.random() < 0.85:
        return content
    shape = draw.choice(
        ("(1000000, 1000000)", "(2, 2)", "(-1, 2)", "(2,)", "(10**9,)", "2", "(True, 2)")
    )
    descr = draw.choice(
        ("'<f8'", "'<f8'", "'|O'", "'<c16'", "[('a', '<f8')]", "'x'", "1", "'<U99999'")
    )
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"
    head += " " * draw.choice((10, 10, 100, 20_000)) + "\n"
    version = draw.choice((b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x00"))
    size = len(head).to_bytes(2 if version == b"\x01\x00" else 4, "little")
    return b"\x93NUMPY" + version + size + head.encode() + content[-32:]


def _zipped(draw: Random, members: dict[str, bytes]) -> bytes:
    """The members in a zip file, as one of the ways of packing has it."""
    ways = (zipfile.ZIP_STORED,) * 3 + (zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2)
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", draw.choice(ways)) as archive:
        warnings.simplefilter("ignore")  # of names that come twice
        for name, content in members.items():
            kept = (
                name
                if draw.random() < 0.95
                else draw.choice(("../x.npy", "A.txt", "x.npy", "", "é"))
            )
            archive.writestr(kept or "x", content)
    content = buffer.getvalue()
    way = draw.random()
    if way < 0.05:  # say that members are encrypted
        return content.replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01")
    if way < 0.1:
        return draw.choice((gzip.compress(content), bz2.compress(content), b"junk" + content))
    return next(iter(members.values()), b"") if way < 0.15 else content
