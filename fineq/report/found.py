"""What a page shows of runs: each read, its figures drawn, and forgotten before the next."""

import dataclasses
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fineq.claims import Claim
from fineq.errors import InputError
from fineq.figures import Figure
from fineq.report.choices import Choice, choices, marks
from fineq.report.elements import Markup
from fineq.report.mathtext import plain
from fineq.report.vector import inline
from fineq.runs import LoadedRun, find, to_dataset
from fineq.runs.compare import counted
from fineq.runs.data import DamagedError
from fineq.runs.drawing import vector
from fineq.runs.folders import FoundRun, command_of, read_config
from fineq.runs.overall import read_outcomes
from fineq.runs.summary import FINISHED, NAME

if TYPE_CHECKING:
    import xarray


class Picture(NamedTuple):
    """A figure of a run.

    Attributes:
        key: of the figure, the fragment by which it is linked.
        figure: its description.
        drawing: the SVG; None where it could not be drawn.
        choices: what may be chosen in it.
        names: of the dimensions of the choices, in words.
        why: it could not be drawn.
    """

    key: str
    figure: Figure
    drawing: Markup | None
    choices: Sequence[Choice] = ()
    names: Sequence[str] = ()
    why: str = ""


class Shown(NamedTuple):
    """A run with results.

    Attributes:
        key: the fragment by which it is linked.
        path: of its folder, seen from where the folder of all runs lies.
        run: what was loaded, less its data.
        claims: what it says of claims.
        pictures: its figures.
        command: that runs it.
    """

    key: str
    path: str
    run: LoadedRun
    claims: Sequence[Claim]
    pictures: Sequence[Picture]
    command: str

    @property
    def seconds(self) -> float | None:
        """How long it took, compilation included; None where that is not known."""
        timing = self.run.summary["timing"]
        parts = [timing.get("total")] if "total" in timing else list(timing.values())
        known = [part for part in parts if isinstance(part, (int, float))]
        return float(sum(known)) if known else None


class Lost(NamedTuple):
    """A run folder that the page leaves out, and why."""

    path: str
    why: str


def gather(folder: Path) -> tuple[list[Shown], list[Lost]]:
    """Return the runs below the folder that holds all: those shown, and those left out.

    Left out are runs without results, and older ones of a configuration that has a newer one.
    """
    shown: list[Shown] = []
    lost: list[Lost] = []
    keys: set[str] = set()
    runs = find(folder)
    newest = _newest(runs)
    for run in runs:
        path = run.path.relative_to(folder).as_posix()
        if run.state == "unfinished":
            lost.append(Lost(path, "it has not ended: the same command goes on with it"))
            continue
        newer = newest.get(run.path, run.path)
        if newer != run.path:
            where = newer.relative_to(folder).as_posix()
            lost.append(Lost(path, f"a newer run has the same configuration: {where}"))
            continue
        try:
            shown.append(show(run.load(), Path(folder.name, path), keys))
        except InputError as error:
            lost.append(Lost(path, str(error).replace(str(run.path), path)))
    return shown, lost + list(_refused(folder))


def _newest(runs: Sequence[FoundRun]) -> dict[Path, Path]:
    """By the path of each run that ended with results, that of the newest of its configuration."""
    alike: dict[str, list[Path]] = {}
    for run in runs:
        if run.state in FINISHED:
            alike.setdefault(_configuration(run), []).append(run.path)
    return {path: max(same, key=_age) for same in alike.values() for path in same}


def _age(path: Path) -> tuple[int, Path]:
    return os.stat(path / NAME).st_mtime_ns, path


def _configuration(run: FoundRun) -> str:
    try:
        config = counted(read_config(run.path))
    except DamagedError:  # said where the run is loaded
        return str(run.path)
    return repr((run.area, run.study, run.name, sorted(config.items())))


def _refused(folder: Path) -> Iterator[Lost]:
    """Studies of the last command over all of them that ended without a run."""
    for outcome in read_outcomes(folder):
        if outcome.path is None and outcome.message:
            yield Lost(outcome.study, outcome.message)


def show(run: LoadedRun, path: Path, keys: set[str], *, drawn: bool = True) -> Shown:
    """Return what a page shows of a run.

    Args:
        run: loaded.
        path: of its folder, as the page names it.
        keys: fragments that are taken; those of this run join them.
        drawn: with its figures.

    Raises:
        InputError: for claims of another kind than this fineq's.
    """
    key = _key(f"run-{run.summary['area']}-{run.summary['study']}-{run.summary['hash']}", keys)
    claims, pictures = run.claims, tuple(_pictures(key, run, keys) if drawn else ())
    run = dataclasses.replace(run, dataset=to_dataset({}))
    return Shown(key, str(path), run, claims, pictures, command_of(path, run.summary))


def _pictures(begin: str, run: LoadedRun, keys: set[str]) -> Iterator[Picture]:
    for figure in run.figures:
        key = _key(f"{begin}-{figure.name}", keys)
        among = choices(figure)
        names = tuple(_name(run.dataset, choice.dimension) for choice in among)
        try:
            svg = vector(run.dataset, figure)
            # Names within a drawing are many: they begin with as little as is its own.
            drawing = inline(svg, f"f{len(keys)}", _aloud(figure), marks(figure, among))
        except ValueError as error:
            yield Picture(key, figure, None, why=str(error))
        else:
            yield Picture(key, figure, drawing, among, names)


def _name(dataset: "xarray.Dataset", dimension: str) -> str:
    known = dataset.variables.get(dimension)
    return plain(str(known.attrs.get("long_name", dimension)) if known is not None else dimension)


def _aloud(figure: Figure) -> str:
    """What is read in place of the picture: what it shows, and what each panel has."""
    panels = [f"{panel.title or panel.ylabel or panel.kind}" for panel in figure.panels]
    return plain(" ".join(filter(None, (figure.caption, f"Panels: {'; '.join(panels)}."))))


def _key(name: str, taken: set[str]) -> str:
    """A fragment of an address made of a name; no two are the same."""
    plain_name = re.sub(r"[^A-Za-z0-9_.-]+", "-", name)
    key, number = plain_name, 2
    while key in taken:
        key, number = f"{plain_name}-{number}", number + 1
    taken.add(key)
    return key
