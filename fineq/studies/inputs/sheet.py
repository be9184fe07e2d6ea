"""The lines of a table and the fields of a line, before anything is taken for a number."""

import csv
import gzip
import re
from pathlib import Path
from typing import NamedTuple

from fineq.errors import InputError, ResourceError
from fineq.studies.inputs.files import decoding, host_share, regular_file

DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": " "}
ENDINGS = f"{', '.join(DELIMITERS)}, or one of these followed by .gz"
_NUMBER = re.compile(
    r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf|infinity|nan)", re.IGNORECASE | re.ASCII
)
# What programs write where there is no number.
_MISSING = {"", "na", "n/a", "#n/a", "<na>", "null", "none", "?"}


def delimiter_of(path: str | None) -> str | None:
    """What separates the fields of a file with this ending; None where it is no table."""
    return DELIMITERS.get(Path(str(path).lower().removesuffix(".gz")).suffix)


def is_number(field: str) -> bool:
    """Whether a field holds a real number, finite or not, as programs write them."""
    return _NUMBER.fullmatch(field) is not None


def is_word(field: str) -> bool:
    """Whether a field holds neither a number nor what stands for a missing one."""
    return not is_number(field) and field.lower() not in _MISSING


class Sheet(NamedTuple):
    """A table as lines of text, each with the same number of fields.

    Attributes:
        name: the field and the file, `field=path`.
        block: what the field belongs to, for example `target`.
        delimiter: between fields; a space stands for any white space.
        lines: without empty lines and remarks.
        numbers: of the lines in the file, from 1.
        num_remarks: lines that begin with #.
    """

    name: str
    block: str
    delimiter: str
    lines: list[str]
    numbers: list[int]
    num_remarks: int

    def fields(self, index: int) -> list[str]:
        """The fields of a line, without white space around them."""
        return _fields(self.lines[index], self.delimiter)

    def first(self, index: int) -> str:
        """The first field of a line."""
        line = self.lines[index]
        if '"' in line:
            return self.fields(index)[0]
        return line.split(None if self.delimiter == " " else self.delimiter, 1)[0].strip()


def read_sheet(field: str, path: str | None) -> Sheet:
    """The lines of the table that a configuration field names.

    Raises:
        InputError: for a file that is missing, no text, or empty, and for lines of different
            lengths.
        ResourceError: for a text that memory cannot hold.
    """
    name, delimiter = f"{field}={path}", delimiter_of(path)
    assert delimiter is not None
    text = _text(name, regular_file(field, path))
    whole = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    kept = [(i + 1, line) for i, line in enumerate(whole) if line.strip()]
    rows = [(number, line) for number, line in kept if not line.lstrip().startswith("#")]
    if not rows:
        raise InputError(f"{name} holds no points: it is empty")
    numbers, lines = (list(column) for column in zip(*rows))
    sheet = Sheet(name, field.rpartition(".")[0], delimiter, lines, numbers, len(kept) - len(rows))
    with decoding(name, "a table"):
        _check_lengths(sheet)
    return sheet


def _text(name: str, path: Path) -> str:
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    room = host_share()
    with decoding(name, "a table"), opened(path, "rb") as stream:
        raw = bytes(stream.read(room + 1))
    if len(raw) > room:
        raise ResourceError(f"{name} holds more text than memory has room for, {room:,} bytes")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{name} is text in UTF-16: save it as UTF-8")
    if b"\0" in raw:
        raise InputError(f"{name} is no text: it holds zero bytes")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError(f"{name} is no text in UTF-8: line {line} cannot be read") from error


def _fields(line: str, delimiter: str) -> list[str]:
    if delimiter == " ":
        return line.split()
    if '"' in line:
        return [field.strip() for field in next(csv.reader([line], delimiter=delimiter))]
    return [field.strip() for field in line.split(delimiter)]


def _check_lengths(sheet: Sheet) -> None:
    if sheet.delimiter == "," and all(";" in line for line in sheet.lines):
        raise InputError(
            f"{sheet.name} has semicolons between its fields: write commas there, and decimal "
            "points in numbers"
        )
    width = len(sheet.fields(0))
    for number, line in zip(sheet.numbers, sheet.lines):
        if sheet.delimiter != " " and line.count('"') % 2:
            raise InputError(f"{sheet.name}: line {number} has a quote that is not closed")
        plain = sheet.delimiter != " " and '"' not in line
        found = line.count(sheet.delimiter) + 1 if plain else len(_fields(line, sheet.delimiter))
        if found != width:
            raise InputError(
                f"{sheet.name} must hold rows of equally many numbers, but line {number} has "
                f"{found} and line {sheet.numbers[0]} has {width}"
                + (": numbers take a decimal point" if found == 2 * width else "")
            )
