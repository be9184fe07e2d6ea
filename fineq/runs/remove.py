"""Removing runs: the files that fineq wrote into a folder, and nothing else that lies there."""

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from fineq.errors import FineqError, InputError, ResourceError
from fineq.runs import data
from fineq.runs import summary as summaries
from fineq.runs.data import DamagedError
from fineq.runs.drawing import SUFFIXES
from fineq.runs.files import CHECKPOINT, CHECKPOINTS, PART
from fineq.runs.folders import CONFIG, is_own, may_be_own
from fineq.runs.lock import NAME as LOCK
from fineq.runs.lock import BusyError, RunLock

NOT_KNOWN = "does not say that fineq made it"
_PART = re.compile(rf"\..+\.[0-9]+{re.escape(PART)}")  # as `write_atomic` names it


class File(NamedTuple):
    """A file as it was found; one of another size or time is another."""

    path: Path
    size: int
    written: int


class Part(NamedTuple):
    """Files of one run.

    Attributes:
        folder: of the run.
        files: that would go, each with its size and when it was written.
        left: names of what else lies in the folder, and stays.
    """

    folder: Path
    files: tuple[File, ...]
    left: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(file.size for file in self.files)


Listing = Callable[[Path], Part]  # `whole` or `checkpoints`


def whole(folder: Path, *, certain: bool = True) -> Part:
    """All that fineq wrote into a run's folder; what is none of fineq's keeps everything.

    Args:
        folder: of the run.
        certain: only of a folder that says that fineq made it, not of one that is too damaged to.
    """
    if not _is_own(folder, certain):
        return Part(folder, (), (folder.name,) if folder.is_symlink() else tuple(_entries(folder)))
    names = {CONFIG, data.NAME, summaries.NAME, *_named(folder)}
    files = [file for file in _files(folder) if file.path.name in names or _is_part(file.path)]
    kept = checkpoints(folder, certain=certain).files
    there = {LOCK, *(file.path.name for file in files), *([CHECKPOINTS] if kept else [])}
    left = (name for name in _entries(folder) if name not in there)
    return Part(folder, (*files, *kept), tuple(left))


def checkpoints(folder: Path, *, certain: bool = True) -> Part:
    """The checkpoints of a run; without them it begins anew. As `whole` of its arguments."""
    place = folder / CHECKPOINTS
    if place.is_symlink() or not place.is_dir() or not _is_own(folder, certain):
        return Part(folder, ())
    files = [f for f in _files(place) if f.path.name.endswith(CHECKPOINT) or _is_part(f.path)]
    return Part(folder, tuple(files))


def _is_own(folder: Path, certain: bool) -> bool:
    return is_own(folder) if certain else may_be_own(folder)


def remove(part: Part, listing: Listing) -> str:
    """Remove the files, and the run's, study's and area's folders where they are empty then.

    Args:
        part: what was agreed to.
        listing: what made it: it is asked again once nobody else can write.

    Returns:
        Why all of them stay, in words; empty where they are gone.

    Raises:
        InputError, ResourceError: for a folder that cannot be locked, a file that cannot be
            removed.
    """
    folder = part.folder
    if not part.files:
        return NOT_KNOWN
    if not folder.is_dir():
        return "is gone already"
    try:
        lock = RunLock(folder)
    except BusyError:
        return "is being written by another process"
    except FineqError as error:
        raise type(error)(f"{folder} cannot be removed: {_reason(error)}") from error
    try:
        if {*listing(folder).files} != {*part.files}:
            return "has changed since"
        # The summary goes first: what is left of a run whose removal was stopped is no run.
        for file in sorted(part.files, key=lambda file: file.path.name != summaries.NAME):
            unlink(file.path)
    finally:
        lock.release()
    for empty in (folder / CHECKPOINTS, folder, *folder.parents[:2]):
        with contextlib.suppress(OSError):  # it holds something else
            empty.rmdir()
    return ""


def unlink(path: Path) -> None:
    """Remove a file, which may be gone already; an error of the system is told in words."""
    try:
        path.unlink(missing_ok=True)
    except PermissionError as error:
        raise InputError(f"{path} cannot be removed: {_reason(error)}") from error
    except OSError as error:
        raise ResourceError(f"{path} cannot be removed: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """What the system said, where it did."""
    cause = error if isinstance(error, OSError) else error.__cause__
    said = isinstance(cause, OSError) and cause.strerror
    return said.lower() if said else str(error)


def _named(folder: Path) -> list[str]:
    """The files that a summary names; without one, the figures that the data describe."""
    with contextlib.suppress(DamagedError):
        return list(summaries.read_summary(folder)["files"])
    with contextlib.suppress(DamagedError, ValueError):
        figures = data.figures_of(data.read_dataset(folder / data.NAME))
        return [f"{figure.name}.{suffix}" for figure in figures for suffix in SUFFIXES]
    return []


def _entries(folder: Path) -> list[str]:
    return sorted(entry.name for entry in _scanned(folder))


def _scanned(folder: Path) -> list[os.DirEntry]:
    try:
        return list(os.scandir(folder))
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {_reason(error)}") from error


def _files(folder: Path) -> Iterator[File]:
    for entry in _scanned(folder):
        if entry.is_file(follow_symlinks=False):
            about = entry.stat(follow_symlinks=False)
            yield File(Path(entry.path), about.st_size, about.st_mtime_ns)


def _is_part(path: Path) -> bool:
    return _PART.fullmatch(path.name) is not None
