"""Points from tables: what is read is decided by rules, and what the rules leave open is asked.

Fields are separated by commas (.csv), tabs (.tsv) or spaces (.txt). Empty lines and lines that
begin with # are passed over. The first line is a line of names when none of its fields is a number.
Every row must hold a finite number, with a decimal point, in every column that is read.
"""

import csv
import io
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fineq.errors import InputError
from fineq.studies.inputs.sheet import Sheet, is_number, is_word, read_sheet

_WHOLE = re.compile(r"\d+", re.ASCII)
_SIGNED = re.compile(r"-?\d+", re.ASCII)
_PADDED = re.compile(r"[+-]?0\d.*", re.ASCII)  # 05: no program writes a number so
# Where a text may hold such a number; a pattern that begins with a letter is found fastest.
_MAYBE_PADDED = re.compile(r"0(?<![\d.eE]0)(?<![eE][+-]0)\d", re.ASCII)
_PLAIN = b'0123456789.,+-eE\t\n "'  # what numbers and what stands between them are made of
_UNNAMED = re.compile(r"|Unnamed: \d+")
_WEIGHTS = ("weight", "weights")


class Table(NamedTuple):
    """Points of a table.

    Attributes:
        x: `[S, d]`.
        names: of the columns: those of the table, or their positions from 0.
        left_out: what else stands in the file, in words.
    """

    x: np.ndarray
    names: tuple[str, ...]
    left_out: tuple[str, ...]


def load_table(
    field: str, path: str | None, columns: Sequence[str | int] = (), header: bool | None = None
) -> Table:
    """The points in the rows of a table.

    Args:
        field: the configuration field that named the file, for the message.
        path: the file.
        columns: those to read, by name, or by position from 0 where there are no names; empty: all.
        header: whether the first line holds names; None: it is seen by the rules.

    Raises:
        InputError: for what is no table of numbers, or leaves open what is meant.
        ResourceError: for a text that memory cannot hold.
    """
    sheet = read_sheet(field, path)
    named = _has_names(sheet) if header is None else header
    first = sheet.fields(0)
    names = first if named else [str(i) for i in range(len(first))]
    if named and len(sheet.lines) == 1:
        raise InputError(f"{sheet.name} holds no points: it has a line of names and nothing else")
    left_out = (
        [f"{counted(sheet.num_remarks, 'line')} beginning with #"] if sheet.num_remarks else []
    )
    if columns:
        chosen = _chosen(sheet, names, columns, named)
        rest = [name for i, name in enumerate(names) if i not in chosen]
        left_out += [_columns_in_words(rest)] if rest else []
    else:
        chosen, counting = _all(sheet, names, named)
        left_out += counting
    x = _numbers(sheet, chosen, names, int(named))
    return Table(x, tuple(names[i] for i in chosen), tuple(left_out))


def _columns_in_words(names: Sequence[str]) -> str:
    return f"column{'s' if len(names) > 1 else ''} {in_words(names)}"


def counted(num: int, what: str) -> str:
    """A number of things: `1 row`, `2 rows`."""
    return f"{num:,} {what}{'' if num == 1 else 's'}"


def in_words(names: Sequence[str], most: int = 6) -> str:
    """Names one after the other, the first few where there are many."""
    return ", ".join(map(_short, names[:most])) + (", ..." if len(names) > most else "")


def _has_names(sheet: Sheet) -> bool:
    """Whether the first line holds names, where that can be seen."""
    first = sheet.fields(0)
    words = [field for field in first if is_word(field)]
    numbers = [field for field in first if is_number(field)]
    if words and not numbers:
        return True
    ask = f"say {sheet.block}.header=true or {sheet.block}.header=false"
    if words:
        raise InputError(
            f"{sheet.name}: line {sheet.numbers[0]} holds words ({_short(words[0])}) and "
            f"numbers ({_short(numbers[0])}): {ask}"
        )
    # pandas writes 0,1,2 over columns without names, with an empty field over its row numbers.
    indices = [str(i) for i in range(len(numbers))] == numbers
    if indices and first[0] == "" and len(first) == len(numbers) + 1:
        return True
    if len(numbers) == len(first) and (indices or _only_whole_line(sheet, first)):
        raise InputError(
            f"{sheet.name}: line {sheet.numbers[0]} ({in_words(first)}) may hold the names of the "
            f"columns or the first point: {ask}"
        )
    return False


def _only_whole_line(sheet: Sheet, first: list[str]) -> bool:
    """Whether the first line alone holds whole numbers, all different: 2019,2020 over decimals."""
    if len(first) < 2 or len(set(first)) < len(first) or not all(map(_WHOLE.fullmatch, first)):
        return False
    rest = (sheet.fields(i) for i in range(1, len(sheet.lines)))
    return not any(all(map(_SIGNED.fullmatch, fields)) for fields in rest)


def _chosen(sheet: Sheet, names: list[str], columns: Sequence[str | int], named: bool) -> list[int]:
    """Positions of the columns asked for, in that order."""
    field = f"{sheet.block}.columns"
    wanted = [str(column) for column in columns]
    for name in wanted:
        if names.count(name) != 1:
            known = "columns" if named else "no names, but columns"
            found = "no column" if name not in names else "more than one column"
            raise InputError(
                f"{field}: {sheet.name} has {found} {name}; it has {known} {in_words(names, 20)}"
            )
    if len(set(wanted)) < len(wanted):
        raise InputError(f"{field} must hold every column once, got {', '.join(wanted)}")
    return [names.index(name) for name in wanted]


