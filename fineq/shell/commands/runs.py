"""`fineq runs`: an index of the runs there are."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from fineq.errors import EXIT_DONE, InputError
from fineq.runs.summary import STATUSES
from fineq.settings.fields import flatten, is_numeric, leaves
from fineq.shell.commands.found import OUTPUT, SHOWN, Entry, entries, of_study, studies
from fineq.shell.commands.list import terminal_width
from fineq.shell.commands.words import read
from fineq.shell.streams import visible
from fineq.studies.area import AREAS, area_of

STATES = (*STATUSES, "older", "unfinished", "damaged")
USAGE = """\
usage: fineq runs [output=DIR] [filter=value ...]

The runs below ./outputs, or output=DIR, the newest last: the first digits of
the hash by which fineq show, compare and redraw know a run, its study, status,
when it ended, minutes that it took, and below it what was said of it beside
the defaults.

filters: area=nlqr, study=landscape or study=nlqr/landscape, name=, and any
field, such as seeds=16 or system.lipschitz=0.3; of a field that was swept
'sweep.system.lipschitz=[1,2,3]' is its axis, and sweep.system.lipschitz=2 any
axis that holds the number; status= is one of
  {statuses}
""".format(statuses=", ".join(STATES))
FILTERS = ("area", "study", "status", "name")
# Of all areas; known before anything is asked, for completion.
_LEAVES = [leaf for area in AREAS for leaf in leaves(area_of(area).config_type())]
_AXES = [f"sweep.{leaf.path}" for leaf in _LEAVES if is_numeric(leaf)]
FIELDS = tuple(dict.fromkeys(("output", *FILTERS, *(leaf.path for leaf in _LEAVES), *_AXES)))
VALUES = {
    "area": AREAS,
    "status": STATES,
    "study": studies(),
}


def main(words: Sequence[str]) -> int:
    """Print the index."""
    given = read("runs", words, fields=FIELDS)
    if given.help:
        print(USAGE, end="")
        return EXIT_DONE
    output = given.fields.pop("output", OUTPUT)
    found = entries(output)
    kept = filtered(found, given.fields)
    if kept:
        print("\n".join(lines_of(kept, terminal_width())))
    elif found:
        asked = " and ".join(f"{name}={value}" for name, value in given.fields.items())
        print(f"none of the {len(found)} runs in {output} has {asked}")
    else:
        print(f"no runs in {output} yet; fineq run nlqr/demo makes one")
    return EXIT_DONE


def filtered(found: Sequence[Entry], filters: Mapping[str, str]) -> list[Entry]:
    """The entries that all filters let pass.

    Raises:
        InputError: for a status that there is not.
    """
    kept = list(found)
    for name, value in filters.items():
        if name == "status" and value not in STATES:
            raise InputError(f"status must be one of {', '.join(STATES)}, got {value}")
        if name == "study" and "/" in value:
            kept = of_study(value, kept)
        else:
            kept = [entry for entry in kept if _passes(entry, name, value)]
    return kept


def _passes(entry: Entry, name: str, value: str) -> bool:
    about = {"status": entry.run.state, "area": entry.run.area, "name": entry.run.name}
    if name == "study":
        return value in (entry.run.study, entry.study.partition("/")[2])
    if name in about:
        return about[name] == value
    import yaml

    try:
        wanted: Any = yaml.safe_load(value)
    except yaml.YAMLError:
        wanted = value
    known = flatten(dict(entry.config))
    if name.startswith("sweep."):
        axis = known.get(name, [])
        return _alike(axis, wanted) or any(_alike(value, wanted) for value in axis)
    # Of a field that is swept the configuration's own value was not computed.
    return name in known and f"sweep.{name}" not in known and _alike(known[name], wanted)


def _alike(known: Any, wanted: Any) -> bool:
    """Whether a filter means a value; YAML takes `1e-3` for text."""
    if isinstance(known, list) and isinstance(wanted, list):
        return len(known) == len(wanted) and all(map(_alike, known, wanted))
    if isinstance(known, int | float) and isinstance(wanted, str):
        try:
            return float(wanted) == known
        except ValueError:
            return False
    return known == wanted


def lines_of(found: Sequence[Entry], width: int | None) -> list[str]:
    """The index, a line or two for each run; what is said of one is cut to `width` columns."""
    rows = [("run", "study", "status", "when", "minutes"), *map(_row, found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row, entry in zip(rows, (None, *found), strict=True):
        *left, minutes = map(str.ljust, row, widths)
        lines.append("  ".join((*left, minutes.strip().rjust(widths[-1]))).rstrip())
        if entry and (said := visible(_said(entry))):
            lines.append(_cut(f"{'':{SHOWN}}  {said}", width))
    return lines


def _row(entry: Entry) -> tuple[str, ...]:
    minutes = "" if entry.seconds is None else f"{entry.seconds / 60:.1f}"
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.when))
    status = entry.run.state.replace("_", " ")
    return (visible(entry.run.hash[:SHOWN]), visible(entry.study), status, when, minutes)


def _said(entry: Entry) -> str:
    """The words of its command line beside the experiment's name; else the run's own name."""
    if not entry.words:
        return "" if entry.run.name == "run" else f"name={entry.run.name}"
    return " ".join(word for word in entry.words if not word.startswith("experiment="))


def _cut(text: str, width: int | None) -> str:
    return text if width is None or len(text) <= width else text[: width - 1] + "…"
