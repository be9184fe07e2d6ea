"""One word of a command line, `field=value`: its grammar is Hydra's, its names are checked here."""

import difflib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from fineq.errors import InputError
from fineq.settings.fields import flatten, leaves
from fineq.settings.values import shortened
from fineq.shell.experiments import names as experiment_names
from fineq.shell.places import CONFIGS
from fineq.studies.area import AREAS, Area, area_of

OF_HYDRA = re.compile(r"hydra[./]")
# A saved configuration says what is computed; these say what one command does with it.
OF_A_COMMAND = ("force", "strict", "quiet", "output", "track")
# A text that needs no quotes, for it can be read as nothing else.
_BARE = re.compile(r"(?!(?i:true|false|null|inf|nan)$)[a-zA-Z_][\w./:-]*", re.ASCII)


class Word(NamedTuple):
    """A word taken apart.

    Attributes:
        text: as Hydra is given it.
        key: a field, a choice of a file such as `experiment`, or something of Hydra's.
        value: plain; of a choice, the name of the file.
        fields: what it sets, by dotted path; a choice sets the field that its file names.
        several: it holds several values, for one run each.
        file: it chooses a file.
    """

    text: str
    key: str
    value: Any
    fields: dict[str, Any]
    several: bool
    file: bool


def read_words(area: Area, texts: Sequence[str], *, many: bool = False) -> list[Word]:
    """Take words apart and check their names.

    Args:
        area: whose fields they set.
        texts: `field=value`, with or without `++` before axes.
        many: whether words may hold several values, and speak to Hydra.

    Raises:
        InputError: for a word that cannot be read, a name that is unknown, a field given twice, or
            several values where one is asked for.
    """
    return _once([_read(area, text, many) for text in texts])


def words_of(area: Area, fields: Mapping[str, Any]) -> list[Word]:
    """What a program sets, as words.

    Args:
        area: whose fields they are.
        fields: plain values by the names that stand before `=` on a command line.

    Raises:
        InputError: for a name that is unknown, and a field given twice.
    """
    words = []
    for name, value in fields.items():
        if name in groups(area):
            words.append(_choice(area, f"{name}={value}", name, value))
        else:
            nested = flatten({name: value})
            words.append(Word(name, name, value, _checked(area, nested), False, False))
    return _once(words)


def told(words: Sequence[Word]) -> list[str]:
    """What words say of what is computed, as they stand on a command line.

    Those of `OF_A_COMMAND` are left out.
    """
    return [f"{word.key}={as_typed(word.value)}" for word in words if word.key not in OF_A_COMMAND]


