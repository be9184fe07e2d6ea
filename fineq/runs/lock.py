"""One writer per run folder: a lock that dies with its process."""

import errno
import fcntl
import os
from pathlib import Path

from fineq.errors import InputError
from fineq.runs.files import disk_errors

NAME = ".lock"


class RunLock:
    """An exclusive lock on a run folder, held until `release` or the end of the process.

    The operating system drops it when the process ends in any way, so no stale lock remains.

    Raises:
        InputError: when another process holds it (its process number is named), or when the
            file system cannot lock.

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
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._lock(descriptor)
            if self._is_current(descriptor):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
                self._descriptor, descriptor = descriptor, -1
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise InputError(
                    f"the file system of {self._folder} cannot lock files; choose another output="
                ) from None
            raise InputError(
                f"run folder {self._folder} is being written by another process"
                f"{_owner(descriptor)}; wait for it or choose another output="
            ) from None

    def _is_current(self, descriptor: int) -> bool:
        # The last owner may have removed the file between our open and our lock.
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self.path))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Give the lock up; a second call does nothing."""
        if self._descriptor is not None:
            self.path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None


def _owner(descriptor: int) -> str:
    number = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
    return f" (process {number})" if number.isdigit() else ""
