"""Runs that are stopped, killed or cut off by a full disk keep what they have, and go on."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from fineq.errors import FineqError, InputError, ResourceError
from fineq.runs import Run, find, load, redraw
from fineq.runs import files as files_module
from fineq.runs.checkpoint import Checkpoints
from tests.runs.conftest import (
    WRITTEN,
    load_run_summary,
    save,
)

pytestmark = pytest.mark.usefixtures("plain_figures")


def checkpoint(run) -> None:
    run.checkpoints.mkdir()
    (run.checkpoints / "state").write_text("step 10")


def stopped(opened, error: BaseException):
    """A run that is stopped by `error` after its first checkpoint."""
    run = opened()

    def work():
        with run:
            checkpoint(run)
            raise error

    with pytest.raises(type(error)):
        work()
    return run


def test_an_interrupted_run_keeps_its_checkpoints_and_is_resumed(opened):
    run = stopped(opened, KeyboardInterrupt())
    assert load_run_summary(run.path)["status"] == "interrupted"
    assert [found.state for found in find(run.path.parents[2])] == ["interrupted"]
    with opened() as again:
        assert again.resumed
        assert not again.complete
        assert (again.checkpoints / "state").read_text() == "step 10"
        save(again)
        assert not again.checkpoints.exists()
    assert sorted(os.listdir(run.path)) == WRITTEN


@pytest.mark.parametrize("code", [130, 143])
def test_a_clean_stop_of_the_driver_counts_as_interrupted(opened, code):
    class StopError(InputError):
        exit_code = code

    run = stopped(opened, StopError("stopped"))
    assert load_run_summary(run.path)["status"] == "interrupted"


def test_a_result_that_was_cut_short_stays_resumable(opened):
    with opened() as run:
        checkpoint(run)
        save(run, "interrupted")
    assert load(run.path).summary["status"] == "interrupted"
    with opened() as again:
        assert again.resumed


def test_force_forgets_checkpoints(opened):
    stopped(opened, KeyboardInterrupt())
    with opened(force=True) as again:
        assert not again.resumed


@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError, MemoryError])
def test_a_run_that_ends_with_nothing_to_keep_leaves_nothing(opened, tmp_path, error):
    with pytest.raises(error), opened():
        raise error
    assert not (tmp_path / "outputs").exists()


def test_a_killed_run_is_unfinished_and_its_leftovers_are_swept(opened):
    with opened() as run:
        checkpoint(run)
        save(run, "interrupted")
    (run.path / "summary.json").unlink()
    (run.path / ".data.nc.4242.part").write_bytes(b"half")
    (run.path / ".lock").write_text("4242")
    assert [found.state for found in find(run.path.parents[2])] == ["unfinished"]
    with opened() as again:
        assert again.resumed
        save(again)
    assert sorted(os.listdir(run.path)) == WRITTEN


@pytest.mark.parametrize("stage", range(6))
def test_a_full_disk_leaves_no_half_run(opened, monkeypatch, stage):
    """The disk fills at the n-th file: config, config again, data, png, pdf, summary."""
    real, calls = os.replace, []

    def replace(source, target):
        calls.append(target)
        if len(calls) == stage + 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    monkeypatch.setattr(files_module.os, "replace", replace)
    with pytest.raises(ResourceError, match="disk is full"):
        run_with_checkpoint(opened)
    monkeypatch.undo()
    folders = list(Path(calls[0]).parent.glob("*"))
    assert not [path for path in folders if path.name in ("summary.json", ".lock")]
    assert not [path for path in folders if path.suffix == ".part"]


def run_with_checkpoint(opened) -> None:
    with opened() as run:
        checkpoint(run)
        save(run)


def test_a_full_disk_keeps_checkpoints(opened, monkeypatch):
    from fineq.runs import run as run_module

    def full(*_):
        raise ResourceError("the disk is full")

    monkeypatch.setattr(run_module, "write_dataset", full)
    with pytest.raises(ResourceError):
        run_with_checkpoint(opened)
    monkeypatch.undo()
    with opened() as again:
        assert again.resumed
        assert (again.checkpoints / "state").read_text() == "step 10"


def test_an_interrupted_run_loads_without_data(opened):
    run = stopped(opened, KeyboardInterrupt())
    loaded = load(run.path)
    assert loaded.summary["status"] == "interrupted"
    assert loaded.config == run.identity.config
    assert dict(loaded.dataset) == {}
    assert loaded.figures == ()
    assert all(path.exists() for path in loaded.files)
    assert redraw(run.path) == []


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.EIO, errno.EMFILE])
def test_a_refused_final_write_keeps_checkpoints(opened, monkeypatch, code):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Run, "_write_config", lambda run: "")  # all that was written before
    monkeypatch.setattr(files_module.os, "replace", refuse)
    with pytest.raises(FineqError, match="cannot write"):
        run_with_checkpoint(opened)
    monkeypatch.undo()
    with opened() as again:
        assert again.resumed
        assert (again.checkpoints / "state").read_text() == "step 10"


def test_a_checkpoint_that_is_refused_keeps_the_others(opened, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    run = opened()
    Checkpoints(run.checkpoints, run.identity.hash).save("first", np.ones(3))

    def second_stage():
        with run:
            Checkpoints(run.checkpoints, run.identity.hash).save("second", np.ones(3))

    monkeypatch.setattr(files_module.os, "replace", refuse)
    with pytest.raises(InputError, match="cannot write"):
        second_stage()
    monkeypatch.undo()
    with opened() as again:
        kept = Checkpoints(again.checkpoints, again.identity.hash)
        np.testing.assert_array_equal(kept.load("first", np.zeros(3)), np.ones(3))