def as_typed(value: Any) -> str:
    """A value in the grammar of a command line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{','.join(map(as_typed, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{as_typed(item)}" for key, item in value.items()) + "}"
    if not isinstance(value, str):
        return repr(value)
    return value if _BARE.fullmatch(value) else _quoted(value)


def _quoted(text: str) -> str:
    """In quotes; backslashes stand for themselves, but for those before a quote."""
    inner = re.sub(r"(\\*)(?='|$)", lambda found: found[1] * 2, text).replace("'", "\\'")
    return f"'{inner}'"


def _once(words: list[Word]) -> list[Word]:
    """The words, of which no two set the same field."""
    seen: set[str] = set()
    for word in words:
        for path in (word.key, *word.fields) if word.file else word.fields or (word.key,):
            if path in seen:
                raise InputError(f"{path} is given twice: drop one of them")
            seen.add(path)
    return words


def _read(area: Area, text: str, many: bool) -> Word:
    text = _plain(text)
    found = _parsed(text)
    key, several = found.key_or_group, found.is_sweep_override()
    if OF_HYDRA.match(key):
        if not many:
            raise InputError(f"{key} is Hydra's, and has an effect with -m alone")
        return Word(text, key, None, {}, several, False)
    if several and (not many or key.startswith("sweep.")):
        raise InputError(_about_several(area, key, text.partition("=")[2], found))
    if key in groups(area):
        if several:
            for value in _values(found):
                _choice(area, text, key, value)
            return Word(text, key, None, {}, True, True)
        return _choice(area, text, key, found.value())
    value = None if several else found.value()
    fields = flatten({key: value}) if isinstance(value, dict) else {key: value}
    for path in fields:
        _check_name(area, path)
    if not fields:
        raise InputError(f"{key} must be given, got {{}}")
    shown = f"++{text}" if key.startswith("sweep.") else text
    return Word(shown, key, value, fields, several, False)


def _plain(text: str) -> str:
    """The word without the `+` that may stand before axes."""
    name, sign, value = text.partition("=")
    if name.startswith("~"):
        raise InputError(f"{text!r}: a field cannot be deleted, only set")
    if name.startswith("+") and not re.match(r"\+{1,2}sweep\.", name):
        raise InputError(
            f"{name.lstrip('+')!r} cannot be added with '+'; --help lists the fields there are"
        )
    return name.lstrip("+") + sign + value


def _parsed(text: str) -> Any:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    name, _, value = text.partition("=")
    if not re.fullmatch(r"[\w./-]+", name, re.ASCII):
        raise InputError(f"{name!r} is not a field; --help lists the fields there are")
    try:
        found = OverridesParser.create().parse_override(text)
    # Beside its own errors: numbers too long to convert, and brackets nested too deep.
    except (HydraException, ValueError, RecursionError):
        raise InputError(
            f"the command line cannot be read at {name}={shortened(value)}: lists are [a,b]; text "
            f"with more than letters, digits and /-_.: stands in quotes, as in \"{name}='...'\""
        ) from None
    _refuse_several_inside(text, found.value())
    return found


def _refuse_several_inside(text: str, value: Any) -> None:
    """Raise `InputError` where what stands for several values stands among others."""
    from hydra.core.override_parser.types import ChoiceSweep, Glob, Sweep

    if isinstance(value, ChoiceSweep):
        value = value.list
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        if isinstance(part, Sweep | Glob):
            name, _, given = text.partition("=")
            raise InputError(
                f"the command line cannot be read at {name}={shortened(given)}: what stands for "
                "several values, such as range(1,3), cannot stand among others"
            )
        _refuse_several_inside(text, part)


def _values(found: Any) -> list[Any]:
    """The values of a comma list; none of a glob, which Hydra looks up."""
    from hydra.core.override_parser.types import ValueType

    if found.value_type not in (ValueType.SIMPLE_CHOICE_SWEEP, ValueType.CHOICE_SWEEP):
        return []
    return [getattr(value, "text", value) for value in found.sweep_iterator()]


def num_values(word: Word) -> int | None:
    """How many values a word holds; None of what Hydra looks up or draws."""
    from hydra.core.override_parser.types import ValueType

    if not word.several:
        return 1
    found = _parsed(word.text)
    if found.value_type in (ValueType.GLOB_CHOICE_SWEEP, ValueType.INTERVAL_SWEEP):
        return None
    return len(list(found.sweep_iterator()))


def _about_several(area: Area, key: str, values: str, found: Any) -> str:
    field = key.removeprefix("sweep.")
    items = _values(found)
    if field != key and any(isinstance(item, list) for item in items):
        first = next(item for item in items if isinstance(item, list))
        return (
            f"{key}={values} holds several axes: give one, such as {key}="
            f"[{','.join(map(str, first))}], and run the command once for each"
        )
    if field != key and not items:
        return f"{key}={values}: write {key}=[a,b,...] for an axis, or -m {field}={values}"
    if field != key:
        return f"{key}={values}: write {key}=[{values}] for an axis, or -m {field}={values}"
    listed = any(leaf.path == key and leaf.spec.depths for leaf in leaves(area.config_type()))
    if listed and not any(isinstance(item, list) for item in items):
        return f"{key}={values}: write {key}=[{values}]"
    return f"{key}={values} holds several values: -m makes one run of each"


@cache
def _names_of_groups(area: str) -> tuple[str, ...]:
    import yaml

    listed = yaml.safe_load((CONFIGS / f"{area}.yaml").read_text())["defaults"]
    names = [name for entry in listed if isinstance(entry, dict) for name in entry]
    return tuple(name for name in names if (CONFIGS / name).is_dir())


def groups(area: Area) -> tuple[str, ...]:
    """The choices of a file there are: `experiment`, and what else the area's defaults name."""
    return _names_of_groups(area.name)


