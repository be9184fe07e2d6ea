"""What a value of a configuration field may be, and one clear sentence for what it may not."""

import math
from typing import Any, NamedTuple

from fineq.errors import InputError

LONGEST = 80  # letters of a value in a sentence
MOST = 2**31 - 1  # of whole numbers, wherever a field says nothing of its own
LISTED = {1: "a list of {}", 2: "a list of rows of {}", 3: "a list of matrices of {}"}


class Spec(NamedTuple):
    """What is known of one field: shown by `--help`, enforced by `validate`.

    Attributes:
        help: its meaning.
        unit: in which it is given.
        minimum: least value; of a list, of each number in it, as are the other limits.
        maximum: largest value.
        above: what it must exceed.
        below: what it must stay under.
        choices: the words there are.
        shape: whether it fixes array shapes or the program.
        optional: whether it may be null.
        whole: whether it is a whole number, or a list of them.
        named: whether a list holds names or positions.
        depths: how deep lists may be nested: 1 a list, 2 rows, 3 matrices; empty: no list.
    """

    help: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    shape: bool = False
    optional: bool = False
    whole: bool = False
    named: bool = False
    depths: tuple[int, ...] = ()

    def allowed(self) -> str:
        """The permitted values in words."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        parts = [
            f"at least {self.minimum:g}" if self.minimum is not None else "",
            f"above {self.above:g}" if self.above is not None else "",
            f"at most {self.maximum:g}" if self.maximum is not None else "",
            f"below {self.below:g}" if self.below is not None else "",
        ]
        return " and ".join(part for part in parts if part)

    def example(self) -> str:
        """A list as it is written, of the depth and with the kind of content that is permitted."""
        items = self.choices[:2] or (("a", "b") if self.named else ("1", "2"))
        depth = min(self.depths)
        return "[" * depth + ",".join(items) + "]" * depth


def shortened(value: Any) -> str:
    """The value as a sentence shows it: in one line that is not too long."""
    text = " ".join(str(value).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def check_value(path: str, value: Any, spec: Spec) -> None:
    """Raise `InputError` when `value` is not what the field at `path` allows."""
    if value is None:
        if not spec.optional:
            raise InputError(f"{path} must be given")
    elif spec.depths:
        _check_list(path, value, spec)
    else:
        _check_item(path, value, spec)


def _check_list(path: str, value: Any, spec: Spec) -> None:
    """Elements of the right kind, each within the limits, in rows of equal length."""
    if not isinstance(value, list | tuple):
        raise InputError(f"{path} must be {_kind(spec)}, got {shortened(repr(value))}")
    level, depth = list(value), 1
    while any(isinstance(item, list | tuple) for item in level):
        if depth == max(spec.depths) or not all(isinstance(item, list | tuple) for item in level):
            break
        lengths = sorted({len(row) for row in level})
        if len(lengths) > 1 or not lengths[0]:
            found = " and ".join(map(str, lengths))
            raise InputError(f"{path} must hold rows of one length above 0, got {found}")
        level, depth = [item for row in level for item in row], depth + 1
    for item in level:
        if not _is_of(item, spec):
            raise InputError(
                f"{path} must be {_kind(spec)}, got {shortened(repr(item))} among them"
            )
        _check_item(path, item, spec)
    if value and depth not in spec.depths:
        raise InputError(f"{path} must be {_kind(spec)}, got {shortened(value)}")


def _kind(spec: Spec) -> str:
    content = "words" if spec.choices else "whole numbers" if spec.whole else "numbers"
    content = "names or positions" if spec.named else content
    return " or ".join(LISTED[depth].format(content) for depth in spec.depths)


def _is_of(item: Any, spec: Spec) -> bool:
    if isinstance(item, str):
        return bool(spec.choices) or spec.named
    if spec.choices or isinstance(item, bool) or not isinstance(item, int | float):
        return False
    return isinstance(item, int) or not (spec.whole or spec.named)


def _check_item(path: str, value: Any, spec: Spec) -> None:
    if spec.whole and isinstance(value, int) and value > MOST:
        raise InputError(f"{path} must be at most {MOST}, got {shortened(value)}")
    if not _inside(value, spec):
        raise InputError(
            f"{path} must be {spec.allowed() or 'a finite number'}, got {shortened(value)}"
        )


def _inside(value: Any, spec: Spec) -> bool:
    if spec.choices:
        return value in spec.choices
    if isinstance(value, bool | str) or not isinstance(value, int | float):
        return True
    return (
        _is_finite(value)
        and (spec.minimum is None or value >= spec.minimum)
        and (spec.maximum is None or value <= spec.maximum)
        and (spec.above is None or value > spec.above)
        and (spec.below is None or value < spec.below)
    )


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond every float
        return False
