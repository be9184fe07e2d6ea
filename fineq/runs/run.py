"""A run folder in the hands of one process: kept to one writer, left complete or resumable.

<output>/<area>/<study>/<name>-<hash>/
    config.yaml   data.nc   *.png *.pdf   summary.json (last)   checkpoints/ (only while running)
"""

import contextlib
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from fineq.errors import EXIT_INTERRUPTED, EXIT_TERMINATED, FineqError, InputError
from fineq.results import StudyResult
from fineq.runs import data
from fineq.runs import summary as summaries
from fineq.runs.data import result_dataset, write_dataset
from fineq.runs.digest import run_hash
from fineq.runs.drawing import redraw_unlocked, write_figures
from fineq.runs.environment import environment
from fineq.runs.files import PART, check_writable, plain, write_atomic
from fineq.runs.load import CONFIG, LoadedRun, faults, load_run
from fineq.runs.lock import RunLock

CHECKPOINTS = "checkpoints"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def open_run(
    output: Path | str,
    *,
    area: str,
    study: str,
    name: str,
    config: Mapping[str, Any],
    files: Mapping[str, Path] | None = None,
    force: bool = False,
    source_roots: Sequence[Path] | None = None,
) -> "Run":
    """Open the run that this configuration names: new, to be resumed, or already complete.

    Args:
        output: the folder that holds all runs.
        area: for example `nlqr`.
        study: the study within the area.
        name: the first part of the folder's name; the hash is the second.
        config: the resolved configuration, nested plain values.
        files: dotted field to the file it names; its content counts in the hash.
        force: compute again even when a complete run is there.
        source_roots: package folders counted in the hash; default: fineq and experiments.

    Returns:
        A `Run`, to be used as a context manager; when `complete` is true it is not locked.

    Raises:
        InputError: when the folder cannot be written, or another process is writing it.

    """
    identity = {"area": area, "study": study, "name": name}
    for kind, text in identity.items():
        if not _NAME.fullmatch(text):
            raise InputError(f"{kind} must be letters, digits, '_', '-' and '.', got {text!r}")
    identity["hash"] = run_hash(f"{area}/{study}", config, files, source_roots)
    folder = Path(output) / area / study / f"{name}-{identity['hash']}"
    run = Run(folder, identity, plain(config))
    run.complete = not force and not (folder / CHECKPOINTS).exists() and is_finished(folder)
    if not run.complete:
        run.start(force)
    return run


def is_finished(folder: Path) -> bool:
    """Whether `folder` holds a finished run whose files all are as this fineq writes them."""
    if not (folder / summaries.NAME).exists() or any(faults(folder)):
        return False
    return summaries.read_summary(folder)["status"] in summaries.FINISHED


class Run:
    """A run folder; made by `open_run`.

    Attributes:
        path: the folder, under its final name from the start.
        identity: area, study, name, hash.
        config: the resolved configuration.
        complete: a finished run with this hash is there: load it, compute nothing.
        damage: sentences naming what was found damaged and is computed or drawn again.

    """

    def __init__(self, path: Path, identity: dict[str, str], config: dict[str, Any]):
        self.path = path
        self.identity = identity
        self.config = config
        self.complete = False
        self.damage: tuple[str, ...] = ()
        self._lock: RunLock | None = None
        self._made: list[Path] = []
        self._saved = False

    @property
    def checkpoints(self) -> Path:
        """Where the state of an unfinished run is kept."""
        return self.path / CHECKPOINTS

    @property
    def resumed(self) -> bool:
        """Whether an interrupted attempt left checkpoints to go on from."""
        return not self.complete and self.checkpoints.is_dir() and any(self.checkpoints.iterdir())

    def load(self) -> LoadedRun:
        """Return the run as it is on the disk."""
        return load_run(self.path)

    def start(self, force: bool) -> None:
        """Lock the folder and clear or mend what is there, so that what remains can be trusted."""
        check_writable(self.path)
        self._made = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        try:
            self._lock = RunLock(self.path)
            self._prepare(force)
        except BaseException:
            self.close()
            raise
        if self.complete:
            self.close()

    def _prepare(self, force: bool) -> None:
        for part in self.path.glob(f".*{PART}"):
            part.unlink(missing_ok=True)
        if force:
            self._clear()
        elif (self.path / summaries.NAME).exists():
            self._mend()
        if not self.complete:
            (self.path / summaries.NAME).unlink(missing_ok=True)
            self._write_config()

    def _clear(self) -> None:
        shutil.rmtree(self.checkpoints, ignore_errors=True)

    def _mend(self) -> None:
        found = dict(faults(self.path))
        self.damage = tuple(found.values())
        if not found.keys() & {summaries.NAME, data.NAME, CONFIG}:
            if found:
                redraw_unlocked(self.path)
            self.complete = is_finished(self.path)
        if self.complete:
            self._clear()

    def save(self, result: StudyResult, timing: Mapping[str, float], precision: str) -> None:
        """Write data, figures and, last, the summary; drop the checkpoints of a finished run.

        Args:
            result: what the study computed; with status `interrupted` the run stays resumable.
            timing: seconds by phase, `compile` and `run`.
            precision: for example `float64`.

        Raises:
            ResourceError: when the disk is full; the run then stays as resumable as it was.

        """
        dataset = result_dataset(result, self.identity["study"])
        files = {CONFIG: self._write_config()}
        files[data.NAME] = write_dataset(self.path / data.NAME, dataset)
        files |= write_figures(self.path, dataset)
        self._write_summary(result, timing, precision, files)
        if result.status in summaries.FINISHED:
            self._clear()

    def _write_config(self) -> str:
        text = yaml.safe_dump(self.config, sort_keys=False, allow_unicode=True)
        return write_atomic(self.path / CONFIG, text.encode())

    def _write_summary(
        self,
        result: StudyResult,
        timing: Mapping[str, float],
        precision: str,
        files: Mapping[str, str],
    ) -> None:
        about = environment(precision)
        summary = summaries.build_summary(self.identity, result, timing, about, files)
        summaries.write_summary(self.path, summary)
        self._saved = True

    def __enter__(self) -> "Run":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        code = getattr(error, "exit_code", None)
        stopped = isinstance(error, KeyboardInterrupt) or code in (
            EXIT_INTERRUPTED,
            EXIT_TERMINATED,
        )
        if stopped and self._lock and not self._saved and self.resumed:
            with contextlib.suppress(FineqError, OSError):
                self._mark_interrupted()
        if isinstance(error, InputError):
            self._clear()  # the same command would end here again
        self.close()

    def _mark_interrupted(self) -> None:
        nothing = StudyResult({}, {}, status="interrupted")
        precision = str(self.config.get("precision", ""))
        self._write_summary(nothing, {}, precision, {CONFIG: self._write_config()})

    def close(self) -> None:
        """Release the folder; one that was new and holds nothing to go on from is removed."""
        worthless = not (self._saved or self.complete or self.resumed)
        if self._lock is not None:
            if worthless and self.path in self._made:
                shutil.rmtree(self.path, ignore_errors=True)
            self._lock.release()
            self._lock = None
        for folder in self._made:
            with contextlib.suppress(OSError):  # not empty, or never made
                folder.rmdir()
