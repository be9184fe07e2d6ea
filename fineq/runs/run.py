"""A run folder in the hands of one process: kept to one writer, left complete or resumable.

<output>/<area>/<study>/<name>-<hash>/
    config.yaml   data.nc   *.safetensors (models)   *.png *.pdf   summary.json (last)
    checkpoints/ (only while running)
"""

import contextlib
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from fineq.errors import EXIT_INTERRUPTED, EXIT_TERMINATED, FineqError, InputError
from fineq.figures import PLAIN_NAME
from fineq.results import StudyResult
from fineq.runs import data
from fineq.runs import summary as summaries
from fineq.runs.data import result_dataset, write_dataset
from fineq.runs.digest import Identity
from fineq.runs.drawing import SUFFIXES, UNDRAWN, redraw_unlocked, undrawn, write_figures
from fineq.runs.environment import environment, version
from fineq.runs.files import (
    CHECKPOINTS,
    OWN_SUFFIXES,
    PART,
    RefusedError,
    check_writable,
    disk_errors,
    local_folder,
    write_atomic,
)
from fineq.runs.folders import CONFIG, LoadedRun, faults, load
from fineq.runs.lock import RunLock

LONGEST_NAME = 200  # a folder's name holds the hash too, and file systems end at 255 bytes


def open_run(output: Path | str, identity: Identity, *, force: bool = False) -> "Run":
    """Open the run of this identity: new, to be resumed, or already complete.

    Args:
        output: the folder that holds all runs.
        identity: from `fineq.runs.identify`.
        force: compute again even when a complete run is there.

    Returns:
        A `Run`, to be used as a context manager; when `complete` is true it is not locked.

    Raises:
        InputError: when the folder cannot be written, or another process is writing it.

    """
    run = _named(output, identity)
    run.complete = not force and run.is_finished()
    if not run.complete:
        run.start(force)
    elif run.is_drawn_otherwise():
        run.draw_again()
    return run


def find_run(output: Path | str, identity: Identity) -> "Run | None":
    """Return the complete run of this identity, drawn as it would be drawn now, or None.

    Nothing is written, and nothing loaded that a study needs: JAX, xarray, matplotlib.

    Raises:
        InputError: for an output or a name that no folder can have.

    """
    run = _named(output, identity)
    run.complete = run.is_finished() and not run.is_drawn_otherwise()
    return run if run.complete else None


def _named(output: Path | str, identity: Identity) -> "Run":
    for kind in ("area", "study", "name"):
        text = getattr(identity, kind)
        if not PLAIN_NAME.fullmatch(text) or len(text) > LONGEST_NAME:
            raise InputError(
                f"{kind} must be at most {LONGEST_NAME} letters, digits, '_', '-' and '.', "
                f"got {text!r}"
            )
    folder = local_folder(output) / identity.area / identity.study
    return Run(folder / f"{identity.name}-{identity.hash}", identity)


