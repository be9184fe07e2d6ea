"""Which fields a run reads, as a table: what was given and is not read is refused by name.

An area declares, field by field, under which choices a field has an effect; a field in no entry has
one always. Entries that name the same field must all agree.

An axis lies over a plain number that is read, and over a field that fixes shapes, such as `seeds`,
only where the table names `sweep.FIELD` in full. What the table says of `sweep.FIELD` is asked of
an axis beside what is asked of the field: there is none where a study reads the field once for all
its members.
"""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple, TypeVar

from fineq.errors import InputError
from fineq.settings.config import RunConfig
from fineq.settings.fields import flatten, leaves, replace_at
from fineq.settings.values import shortened

ConfigT = TypeVar("ConfigT", bound=RunConfig)


class Need(NamedTuple):
    """What is asked of a field: a test, and its words, in which `{}` stands for the field."""

    holds: Callable[[Any], bool]
    words: str


Case = tuple[tuple[str, Need], ...]  # paths with what is asked of them


class Effect(NamedTuple):
    """When fields are read.

    Attributes:
        patterns: dotted paths, with the wildcards of a shell.
        cases: alternatives, each of which asks something of several fields; none: never.
    """

    patterns: tuple[str, ...]
    cases: tuple[Case, ...]


def effect(patterns: str, *cases: Mapping[str, Any]) -> Effect:
    """An entry of the table.

    Args:
        patterns: paths, with spaces between them.
        cases: what other fields must be, by path: a `Need`, a value, or a tuple of values. An axis
            over a field is asked for as `sweep.FIELD`, whose value is null where there is none.
    """
    return Effect(
        tuple(patterns.split()),
        tuple(tuple((path, _need(asked)) for path, asked in case.items()) for case in cases),
    )


def _need(asked: Any) -> Need:
    if isinstance(asked, Need):
        return asked
    values = asked if isinstance(asked, tuple) else (asked,)
    return Need(lambda value: value in values, "{}=" + _listed(values))


def but(*values: str) -> Need:
    """Any other value."""
    return Need(lambda value: value not in values, "{} other than " + _listed(values))


def at_most(most: float) -> Need:
    """A number that is not larger."""
    return Need(lambda value: value <= most, f"{{}} of at most {most:g}")


def holding(*words: str) -> Need:
    """A list with one of the words in it."""
    return Need(lambda values: not set(words).isdisjoint(values), "{} with " + _listed(words))


GIVEN = Need(lambda value: value is not None and value != [], "{}=...")
EMPTY = Need(lambda value: not GIVEN.holds(value), "no {}")
COMMON = (effect("sweep.save_every sweep.block_size"),)


def settle(
    config: ConfigT,
    effects: Sequence[Effect],
    given: Mapping[str, str],
    idle: Container[str] = (),
) -> ConfigT:
    """The configuration with defaults in fields that have no effect, unless they were given.

    Files for a choice (a setting, an experiment) may fill in what another choice leaves unread;
    at its default it does not make two runs of one.

    Args:
        config: validated.
        effects: the table of the area.
        given: path of what the user gave, `sweep.FIELD` for an axis, to the file it stands in;
            empty for the command line.
        idle: those of `given` that change nothing: to give one that has no effect is a mistake at
            its default as well.

    Raises:
        InputError: for the first of `given` that has no effect, and is not at its default or is
            `idle`.
    """
    effects = (*COMMON, *effects)
    axes = flatten(config.sweep)
    shapes = {leaf.path for leaf in leaves(config) if leaf.spec.shape}
    usual = {leaf.path: leaf.value for leaf in leaves(type(config)())}
    values = {leaf.path: leaf.value for leaf in leaves(config)}
    known = {**values, **{f"sweep.{path}": axis for path, axis in axes.items()}}
    changes: dict[str, Any] = {}
    for path, value in values.items():
        if value == usual[path] and path not in idle:
            continue
        if given.get(path) == "" and path in axes and not _beside(path, effects, known):
            raise InputError(f"{path} is given twice, as a value and as an axis: drop one of them")
        why = unread(path, effects, known)
        if why is None:
            continue
        if path in given:
            raise InputError(_sentence(path, (value, usual[path]), why, known, given[path]))
        changes[path] = usual[path]
    for path in axes:
        if _is_axis(path, path in shapes, effects, known):
            continue
        if f"sweep.{path}" in given:
            raise InputError(_of_axis(path, effects, known))
        changes["sweep"] = {p: axes[p] for p in changes.get("sweep", axes) if p != path}
    return replace_at(config, changes)


