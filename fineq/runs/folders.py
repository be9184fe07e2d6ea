"""Find and load runs; nothing found in a run is ever executed."""

import contextlib
import os
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from fineq.errors import InputError
from fineq.figures import Figure
from fineq.runs import data
from fineq.runs import summary as summaries
from fineq.runs.data import DamagedError, figures_of, read_bytes, read_dataset
from fineq.runs.digest import Identity

if TYPE_CHECKING:
    import xarray

    from fineq.claims import Claim

CONFIG = "config.yaml"
_HASHED = re.compile(r"(.+)-([0-9a-f]{12})")
_SHOWN = 6  # names of arrays that a run is shown with


class SavedRate(NamedTuple):
    """A fitted rate as it was saved; None where a number is not finite or not known.

    Attributes:
        quantity: what converges.
        method: how it was fitted.
        value: the rate.
        low: lower end of its interval over seeds.
        high: upper end.
        seeds: how many seeds it is of.
        verdict: what the fits say, for example `linear`.
    """

    quantity: str
    method: str
    value: float | None
    low: float | None
    high: float | None
    seeds: int | None
    verdict: str | None


@dataclass(frozen=True, repr=False)
class LoadedRun:
    """A run read from its folder; `repr` says in a few lines what it holds, a notebook shows it.

    Attributes:
        path: the folder.
        config: the resolved configuration, nested plain values.
        dataset: every array with named dimensions and coordinates; units and long names are
            attributes of each, and what made the numbers are attributes of the whole.
        summary: `summary.json` as it stands, see `fineq.runs.summary`.
    """

    path: Path
    config: dict[str, Any]
    dataset: "xarray.Dataset"
    summary: dict[str, Any]

    def __repr__(self) -> str:
        size, seeds = self.dataset.sizes, self.config.get("seeds")
        status = self.status.replace("_", " ")
        axes = ", ".join(f"{name} {size[name]}" for name in size) or "none"
        return "\n".join(
            (
                f"<run of {self.study}, {status}, seeds {seeds}",
                f" axes    {axes}",
                f" arrays  {_listed([str(name) for name in self.dataset.data_vars])}",
                f" claims  {_counted(self.summary['claims'])}",
                f" path    {self.path}>",
            )
        )

    def _repr_html_(self) -> str:
        """What a notebook shows: claims, notes and figures."""
        from fineq.report.notebook import html

        return html(self)

    @property
    def study(self) -> str:
        """For example `nlqr/landscape`."""
        return f"{self.summary['area']}/{self.summary['study']}"

    @property
    def status(self) -> str:
        """`complete`, `partly_diverged`, `diverged` (every member) or `interrupted`."""
        return self.summary["status"]

    @property
    def notes(self) -> dict[str, str]:
        """What else is worth knowing, in sentences by topic."""
        return self.summary["notes"]

    @property
    def claims(self) -> "tuple[Claim, ...]":
        """What was claimed, measured and allowed, with the verdicts.

        Raises:
            InputError: for a run of an older fineq, whose claims say less, or for one that another
                program has written.
        """
        from fineq.claims import Claim

        try:
            return tuple(Claim.from_dict(claim) for claim in self.summary["claims"])
        except ValueError as error:
            raise InputError(
                f"{self.path / summaries.NAME} holds claims of another kind than this fineq's "
                f"({error}); `summary` has them as they stand"
            ) from None

    @property
    def rates(self) -> tuple[SavedRate, ...]:
        """The fitted rates."""
        names = SavedRate._fields
        return tuple(
            SavedRate(**{name: rate.get(name) for name in names}) for rate in self.summary["rates"]
        )

    @property
    def command(self) -> str:
        """The command line that asks for this run again; see `command_of`."""
        return command_of(self.path, self.summary)

    @property
    def files(self) -> list[Path]:
        """The figures, then data, configuration and summary."""
        return files_of(self.path, self.summary)

    @property
    def figures(self) -> tuple[Figure, ...]:
        """What can be drawn from the data."""
        return figures_of(self.dataset)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more if names else "none"