def files_of(word: Word) -> list[str]:
    """The words for Hydra of a choice: none where nothing is chosen."""
    return [] if word.file and not word.several and word.value is None else [word.text]


def _choice(area: Area, text: str, key: str, value: Any) -> Word:
    """A word such as `experiment=nlqr/global` or `system=file`."""
    import yaml

    if isinstance(value, dict):  # the block itself
        return Word(text, key, value, _checked(area, flatten({key: value})), False, False)
    if key == "experiment":
        if value is None:
            return Word(text, key, None, {}, False, True)
        known = experiment_names(area)
        if str(value) not in known:
            raise InputError(_no_experiment(area, str(value), known))
        return Word(text, key, value, {}, False, True)
    known = sorted(path.stem for path in (CONFIGS / key).glob("*.yaml"))
    if not isinstance(value, str) or value not in known:
        shown = "null" if value is None else value
        raise InputError(f"{key}/{shown} was not found; allowed: {', '.join(known)}")
    content = yaml.safe_load((CONFIGS / key / f"{value}.yaml").read_text())
    simple = "defaults" not in content and key not in content
    return Word(text, key, value, flatten({key: content}) if simple else {}, False, True)


def _no_experiment(area: Area, value: str, known: list[str]) -> str:
    other, _, _ = value.partition("/")
    if other != area.name and (CONFIGS / "experiment" / f"{value}.yaml").is_file():
        return f"experiment={value} is one of {other}, not of {area.name}: fineq run {value}"
    close = _by_last(value, known)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    return f"experiment/{value} was not found; {hint}allowed: {', '.join(known)}"


def _checked(area: Area, fields: dict[str, Any]) -> dict[str, Any]:
    for path in fields:
        _check_name(area, path)
    return fields


def _check_name(area: Area, path: str) -> None:
    if path == "sweep" or path.startswith("sweep."):
        return  # `fineq.settings.fields.sweep_axes` knows them
    check_field(area, path)


def check_field(area: Area, path: str) -> None:
    """Raise `InputError` unless the area has the field; the sentence names what may be meant."""
    known = [leaf.path for leaf in leaves(area.config_type())]
    if path not in known:
        raise InputError(f"{path} is not a field{_meant(area, path, known)}")


def _meant(area: Area, path: str, known: list[str]) -> str:
    others = [name for name in AREAS if name != area.name and path in _paths(name)]
    if others:
        return f" of {area.name}: it is one of {others[0]}"
    inside = [name for name in known if name.startswith(path + ".")]
    if inside:
        return f" but a block of them, such as {inside[0]}"
    same = [name for name in known if name.endswith("." + path)]
    close = same or difflib.get_close_matches(path, known, 3) or _by_last(path, known)
    if close:
        return f"; did you mean {' or '.join(close[:3])}?"
    return "; --help lists the fields there are"


def _by_last(path: str, known: list[str]) -> list[str]:
    """Names whose last part is near that of `path`."""
    parts = {name.replace("/", ".").rpartition(".")[2]: name for name in known}
    last = path.replace("/", ".").rpartition(".")[2]
    return [parts[name] for name in difflib.get_close_matches(last, parts, 3, 0.7)]


@cache
def _paths(area: str) -> frozenset[str]:
    return frozenset(leaf.path for leaf in leaves(area_of(area).config_type()))
