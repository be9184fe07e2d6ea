"""Runs as subcommands name and list them: by folder, by the first digits of a hash, by study."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fineq.errors import InputError
from fineq.runs.data import DamagedError
from fineq.runs.folders import CONFIG, FoundRun, find, read_config, words_of
from fineq.runs.summary import NAME, read_summary
from fineq.shell.experiments import listed
from fineq.studies.area import AREAS

OUTPUT = "outputs"
SHOWN = 8  # digits of a hash
_DIGITS = re.compile(r"[0-9a-f]{4,12}")
Keep = Callable[[Sequence["Entry"]], list["Entry"]]
_STUDY = re.compile(r"\w+/\w+", re.ASCII)


def studies() -> tuple[str, ...]:
    """The names of all studies, as `fineq list` has them."""
    return tuple(one.name for area in AREAS for one in listed(area)[1])


@dataclass(frozen=True)
class Entry:
    """A run in a list: what its folder says, read when it is asked for."""

    run: FoundRun

    @cached_property
    def summary(self) -> Mapping[str, Any] | None:
        """Its summary; None where there is none that can be read."""
        try:
            return read_summary(self.run.path)
        except DamagedError:
            return None

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """Its configuration; empty where it cannot be read."""
        try:
            return read_config(self.run.path)
        except DamagedError:
            return {}

    @property
    def words(self) -> list[str]:
        """What was said of it on its command line, as far as it is known."""
        return words_of(self.summary or {}) or []

    @property
    def study(self) -> str:
        """The experiment that it was asked for by, or else its study."""
        chosen = [w.partition("=")[2] for w in self.words if w.startswith("experiment=")]
        return chosen[0] if chosen else f"{self.run.area}/{self.run.study}"

    @property
    def when(self) -> float:
        """When it ended, or else began, in seconds since 1970."""
        for name in (NAME, CONFIG):
            path = self.run.path / name
            if os.path.exists(path):
                return path.stat().st_mtime
        return 0.0

    @property
    def seconds(self) -> float | None:
        """How long it took in all."""
        return (self.summary or {}).get("timing", {}).get("total")


def entries(output: Path | str) -> list[Entry]:
    """The runs below a folder, the newest last.

    Raises:
        InputError: for what is no folder; `outputs` need not be there.
    """
    folder = Path(output)
    if not folder.is_dir() and (str(output) != OUTPUT or os.path.lexists(folder)):
        raise InputError(f"output={output} is no folder")
    return sorted(map(Entry, find(folder)), key=lambda entry: (entry.when, entry.run.path))


def named(word: str, output: Path | str, keep: Keep | None = None) -> Path:
    """The folder of the run that a word names.

    Args:
        word: a run's folder, the first digits of its hash, or a study, whose newest run is meant.
        output: below which runs are looked for.
        keep: which runs of a study are meant; default: all.

    Raises:
        InputError: where there is none, or digits are those of several.
    """
    if keep and _STUDY.fullmatch(word):
        return _newest(word, keep(entries(output)), output, " that passes the filters")
    if keep:
        raise InputError(f"filters choose among runs of AREA/STUDY, and {word} is none")
    if os.path.exists(Path(word) / NAME):
        return Path(word)
    # Within `outputs` the folder of a study's runs has the name of the study.
    is_study = _STUDY.fullmatch(word) and of_study(word, entries(output))
    if os.path.isdir(word) and not is_study:
        raise InputError(f"{word} is no run that can be read: there is no {NAME} in it")
    if word.endswith(f"/{NAME}") and os.path.exists(word):
        return Path(word).parent
    if _DIGITS.fullmatch(word):
        return _by_digits(word, output)
    if _STUDY.fullmatch(word):
        return _newest(word, entries(output), output)
    raise InputError(
        f"{word} is no run: give a folder, digits of its hash, or AREA/STUDY; fineq runs lists them"
    )


def _by_digits(digits: str, output: Path | str) -> Path:
    found = [e.run.path for e in entries(output) if e.run.hash.startswith(digits)]
    if not found:
        raise InputError(f"no run in {output} has a hash that begins with {digits}; fineq runs")
    if len(found) > 1:
        paths = ", ".join(map(str, found))
        raise InputError(f"{len(found)} runs have hashes that begin with {digits}: {paths}")
    return found[0]


def of_study(study: str, found: Sequence[Entry]) -> list[Entry]:
    """The entries of a study, or of an experiment."""
    return [e for e in found if study in (e.study, f"{e.run.area}/{e.run.study}")]


def _newest(study: str, found: Sequence[Entry], output: Path | str, which: str = "") -> Path:
    readable = [entry for entry in of_study(study, found) if entry.summary]
    if which and not readable:
        raise InputError(f"{output} has no run of {study}{which}; fineq runs study={study}")
    if not readable:
        known = sorted({entry.study for entry in found})
        has = f"there are {', '.join(known)}" if known else "it has none at all"
        raise InputError(f"{output} has no run of {study}: {has}; fineq run {study} makes one")
    return readable[-1].run.path
