"""Find and load runs; nothing found in a run is ever executed."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from fineq.figures import Figure
from fineq.runs import data
from fineq.runs import summary as summaries
from fineq.runs.data import DamagedError, figures_of, read_bytes, read_dataset

if TYPE_CHECKING:
    import xarray

CONFIG = "config.yaml"


@dataclass(frozen=True)
class LoadedRun:
    """A run read from its folder: configuration, data, summary."""

    path: Path
    config: dict[str, Any]
    dataset: "xarray.Dataset"
    summary: dict[str, Any]

    @property
    def files(self) -> list[Path]:
        """The figures, then data, configuration and summary."""
        drawn = sorted(self.summary["files"].keys() - {data.NAME, CONFIG})
        return [self.path / name for name in (*drawn, data.NAME, CONFIG, summaries.NAME)]

    @property
    def figures(self) -> tuple[Figure, ...]:
        """What can be drawn from the data."""
        return figures_of(self.dataset)


@dataclass(frozen=True)
class FoundRun:
    """A run folder: `state` is the status in its summary, `older`, `unfinished`, or `damaged`."""

    path: Path
    area: str
    study: str
    name: str
    hash: str
    state: str


def load_run(path: Path | str) -> LoadedRun:
    """Load a finished or interrupted run, also one written by an older fineq.

    Raises:
        DamagedError: (an `InputError`) naming the file that is missing or not as written.

    """
    path = Path(path)
    summary = summaries.read_summary(path)
    files = summary["files"]
    dataset = read_dataset(path / data.NAME, files.get(data.NAME))
    return LoadedRun(path, read_config(path, files.get(CONFIG)), dataset, summary)


def read_config(path: Path, digest: str | None = None) -> dict[str, Any]:
    """Return the resolved configuration of a run; plain YAML, no objects are made from it."""
    content = read_bytes(path / CONFIG, digest)
    try:
        config = yaml.safe_load(content)
    except yaml.YAMLError:
        config = None
    if not isinstance(config, dict):
        raise DamagedError(f"{path / CONFIG} is damaged: not a configuration")
    return config


def find_runs(output: Path | str, area: str = "*", study: str = "*") -> list[FoundRun]:
    """Return the runs below `output`, sorted by path; `*` means all."""
    folders = sorted(Path(output).glob(f"{area}/{study}/*-*/"))
    return [_found(folder) for folder in folders if (folder / CONFIG).exists()]


def _found(folder: Path) -> FoundRun:
    name, _, digits = folder.name.rpartition("-")
    return FoundRun(
        folder, folder.parent.parent.name, folder.parent.name, name, digits, _state(folder)
    )


def _state(folder: Path) -> str:
    if not (folder / summaries.NAME).exists():
        return "unfinished"
    try:
        summary = summaries.read_summary(folder)
    except DamagedError:
        return "damaged"
    return "older" if summaries.is_older(summary) else summary["status"]


def faults(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield (file name, sentence) for each file that is missing, not as written, or older."""
    try:
        summary = summaries.read_summary(folder)
    except DamagedError as error:
        yield summaries.NAME, str(error)
        return
    if summaries.is_older(summary):
        version = summary["schema_version"]
        where = folder / summaries.NAME
        yield summaries.NAME, f"{where} is of an older fineq (schema version {version})"
    for name, digest in summary["files"].items():
        try:
            read_bytes(folder / name, digest)
        except DamagedError as error:
            yield name, str(error)
