"""Damaged, missing and foreign files of a run, and places that cannot be written."""

import errno
import os
from pathlib import Path

import pytest

from fineq.errors import InputError
from fineq.runs import DamagedError, find, load
from fineq.runs import files as files_module
from tests.runs.conftest import (
    WRITTEN,
    flip,
    load_run_summary,
    rewrite_summary,
    save,
    truncate,
)

pytestmark = pytest.mark.usefixtures("plain_figures")


@pytest.mark.parametrize("name", ["data.nc", "summary.json", "config.yaml"])
@pytest.mark.parametrize("damage", [truncate, flip])
def test_damaged_files_are_named_and_computed_again(opened, name, damage):
    with opened() as run:
        save(run)
    damage(run.path / name)
    with pytest.raises(DamagedError, match=name):
        load(run.path)
    with opened() as again:
        assert not again.complete
        assert any(name in sentence for sentence in again.damage)
        save(again)
    assert load(run.path).summary["status"] == "complete"


@pytest.mark.parametrize("damage", [truncate, flip, Path.unlink])
def test_a_damaged_model_is_named_and_computed_again(opened, damage):
    with opened() as run:
        save(run)
    good = (run.path / "model.safetensors").read_bytes()
    damage(run.path / "model.safetensors")
    with opened() as again:
        assert not again.complete
        assert "model.safetensors" in again.damage[0]
        save(again)
    assert (run.path / "model.safetensors").read_bytes() == good


@pytest.mark.parametrize("name", ["data.nc", "config.yaml"])
def test_missing_files_are_named_and_computed_again(opened, name):
    with opened() as run:
        save(run)
    (run.path / name).unlink()
    with opened() as again:
        assert not again.complete
        assert again.damage == (f"{run.path / name} is missing",)
        save(again)


@pytest.mark.parametrize("damage", [truncate, Path.unlink])
def test_damaged_figures_are_drawn_again_from_the_data(opened, damage):
    with opened() as run:
        save(run)
    good = (run.path / "decay.png").read_bytes()
    damage(run.path / "decay.png")
    with opened() as again:
        assert again.complete
        assert "decay.png" in again.damage[0]
    assert (run.path / "decay.png").read_bytes() == good
    assert sorted(os.listdir(run.path)) == WRITTEN


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"[" * 100_000,
        b'{"status": "complete"}',
        b'{"status": NaN}',
        b"\xff\xfe",
    ],
)
def test_no_foreign_summary_marks_a_run_complete(opened, content):
    with opened() as run:
        save(run)
    (run.path / "summary.json").write_bytes(content)
    with pytest.raises(DamagedError, match=r"summary\.json is damaged"):
        load(run.path)
    with opened() as again:
        assert not again.complete


def test_a_run_of_schema_version_1_is_older_not_damaged(opened):
    """Its claims lacked confidence and reason; they are plain data and stay readable."""
    with opened() as run:
        save(run)
    rewrite_summary(run.path, schema_version=1)
    assert load(run.path).summary["claims"][0]["id"] == "x/y"
    assert [found.state for found in find(run.path.parents[2])] == ["older"]
    with opened() as again:
        assert not again.complete
        assert "is of an older fineq (schema version 1)" in again.damage[0]
        save(again)
    assert load_run_summary(run.path)["schema_version"] == 2


@pytest.mark.parametrize("version", [0, 3, True])
def test_an_unknown_schema_version_is_damage(opened, version):
    with opened() as run:
        save(run)
    rewrite_summary(run.path, schema_version=version)
    with pytest.raises(DamagedError, match=r"summary\.json is damaged: .*version"):
        load(run.path)


def test_an_altered_number_in_the_summary_is_damage(opened):
    with opened() as run:
        save(run)
    path = run.path / "summary.json"
    text = path.read_text()
    path.write_text(text.replace('"value": 0.5', '"value": 0.7'))
    assert path.read_text() != text
    with pytest.raises(DamagedError, match=r"summary\.json is damaged: its checksum"):
        load(run.path)


def test_a_failed_second_attempt_keeps_the_files_of_the_first(opened):
    with opened() as run:
        save(run)
    with pytest.raises(InputError), opened(force=True):
        raise InputError("no")
    assert sorted(os.listdir(run.path)) == WRITTEN[:-1]


def test_an_output_that_cannot_be_written_is_bad_input(opened, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="output folder") as caught:
        opened(output=tmp_path / "file" / "outputs")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("output", ["gs://bucket", "s3://bucket/runs", "file:///tmp", "a+b://x"])
def test_an_output_elsewhere_is_refused(opened, tmp_path, monkeypatch, output):
    monkeypatch.chdir(tmp_path)
    before = os.listdir(tmp_path)
    with pytest.raises(InputError, match="must be a folder of this machine"):
        opened(output=output)
    assert os.listdir(tmp_path) == before


@pytest.mark.parametrize("name", [*WRITTEN, ".lock"])
def test_a_folder_in_place_of_a_file_is_refused_before_anything_runs(opened, name):
    with opened() as run:
        save(run)
    (run.path / name).unlink(missing_ok=True)
    (run.path / name).mkdir()
    with pytest.raises(InputError, match="cannot write") as caught:
        opened(force=name == ".lock")  # which a finished run does not need
    assert name in str(caught.value)


@pytest.mark.parametrize("lay", [Path.touch, lambda path: path.symlink_to("elsewhere")])
def test_checkpoints_that_are_no_folder_are_refused(opened, lay):
    with opened() as run:
        save(run)
    lay(run.checkpoints)
    with pytest.raises(InputError, match="no folder lies there"):
        opened()


def test_a_folder_that_may_not_be_searched_is_bad_input(opened, monkeypatch):
    """As for anyone but root: nothing below it is seen, and nothing may be written."""
    opened(force=False).close()

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os.path, "lexists", lambda path: False)
    monkeypatch.setattr(os, "mkdir", refuse)
    monkeypatch.setattr(files_module, "existing_ancestor", lambda path: Path("/"))
    with pytest.raises(InputError, match=r"cannot write .*: permission denied"):
        opened()
