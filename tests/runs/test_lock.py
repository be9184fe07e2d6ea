"""Two processes never write one run folder; the lock dies with its process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fineq.errors import InputError
from fineq.runs.lock import NAME, RunLock

HOLD = """
import sys, time
from pathlib import Path
from fineq.runs.lock import RunLock
lock = RunLock(Path(sys.argv[1]))
print("locked", flush=True)
time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path: Path):
    """Another process that holds the lock of `tmp_path / 'run'`."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def test_second_process_gets_one_sentence_with_the_owner(tmp_path, holder):
    with pytest.raises(InputError) as caught:
        RunLock(tmp_path / "run")
    message = str(caught.value)
    assert f"process {holder.pid}" in message
    assert "being written by another process" in message
    assert caught.value.exit_code == 2


def test_the_lock_dies_with_a_killed_process(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    lock = RunLock(tmp_path / "run")
    assert (tmp_path / "run" / NAME).read_text().strip() == str(os.getpid())
    lock.release()


def test_release_frees_the_folder_and_leaves_no_file(tmp_path):
    lock = RunLock(tmp_path)
    lock.release()
    lock.release()
    assert os.listdir(tmp_path) == []
    RunLock(tmp_path).release()


def test_one_process_cannot_lock_twice(tmp_path):
    lock = RunLock(tmp_path)
    with pytest.raises(InputError, match="another process"):
        RunLock(tmp_path)
    lock.release()


def test_a_lock_file_removed_between_open_and_lock_is_not_trusted(tmp_path, monkeypatch):
    """The owner removes the file while we wait: what we locked then guards nothing."""
    import fineq.runs.lock as module

    real, calls = module.fcntl.flock, []

    def flock(descriptor, operation):
        calls.append(descriptor)
        if len(calls) == 1:
            (tmp_path / NAME).unlink()
        real(descriptor, operation)

    monkeypatch.setattr(module.fcntl, "flock", flock)
    lock = RunLock(tmp_path)
    assert len(calls) == 2
    with pytest.raises(InputError):
        RunLock(tmp_path)
    lock.release()


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch):
    import errno

    import fineq.runs.lock as module

    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(module.fcntl, "flock", flock)
    with pytest.raises(InputError, match="cannot lock files"):
        RunLock(tmp_path)


@pytest.mark.parametrize("lay", [os.symlink, os.link])
def test_a_lock_that_is_another_file_does_not_overwrite_it(tmp_path, lay):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("kept")
    (tmp_path / "run").mkdir()
    lay(elsewhere, tmp_path / "run" / NAME)
    with pytest.raises(InputError, match=r"\.lock"):
        RunLock(tmp_path / "run")
    assert elsewhere.read_text() == "kept"


@pytest.mark.parametrize("lay", [os.mkdir, os.mkfifo])
def test_a_lock_that_is_no_file_is_bad_input(tmp_path, lay):
    lay(tmp_path / NAME)
    with pytest.raises(InputError, match=r"\.lock"):
        RunLock(tmp_path)


def test_a_folder_that_has_become_read_only_is_released(tmp_path, monkeypatch):
    lock = RunLock(tmp_path)

    def refuse(*_, **__):
        raise PermissionError("read-only")

    monkeypatch.setattr(Path, "unlink", refuse)
    lock.release()
    monkeypatch.undo()
    RunLock(tmp_path).release()