class Run:
    """A run folder; made by `open_run`.

    Attributes:
        path: the folder, under its final name from the start.
        identity: what names it.
        complete: a finished run with this hash is there: load it, compute nothing.
        damage: sentences naming what was found damaged and is computed or drawn again.
        words: what was said of it on a command line, kept with what is saved; None: not known.

    """

    def __init__(self, path: Path, identity: Identity):
        self.path = path
        self.identity = identity
        self.complete = False
        self.damage: tuple[str, ...] = ()
        self.words: Sequence[str] | None = None
        self._drawn: tuple[str, ...] = ()
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

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences on what else is worth knowing of a run that is complete."""
        if not self.complete:
            return ()
        then = self.summary()["environment"].get("versions", {}).get("jax")
        now = version("jax")
        if then == now:
            return self._drawn
        other = f"it was computed with JAX {then}, and here is JAX {now}: force=true compares"
        return (*self._drawn, other)

    def load(self) -> LoadedRun:
        """Return the run as it is on the disk."""
        return load(self.path)

    def summary(self) -> dict[str, Any]:
        """Return the summary alone, which is on the disk once the run was saved."""
        return summaries.read_summary(self.path)

    def is_finished(self) -> bool:
        """Whether the folder holds this run, finished, with all files as they were written."""
        if os.path.lexists(self.checkpoints) or not os.path.lexists(self.path / summaries.NAME):
            return False
        return not any(self._faults()) and self.summary()["status"] in summaries.FINISHED

    def _faults(self) -> dict[str, str]:
        return dict(faults(self.path, self.identity))

    def is_drawn_otherwise(self) -> bool:
        """Whether figures of a finished run are missing, or of other sources than draw now."""
        summary = self.summary()
        other = summary["sources"].get("drawing") != self.identity.sources.drawing
        return other or bool(undrawn(summary))

    def draw_again(self) -> None:
        """Draw the figures of a finished run again; where that fails they stay as they are."""
        try:
            check_writable(self.path)
            with contextlib.closing(RunLock(self.path)):
                redraw_unlocked(self.path, self.identity.sources.drawing)
            self._drawn = ("its figures are drawn again, as they are drawn now",)
        except FineqError as error:
            self._drawn = (f"its figures are as they were drawn before: {error}",)

    def start(self, force: bool) -> None:
        """Lock the folder and clear or mend what is there, so that what remains can be trusted."""
        check_writable(self.path)
        with disk_errors(self.path):
            above = (self.path, *self.path.parents)
            self._made = [folder for folder in above if not folder.exists()]
        try:
            self._lock = RunLock(self.path)
            with disk_errors(self.path):
                self._prepare(force)
        except BaseException:
            self.close()
            raise
        if self.complete:
            self.close()

    def _prepare(self, force: bool) -> None:
        self._refuse_folders()
        for folder in (self.path, self.checkpoints):
            for part in folder.glob(f".*{PART}"):
                part.unlink(missing_ok=True)
        if force:
            self._clear()
        elif (self.path / summaries.NAME).exists():
            self._mend()
        if not self.complete:
            (self.path / summaries.NAME).unlink(missing_ok=True)
            self._write_config()

    def _refuse_folders(self) -> None:
        """What lies where a file of the run belongs is found before anything is computed."""
        for entry in list(os.scandir(self.path)):
            folder = entry.is_dir(follow_symlinks=False)
            if entry.name == CHECKPOINTS:
                wrong = not folder
            else:
                wrong = folder and Path(entry.name).suffix in OWN_SUFFIXES
            if wrong:
                kind = "a folder" if folder else "no folder"
                raise InputError(f"cannot write {entry.path}: {kind} lies there; remove it")

    def _clear(self) -> None:
        shutil.rmtree(self.checkpoints, ignore_errors=True)

    def _mend(self) -> None:
        found = self._faults()
        self.damage = tuple(found.values())
        if any(Path(name).suffix[1:] not in SUFFIXES for name in found):
            return
        if found:
            redraw_unlocked(self.path, self.identity.sources.drawing)
        self.complete = self.summary()["status"] in summaries.FINISHED
        if self.complete:
            self._clear()

    def save(
        self,
        result: StudyResult,
        timing: Mapping[str, float],
        precision: str,
        blocks: Mapping[str, int] | None = None,
        seconds: Mapping[str, float] | None = None,
    ) -> None:
        """Write data, figures and, last, the summary; drop the checkpoints of a finished run.

        A figure that cannot be drawn is named in the summary and drawn when the run is opened.

        Args:
            result: what the study computed; with status `interrupted` the run stays resumable.
            timing: seconds by phase, `compile` and `run`.
            precision: for example `float64`.
            blocks: members computed at once, by stage.
            seconds: that each stage took, in order.

        Raises:
            ResourceError: when the disk is full; the run then stays as resumable as it was.
            InputError: when the folder refuses a file; likewise.

        """
        dataset = result_dataset(result, self.identity)
        files = {CONFIG: self._write_config()}
        files[data.NAME] = write_dataset(self.path / data.NAME, dataset)
        for name, content in result.files.items():
            files[name] = write_atomic(self.path / name, content)
        drawn = write_figures(self.path, dataset)
        about = environment(precision, self.identity, blocks, seconds)
        self._write_summary(result, timing, about, {**files, **drawn.files}, drawn.failed)
        if result.status in summaries.FINISHED:
            self._clear()

    def _write_config(self) -> str:
        text = yaml.safe_dump(dict(self.identity.config), sort_keys=False, allow_unicode=True)
        return write_atomic(self.path / CONFIG, text.encode())

    def _write_summary(
        self,
        result: StudyResult,
        timing: Mapping[str, float],
        about: Mapping[str, Any],
        files: Mapping[str, str],
        failed: Mapping[str, str] | None = None,
    ) -> None:
        summary = summaries.build_summary(self.identity, result, timing, about, files)
        words = {} if self.words is None else {summaries.WORDS: list(self.words)}
        summaries.write_summary(self.path, {**summary, **words, UNDRAWN: dict(failed or {})})
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
        if isinstance(error, InputError) and not isinstance(error, RefusedError):
            self._clear()  # the same command would end here again
        self.close()

    def _mark_interrupted(self) -> None:
        nothing = StudyResult({}, {}, status="interrupted")
        precision = str(self.identity.config.get("precision", ""))
        about = environment(precision, self.identity)
        self._write_summary(nothing, {}, about, {CONFIG: self._write_config()})

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
