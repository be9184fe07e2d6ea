"""Removing runs: the files that fineq wrote into a folder, and nothing else that lies there."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fineq.errors import InputError
from fineq.runs import data
from fineq.runs import summary as summaries
from fineq.runs.data import DamagedError
from fineq.runs.drawing import SUFFIXES
from fineq.runs.files import CHECKPOINT, CHECKPOINTS, PART, disk_errors
from fineq.runs.folders import CONFIG
from fineq.runs.lock import NAME as LOCK
from fineq.runs.lock import RunLock


class Part(NamedTuple):
    """Files of one run.

    Attributes:
        folder: of the run.
        files: that would go.
        size: in bytes.
        left: names of what else lies in the folder, and stays.
    """

    folder: Path
    files: tuple[Path, ...]
    size: int
    left: tuple[str, ...] = ()


def whole(folder: Path) -> Part:
    """All that fineq wrote into a run's folder; a folder that is a link keeps everything."""
    if folder.is_symlink():
        return Part(folder, (), 0, (folder.name,))
    names = {CONFIG, data.NAME, summaries.NAME, *_named(folder)}
    files = [path for path in _files(folder) if path.name in names or _is_part(path)]
    kept = checkpoints(folder).files
    there = {LOCK, *(path.name for path in files), *([CHECKPOINTS] if kept else [])}
    left = sorted(entry.name for entry in os.scandir(folder) if entry.name not in there)
    return Part(folder, (*files, *kept), _size([*files, *kept]), tuple(left))


def checkpoints(folder: Path) -> Part:
    """The checkpoints of a run; without them it begins anew."""
    place = folder / CHECKPOINTS
    if place.is_symlink() or not place.is_dir():
        return Part(folder, (), 0)
    files = [p for p in _files(place) if p.name.endswith(CHECKPOINT) or _is_part(p)]
    return Part(folder, tuple(files), _size(files))


def remove(part: Part) -> bool:
    """Remove the files, and the run's, study's and area's folders where they are empty then.

    Returns:
        Whether it was done: not where the run is being written.

    Raises:
        InputError, ResourceError: for a file that cannot be removed.
    """
    try:
        lock = RunLock(part.folder)
    except InputError:
        return False
    try:
        # The summary goes first: what is left of a run whose removal was stopped is no run.
        for path in sorted(part.files, key=lambda path: path.name != summaries.NAME):
            with disk_errors(path):
                path.unlink(missing_ok=True)
    finally:
        lock.release()
    for folder in (part.folder / CHECKPOINTS, part.folder, *part.folder.parents[:2]):
        with contextlib.suppress(OSError):  # it holds something else
            folder.rmdir()
    return True


def _named(folder: Path) -> list[str]:
    """The files that a summary names; without one, the figures that the data describe."""
    with contextlib.suppress(DamagedError):
        return list(summaries.read_summary(folder)["files"])
    with contextlib.suppress(DamagedError, ValueError):
        figures = data.figures_of(data.read_dataset(folder / data.NAME))
        return [f"{figure.name}.{suffix}" for figure in figures for suffix in SUFFIXES]
    return []


def _files(folder: Path) -> Iterator[Path]:
    return (
        Path(entry.path) for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False)
    )


def _is_part(path: Path) -> bool:
    return path.name.startswith(".") and path.name.endswith(PART)


def _size(files: list[Path]) -> int:
    return sum(path.lstat().st_size for path in files)