def unread(path: str, effects: Iterable[Effect], known: Mapping[str, Any]) -> list[Case] | None:
    """What would have to be for the field to be read, in the cases that lack least; None if it is.

    Args:
        path: of the field, `sweep.FIELD` for what is asked of an axis beside it.
        effects: the table.
        known: path to value, axes among them.
    """
    for entry in effects:
        if any(fnmatchcase(path, pattern) for pattern in entry.patterns):
            lacking = [_lacking(case, known) for case in entry.cases]
            if not all(lacking):
                continue
            fewest = min(map(len, lacking), default=0)
            return [case for case in lacking if len(case) == fewest]
    return None


def _lacking(case: Case, known: Mapping[str, Any]) -> Case:
    return tuple((path, need) for path, need in case if not need.holds(known.get(path)))


def _is_axis(path: str, shape: bool, effects: Sequence[Effect], known: Mapping[str, Any]) -> bool:
    """Whether an axis over the field at `path`, which may fix shapes, has an effect."""
    named = any(f"sweep.{path}" in entry.patterns for entry in effects)
    read = all(unread(name, effects, known) is None for name in (path, f"sweep.{path}"))
    return read and (named or not shape)


def _beside(path: str, effects: Iterable[Effect], known: Mapping[str, Any]) -> bool:
    """Whether the table has the field's own value read beside an axis over it."""
    name = f"beside.{path}"
    own = [entry for entry in effects if any(fnmatchcase(name, p) for p in entry.patterns)]
    return bool(own) and unread(name, own, known) is None


def _sentence(
    path: str, values: tuple[Any, Any], why: list[Case], known: Mapping[str, Any], file: str
) -> str:
    value, usual = map(_written, values)
    where = f"{path}={value} in {file}" if file else path
    drop = f"give {path}={usual}" if file else "drop it"
    return f"{where} has no effect when {_here(why, known)}: {drop}, or take {_taken(why)}"


def _of_axis(path: str, effects: Sequence[Effect], known: Mapping[str, Any]) -> str:
    if why := unread(path, effects, known):
        here, taken = _here(why, known), _taken(why)
        return f"sweep.{path} has no effect when {here}: drop it, or take {taken}"
    if any(f"sweep.{path}" in entry.patterns for entry in COMMON):
        return f"sweep.{path} has no effect: {path} changes no result"
    return f"sweep.{path} is no axis of {known['study']}: -m {path}=... makes one run per value"


def _here(why: list[Case], known: Mapping[str, Any]) -> str:
    paths = dict.fromkeys(path for case in why for path, _ in case)
    return " and ".join(_is(path, known.get(path)) for path in paths)


def _is(path: str, value: Any) -> str:
    if isinstance(value, list) or path.startswith("sweep."):
        return f"{path} is given" if GIVEN.holds(value) else f"{path} is not given"
    return f"{path}={_written(value)}"


def _taken(why: list[Case]) -> str:
    cases = [" and ".join(need.words.format(path) for path, need in case) for case in why]
    return ", or ".join(cases)


def _listed(values: Sequence[Any]) -> str:
    *first, last = map(_written, values)
    return f"{', '.join(first)} or {last}" if first else last


def _written(value: Any) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else shortened(value)
