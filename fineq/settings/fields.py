"""Typed configuration fields: help, unit, range, and one clear sentence for a value outside it.

A configuration is a tree of dataclasses. Each field made here carries what `--help` prints, what
`validate` checks, and whether it is a *shape* (it changes array shapes or the program, so a sweep
compiles once per value) or a plain number that a sweep lays along a batch axis.
"""

import copy
import dataclasses
import difflib
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

from fineq.errors import InputError
from fineq.settings.values import Spec, check_value, shortened


def number(default: float | None, help: str, *, unit: str = "", **limits: Any) -> Any:
    """A real number that a sweep lays along a batch axis (one compiled program)."""
    return _field(default, Spec(help, unit, optional=default is None, **limits))


def count(default: int | None, help: str, *, minimum: int = 1, **limits: Any) -> Any:
    """An integer that fixes shapes or the program: a sweep compiles once per value."""
    optional = default is None
    spec = Spec(help, minimum=minimum, shape=True, optional=optional, whole=True, **limits)
    return _field(default, spec)


def choice(default: str, help: str, choices: tuple[str, ...]) -> Any:
    """One of a few words."""
    return _field(default, Spec(help, choices=choices, shape=True))


def text(default: str | None, help: str) -> Any:
    """A path, a name, or a `module:function`."""
    return _field(default, Spec(help, shape=True, optional=default is None))


def flag(default: bool | None, help: str) -> Any:
    """Yes or no; or, where the default is None, as the rule in the help says."""
    return _field(default, Spec(help, shape=True, optional=default is None))


def numbers(
    default: list, help: str, *, depths: tuple[int, ...] = (1,), whole: bool = False, **limits: Any
) -> Any:
    """A list of numbers, each within the limits; its length is a shape.

    Args:
        default: what it holds.
        help: its meaning.
        depths: how deep it may be nested, as `Spec.depths`.
        whole: whether its numbers are whole.
        limits: of each number, as in `Spec`.
    """
    spec = Spec(help, shape=True, depths=depths, whole=whole, **limits)
    return _list_field(default, spec)


def words(default: list, help: str, choices: tuple[str, ...]) -> Any:
    """A list of some of a few words."""
    return _list_field(default, Spec(help, choices=choices, shape=True, depths=(1,)))


def _list_field(default: list, spec: Spec) -> Any:
    return dataclasses.field(default_factory=lambda: list(default), metadata={"spec": spec})


def names(help: str) -> Any:
    """A list of names or positions, empty by default."""
    return _list_field([], Spec(help, shape=True, depths=(1,), named=True))


def group(factory: Any, help: str) -> Any:
    """A nested block of fields."""
    return dataclasses.field(default_factory=factory, metadata={"spec": Spec(help, shape=True)})


def _field(default: Any, spec: Spec) -> Any:
    return dataclasses.field(default=default, metadata={"spec": spec})


class Leaf(NamedTuple):
    """One field of a configuration tree with its dotted path."""

    path: str
    value: Any
    spec: Spec
    annotation: Any


def leaves(config: Any, prefix: str = "") -> Iterator[Leaf]:
    """Every field of a configuration tree, depth first, in order of declaration."""
    for field in dataclasses.fields(config):
        path = prefix + field.name
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from leaves(value, path + ".")
        elif "spec" in field.metadata:
            yield Leaf(path, value, field.metadata["spec"], field.type)


def is_numeric(leaf: Leaf) -> bool:
    """Whether it is a number, of which an axis has several."""
    name = str(leaf.annotation)
    return ("float" in name or "int" in name) and "list" not in name and "bool" not in name


def validate(config: Any) -> None:
    """Raise `InputError` for the first value outside its range, then apply `check` methods."""
    for leaf in leaves(config):
        check_value(leaf.path, leaf.value, leaf.spec)
    for block in _blocks(config):
        if hasattr(block, "check"):
            block.check()


def _blocks(config: Any) -> Iterator[Any]:
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from _blocks(value)
    yield config


def replace_at(config: Any, values: dict[str, Any]) -> Any:
    """Return a copy of the tree with the fields at the dotted paths replaced.

    Values may be traced arrays: nothing is validated, so validate concrete values beforehand.
    """
    result = copy.copy(config)
    heads: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        head, _, tail = path.partition(".")
        if tail:
            heads.setdefault(head, {})[tail] = value
        else:
            object.__setattr__(result, head, value)
    for head, inner in heads.items():
        object.__setattr__(result, head, replace_at(getattr(result, head), inner))
    return result


def sweep_axes(config: Any, sweep: dict[str, Any]) -> dict[str, tuple[list, bool]]:
    """Check the axes of a sweep against the real fields of `config`.

    Args:
        config: the configuration tree whose fields may be swept.
        sweep: nested mapping, for example `{"system": {"lipschitz": [1, 2]}}`.

    Returns:
        Dotted path to (values, whether the field is a shape and compiles once per value).

    Raises:
        InputError: for an unknown or non-numeric field, an empty list, a repeated or
            out-of-range value.
    """
    known = {leaf.path: leaf for leaf in leaves(config)}
    return {path: _axis(path, values, known) for path, values in flatten(sweep).items()}


def validate_members(config: Any) -> None:
    """Apply `validate` to every combination of the values of a configuration's axes.

    Raises:
        InputError: as `validate` and `sweep_axes`.
    """
    axes = sweep_axes(config, config.sweep)
    for values in product(*(values for values, _ in axes.values())):
        validate(replace_at(config, dict(zip(axes, values, strict=True))))


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one mapping from dotted paths to values.

    Raises:
        InputError: for a path that stands there twice, nested and with dots.
    """
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        path = f"{prefix}{name}"
        found = flatten(value, f"{path}.") if isinstance(value, dict) else {path: value}
        if twice := sorted(flat.keys() & found.keys()):
            raise InputError(f"{twice[0]} is given twice: drop one of them")
        flat |= found
    return flat


def _axis(path: str, values: Any, known: dict[str, Leaf]) -> tuple[list, bool]:
    numeric = {p for p, leaf in known.items() if is_numeric(leaf)}
    if path not in numeric:
        close = difflib.get_close_matches(path, numeric, 1)
        reason = "is not a numeric field" if path in known else "is not a field"
        hint = f"; did you mean sweep.{close[0]}?" if close else ""
        raise InputError(f"sweep.{path}: {path} {reason} of this configuration{hint}")
    if not isinstance(values, list | tuple) or not values:
        raise InputError(
            f"sweep.{path} must be a non-empty list such as [1,2,3], got {shortened(values)}"
        )
    spec = known[path].spec
    check_value(f"sweep.{path}", values, spec._replace(optional=False, depths=(1,)))
    if len(set(values)) != len(values):
        raise InputError(f"sweep.{path} repeats a value: {shortened(values)}")
    return [int(v) if spec.whole else float(v) for v in values], spec.shape