def _counted(claims: list[dict[str, Any]]) -> str:
    counts = Counter(claim.get("verdict") or "measured" for claim in claims)
    return ", ".join(f"{number} {verdict}" for verdict, number in counts.items()) or "none"


def words_of(summary: Mapping[str, Any]) -> list[str] | None:
    """What was said of a run on its command line; None where that is not known."""
    words = summary.get(summaries.WORDS)
    known = isinstance(words, list) and all(isinstance(word, str) for word in words)
    return words if known else None


def command_of(folder: Path, summary: Mapping[str, Any]) -> str:
    """The command line that asks for a run again, as a shell reads it.

    In the words with which it was asked for; where they are not known, from its configuration.
    """
    area, words = summary["area"], words_of(summary)
    if words is None:
        return shlex.join(["fineq", "run", area, "--from", str(folder / CONFIG)])
    chosen = [word for word in words if word.startswith("experiment=")]
    first = chosen[0].partition("=")[2] if chosen else area
    return shlex.join(["fineq", "run", first, *(word for word in words if word not in chosen)])


def files_of(folder: Path, summary: Mapping[str, Any]) -> list[Path]:
    """Return the files of a run: the figures, then data, configuration and summary."""
    last = [name for name in (data.NAME, CONFIG) if name in summary["files"]]
    drawn = sorted(summary["files"].keys() - {*last})
    return [folder / name for name in (*drawn, *last, summaries.NAME)]


@dataclass(frozen=True)
class FoundRun:
    """A run folder.

    Attributes:
        path: the folder.
        area: as the folders above it say.
        study: likewise.
        name: as the folder says.
        hash: likewise.
        state: the status in its summary, `older`, `unfinished` (no summary), or `damaged`: the
            summary is of another run than the folder, or it, the data or the configuration are
            missing or not as they were written; without a summary, the configuration.
    """

    path: Path
    area: str
    study: str
    name: str
    hash: str
    state: str

    def load(self) -> LoadedRun:
        """As `load` of its path."""
        return load(self.path)


def load(path: Path | str) -> LoadedRun:
    """Load a finished or interrupted run, also one written by an older fineq.

    Nothing that lies in the folder is executed. A run that was interrupted before it had data has
    an empty dataset.

    Args:
        path: the run folder, `<output>/<area>/<study>/<name>-<hash>`.

    Raises:
        DamagedError: (an `InputError`) naming the file that is missing, not as written, or of
            another run.

    """
    path = Path(path)
    summary = _own_summary(path)
    files = summary["files"]
    if data.NAME not in _needed(summary):
        dataset = data.to_dataset({})
    else:
        dataset = read_dataset(path / data.NAME, files.get(data.NAME))
        if dataset.attrs.get("run", summary["hash"]) != summary["hash"]:
            raise DamagedError(f"{path / data.NAME} belongs to another run")
        _refuse_figures(path, dataset)
    return LoadedRun(path, read_config(path, files.get(CONFIG)), dataset, summary)


def _own_summary(path: Path) -> dict[str, Any]:
    """The summary of a folder, which may be renamed, but not to the name of another run."""
    summary = summaries.read_summary(path)
    named = _HASHED.fullmatch(path.absolute().name)
    if named and named[2] != summary["hash"]:
        raise DamagedError(f"{path / summaries.NAME} belongs to another run, {summary['hash']}")
    return summary


def _refuse_figures(path: Path, dataset: "xarray.Dataset") -> None:
    """What the data describe is drawn into files of their names."""
    try:
        figures_of(dataset)
    except ValueError as error:
        raise DamagedError(f"{path / data.NAME} is damaged: {error}") from None