def _all(sheet: Sheet, names: list[str], named: bool) -> tuple[list[int], list[str]]:
    """Positions of all columns but a row number without a name, which is said."""
    counting = _counts_rows(sheet, int(named)) if len(names) > 1 else False
    everything = list(range(len(names)))
    if not named:
        if counting:
            raise InputError(
                f"{sheet.name}: column 0 counts the rows and may be no coordinate: "
                f"{_choose(sheet, names[1:])}"
            )
        _check_decimals(sheet)
        return everything, []
    unnamed = [name for name in names if _UNNAMED.fullmatch(name)]
    weights = [name for name in names if name.lower() in _WEIGHTS]
    choose = _choose(sheet, [name for name in names if name not in unnamed + weights])
    if weights:
        raise InputError(
            f"{sheet.name} has a column {weights[0]}, but weights are read from npz files alone: "
            f"save x and weights by np.savez, or {choose}"
        )
    if unnamed and not (counting and unnamed == names[:1]):
        raise InputError(
            f"{sheet.name}: column {names.index(unnamed[0]) + 1} of {len(names)} has no name: give "
            f"it one, or {choose}"
        )
    dropped = ["the first column, which has no name and counts the rows"] if unnamed else []
    return everything[len(unnamed) :], dropped


def _choose(sheet: Sheet, names: list[str]) -> str:
    """What to say to read these columns alone, or others."""
    return f"say which to read, {sheet.block}.columns=[{_listed(names)}]"


def _listed(names: Sequence[str], most: int = 3) -> str:
    """The first few names, as a list of the command line begins."""
    return ",".join(map(_short, names[:most])) + (",..." if len(names) > most else "")


def _short(text: str) -> str:
    """What a table holds, as much of it as a sentence can show."""
    return text if len(text) <= 40 else text[:37] + "..."


def _counts_rows(sheet: Sheet, skip: int) -> bool:
    """Whether the first column holds 0, 1, 2, ... or 1, 2, 3, ..., over two rows or more."""
    num, start = len(sheet.lines) - skip, sheet.first(skip)
    if num < 2 or start not in ("0", "1"):
        return False
    return all(sheet.first(skip + i) == str(int(start) + i) for i in range(num))


def _check_decimals(sheet: Sheet) -> None:
    """Raise `InputError` where 0,5 may be one number or two: nothing else tells them apart."""
    width = len(sheet.fields(0))
    if sheet.delimiter != "," or width % 2:
        return
    for i in range(len(sheet.lines)):
        fields = sheet.fields(i)
        if not (
            all(map(_SIGNED.fullmatch, fields[::2])) and all(map(_WHOLE.fullmatch, fields[1::2]))
        ):
            return
    line = _short(sheet.lines[0].strip())
    raise InputError(
        f"{sheet.name}: {line} may be {width} whole numbers or {width // 2} with "
        f"decimal commas: write 1.0 for 1, put a line of names on top, or say "
        f"{sheet.block}.columns=[{_listed([str(i) for i in range(width)], 8)}]"
    )


def _numbers(sheet: Sheet, chosen: list[int], names: list[str], skip: int) -> np.ndarray:
    """The numbers `[S, d]` of the chosen columns, each the double nearest to what is written."""
    import pandas as pd  # a third of a second that few need to spend

    spaces = sheet.delimiter == " "
    text = "\n".join(["", *sheet.lines[skip:]])
    try:
        frame = pd.read_csv(
            io.StringIO(text),
            sep=r"\s+" if spaces else sheet.delimiter,
            header=None,
            usecols=chosen,
            dtype=np.float64,
            quoting=csv.QUOTE_NONE if spaces else csv.QUOTE_MINIMAL,
        )
        x = frame.to_numpy()[:, np.argsort(np.argsort(chosen))]  # pandas keeps the file's order
    except (ValueError, OverflowError):
        x = np.zeros((0, 0))
    good = x.shape == (len(sheet.lines) - skip, len(chosen)) and np.all(np.isfinite(x))
    # pandas takes True for 1.
    if not good or text.encode().translate(None, _PLAIN) or _MAYBE_PADDED.search(text):
        _refuse_first(sheet, chosen, names, skip)
    if not good:
        raise InputError(f"{sheet.name} is no table of numbers")
    return x


def _refuse_first(sheet: Sheet, chosen: list[int], names: list[str], skip: int) -> None:
    """Raise `InputError` for the first field, row by row, that is no finite number."""
    for i in range(skip, len(sheet.lines)):
        fields = sheet.fields(i)
        for j in chosen:
            reason = _fault(fields[j])
            if reason:
                raise InputError(
                    f"{sheet.name}: row {i - skip + 1} (line {sheet.numbers[i]}), column "
                    f"{_short(names[j])}: {reason}"
                )


def _fault(field: str) -> str:
    """What keeps a field from being a finite number, in words; empty when nothing does."""
    shown = _short(field)
    if not field:
        return "there is no number"
    if not is_number(field):
        marked = re.search(r"[,;\s]", field)
        hint = ": numbers take a decimal point, and the file's ending says what separates fields"
        return f"{shown!r} is no real number{hint if marked else ''}"
    if not np.isfinite(float(field)):
        return f"numbers must be finite, got {shown}"
    if _PADDED.fullmatch(field):
        return f"{shown} looks like what stands behind a decimal comma: write a decimal point"
    return ""
