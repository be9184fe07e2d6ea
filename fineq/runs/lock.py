"""One writer per run folder: a lock that dies with its process."""

import contextlib
import errno
import fcntl
import os
import stat
from pathlib import Path

from fineq.errors import InputError
from fineq.runs.files import disk_errors

NAME = ".lock"


class BusyError(InputError):
    """Another process writes the run."""


class RunLock:
    """An exclusive lock on a run folder, held until `release` or the end of the process.

    The operating system drops it when the process ends in any way, so no stale lock remains.

    Raises:
        BusyError: when another process holds it (its process number is named).
        InputError, ResourceError: when the folder cannot be written or the file system cannot lock.

    """

    def __init__(self, folder: Path):
        self.path = folder / NAME
        self._folder = folder
        self._descriptor: int | None = None
        while self._descriptor is None:
            self._try()

    def _try(self) -> None:
        with disk_errors(self.path):
            self._folder.mkdir(parents=True, exist_ok=True)
            # What is written into the lock must not reach a file elsewhere through a link.
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
            descriptor = os.open(self.path, flags, 0o644)
        try:
            self._check_plain(descriptor)
            self._lock(descriptor)
            if self._is_current(descriptor):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
                self._descriptor, descriptor = descriptor, -1
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    def _check_plain(self, descriptor: int) -> None:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode) or about.st_nlink > 1:
            raise InputError(f"cannot write {self.path}: it is not a file of its own; remove it")

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise InputError(
                    f"the file system of {self._folder} cannot lock files; choose another output="
                ) from None
            raise BusyError(
                f"run folder {self._folder} is being written by another process"
                f"{_owner(descriptor)}; wait for it or choose another output="
            ) from None

    def _is_current(self, descriptor: int) -> bool:
        # The last owner may have removed the file between our open and our lock.
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self.path))
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """As `release`, for `contextlib.closing`."""
        self.release()

    def release(self) -> None:
        """Give the lock up; a second call does nothing."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):  # a folder that has become read-only
                self.path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None


def _owner(descriptor: int) -> str:
    number = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
    return f" (process {number})" if number.isdigit() else ""