def read_config(path: Path, digest: str | None = None) -> dict[str, Any]:
    """Return the resolved configuration of a run; plain YAML, no objects are made from it."""
    content = read_bytes(path / CONFIG, digest)
    try:
        config = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise DamagedError(f"{path / CONFIG} is damaged: not a configuration")
    return config


def find(
    output: Path | str = "outputs", area: str = "*", study: str = "*", name: str = "*"
) -> list[FoundRun]:
    """Return the runs below a folder, sorted by path, each with its state.

    Args:
        output: the folder that holds all runs.
        area: for example `nlqr`; `*` means all, here and below.
        study: the study within the area.
        name: the first part of the folder's name.
    """
    folders = sorted(Path(output).glob(f"{area}/{study}/{name}-*/"))
    return [_found(folder) for folder in folders if _is_run(folder)]


def _is_run(folder: Path) -> bool:
    """Whether a folder looks like a run: of its names one file, or renamed with its summary."""
    there = {name: os.path.exists(folder / name) for name in (CONFIG, summaries.NAME, data.NAME)}
    if _HASHED.fullmatch(folder.name):
        return any(there.values())
    return there[summaries.NAME] and there[CONFIG]


def is_own(folder: Path) -> bool:
    """Whether fineq made a run's folder: summary or data have its hash, or the configuration names.

    A folder that is a link is none, and neither is one of which no file can be read.
    """
    named = _HASHED.fullmatch(folder.name)
    if not named or folder.is_symlink():
        return False
    with contextlib.suppress(DamagedError):
        if summaries.read_summary(folder)["hash"] == named[2]:
            return True
    with contextlib.suppress(DamagedError):
        config = read_config(folder)
        return (config.get("study"), config.get("name")) == (folder.parent.name, named[1])
    with contextlib.suppress(DamagedError):
        return read_dataset(folder / data.NAME).attrs.get("run") == named[2]
    return False


def may_be_own(folder: Path) -> bool:
    """Whether fineq may have made a folder: by its name, and no link."""
    return bool(_HASHED.fullmatch(folder.name)) and not folder.is_symlink()


def _found(folder: Path) -> FoundRun:
    name, _, digits = folder.name.rpartition("-")
    return FoundRun(
        folder, folder.parent.parent.name, folder.parent.name, name, digits, state_of(folder)
    )


def state_of(folder: Path) -> str:
    """The state of a run, as `FoundRun` has it."""
    try:
        if not os.path.exists(folder / summaries.NAME):
            read_config(folder)
            return "unfinished"
        summary = _own_summary(folder)
        for name in _needed(summary):
            read_bytes(folder / name, summary["files"].get(name))
    except DamagedError:
        return "damaged"
    return "older" if summaries.is_older(summary) else summary["status"]


def _needed(summary: Mapping[str, Any]) -> tuple[str, ...]:
    """The files without which a run is none; one interrupted early has no data."""
    early = summary["status"] == "interrupted" and data.NAME not in summary["files"]
    return (CONFIG,) if early else (CONFIG, data.NAME)


def faults(folder: Path, identity: Identity) -> Iterator[tuple[str, str]]:
    """Yield (file name, sentence) for each file that is not this run's as this fineq writes it."""
    try:
        summary = summaries.read_summary(folder)
    except DamagedError as error:
        yield summaries.NAME, str(error)
        return
    if summaries.is_older(summary):
        version = summary["schema_version"]
        where = folder / summaries.NAME
        yield summaries.NAME, f"{where} is of an older fineq (schema version {version})"
        return
    if any(summary[key] != getattr(identity, key) for key in ("area", "study", "name", "hash")):
        yield summaries.NAME, f"{folder / summaries.NAME} belongs to another run"
        return
    for name in {data.NAME: None, CONFIG: None, **summary["files"]}:
        try:
            read_bytes(folder / name, summary["files"].get(name))
            if name == CONFIG and not identity.counts_alike(read_config(folder)):
                yield name, f"{folder / name} belongs to another run"
        except DamagedError as error:
            yield name, str(error)
