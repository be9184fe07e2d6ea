"""The life of a run folder: new, complete, interrupted, damaged, on a full disk."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fineq.errors import FineqError, InputError, ResourceError
from fineq.runs import DamagedError, Run, find, find_run, load, redraw
from fineq.runs import files as files_module
from fineq.runs.checkpoint import Checkpoints
from fineq.runs.folders import read_config
from tests.runs.conftest import (
    TIMING,
    claim,
    flip,
    load_run_summary,
    rate,
    result,
    rewrite_summary,
    save,
    truncate,
)

pytestmark = pytest.mark.usefixtures("plain_figures")
WRITTEN = ["config.yaml", "data.nc", "decay.pdf", "decay.png", "summary.json"]


def test_a_run_is_written_and_read_back(opened):
    with opened({"seeds": 3, "sweep": {"x": (1, 2.5)}, "none": None}) as run:
        assert not run.complete
        assert not run.resumed
        assert run.path.name == f"run-{run.identity.hash}"
        assert run.path.parts[-3:-1] == ("toy", "decay")
        save(run)
    assert sorted(os.listdir(run.path)) == WRITTEN
    loaded = load(run.path)
    assert loaded.config == {"seeds": 3, "sweep": {"x": [1, 2.5]}, "none": None}
    np.testing.assert_array_equal(loaded.dataset["error"], result().arrays["error"].values)
    assert loaded.figures == result().figures
    assert sorted(path.name for path in loaded.files) == WRITTEN
    assert all(path.exists() for path in loaded.files)


def test_the_summary_follows_the_schema_with_null_for_what_is_not_finite(opened):
    with opened() as run:
        save(run)
    summary = json.loads((run.path / "summary.json").read_text(), parse_constant=pytest.fail)
    assert summary["schema_version"] == 2
    assert (summary["area"], summary["study"], summary["name"]) == ("toy", "decay", "run")
    assert summary["status"] == "complete"
    assert summary["timing"] == TIMING
    assert summary["claims"][0] == {
        **claim(0.5).entry,
        "measured": {"value": 0.5, "low": 0.5, "high": None, "unit": "1"},
    }
    assert summary["rates"][0] == {**rate(0.5).entry, "low": None, "high": None}
    assert {"versions", "commit", "devices", "precision"} <= summary["environment"].keys()
    assert summary["environment"]["devices"] == {"cpu": 1}
    assert sorted(summary["files"]) == WRITTEN[:-1]


def test_a_claim_without_a_key_of_the_schema_is_refused(opened):
    bad = claim(1.0)
    del bad.entry["source"]
    wrong = result()
    object.__setattr__(wrong, "claims", (bad,))
    with pytest.raises(ValueError, match="lacks source"), opened() as run:
        run.save(wrong, TIMING, "float64")
    assert not run.path.exists()


@pytest.mark.parametrize("status", ["complete", "partly_diverged", "diverged"])
def test_a_finished_run_is_not_run_again_and_not_locked(opened, status):
    with opened() as run:
        save(run, status)
    before = {p.name: p.stat().st_mtime_ns for p in run.path.iterdir()}
    with opened() as first, opened() as second:
        assert first.complete
        assert second.complete
        assert second.load().summary["status"] == status
    assert {p.name: p.stat().st_mtime_ns for p in run.path.iterdir()} == before


def test_force_runs_again(opened):
    with opened() as run:
        save(run)
    with opened(force=True) as run:
        assert not run.complete
        assert not (run.path / "summary.json").exists()
        save(run, scale=2.0)
    assert load(run.path).dataset["error"].values[0, 0] == 2.0


def test_another_configuration_is_another_folder(opened):
    with opened({"seeds": 1}) as one, opened({"seeds": 2}) as two:
        save(one)
        save(two)
    assert one.path != two.path


def test_two_writers_of_one_run_exclude_each_other(opened):
    with opened() as run:
        with pytest.raises(InputError, match="being written"):
            opened()
        save(run)
    with opened() as again:
        assert again.complete


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


def test_an_output_that_cannot_be_written_is_bad_input(opened, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="output folder") as caught:
        opened(output=tmp_path / "file" / "outputs")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a b", "n" * 201, "n" * 250])
def test_names_that_are_no_folder_names_are_refused(opened, tmp_path, name):
    with pytest.raises(InputError, match="name must be at most 200 letters"):
        opened(name=name)
    assert not (tmp_path / "outputs").exists()


def test_the_longest_name_is_a_folder(opened):
    with opened(name="n" * 200) as run:
        save(run)
    assert load(run.path).summary["name"] == "n" * 200


@pytest.mark.parametrize("output", ["gs://bucket", "s3://bucket/runs", "file:///tmp", "a+b://x"])
def test_an_output_elsewhere_is_refused(opened, tmp_path, monkeypatch, output):
    monkeypatch.chdir(tmp_path)
    before = os.listdir(tmp_path)
    with pytest.raises(InputError, match="must be a folder of this machine"):
        opened(output=output)
    assert os.listdir(tmp_path) == before


def test_loading_executes_nothing(opened, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with opened() as run:
        save(run)
    text = "!!python/object/apply:os.system ['echo executed > executed']\n"
    (run.path / "config.yaml").write_text(text)
    with pytest.raises(DamagedError, match=r"config\.yaml is damaged: not a configuration"):
        read_config(run.path)
    assert not Path("executed").exists()


def test_redraw_recomputes_nothing_and_keeps_the_run_whole(opened, monkeypatch):
    with opened() as run:
        save(run)
    from fineq import plot

    monkeypatch.setattr(plot, "render", lambda x, _=None: {"png": b"new style"})
    assert redraw(run.path) == [run.path / "decay.png"]
    assert (run.path / "decay.png").read_bytes() == b"new style"
    with opened() as again:
        assert again.complete
        assert again.damage == ()


def test_a_figure_that_cannot_be_drawn_costs_only_itself_and_is_drawn_later(opened, monkeypatch):
    from fineq import plot

    def fail(*_):
        raise RuntimeError("latex could\n  not be found")

    working = plot.draw
    monkeypatch.setattr(plot, "draw", fail)
    with opened() as run:
        save(run)
    why = {"decay": "RuntimeError: latex could not be found"}
    assert sorted(os.listdir(run.path)) == ["config.yaml", "data.nc", "summary.json"]
    loaded = load(run.path)
    assert loaded.summary["undrawn"] == why
    assert loaded.summary["status"] == "complete"
    assert len(loaded.summary["claims"]) == 1
    computed = (run.path / "data.nc").read_bytes()
    with opened() as again:  # in vain, once more
        assert again.complete
        assert again.summary()["undrawn"] == why
    monkeypatch.setattr(plot, "draw", working)
    with opened() as again:
        assert again.complete
        assert again.summary()["undrawn"] == {}
        assert any("drawn again" in remark for remark in again.remarks)
    assert sorted(os.listdir(run.path)) == WRITTEN
    assert (run.path / "data.nc").read_bytes() == computed
    monkeypatch.setattr(plot, "draw", fail)
    with opened() as again:
        assert again.remarks == ()  # nothing is left to draw


def test_a_figure_that_fails_leaves_no_figure_of_other_data(opened, monkeypatch):
    from fineq import plot

    with opened() as run:
        save(run)
    monkeypatch.setattr(plot, "render", lambda *_: {}["gone"])
    with opened(force=True) as run:
        save(run, scale=2.0)
    assert sorted(os.listdir(run.path)) == ["config.yaml", "data.nc", "summary.json"]


SETTINGS = """
import sys
from pathlib import Path
from fineq.runs.drawing import write_figures
from fineq.runs.data import read_dataset
drawn = write_figures(Path(sys.argv[1]), read_dataset(Path(sys.argv[1]) / "data.nc"))
print(sorted(drawn.files), drawn.failed)
"""


def test_figures_are_drawn_under_settings_that_matplotlib_refuses(opened, tmp_path):
    """A notebook's backend that is not installed, and a file of settings in another encoding."""
    with opened() as run:
        save(run)
    (tmp_path / "matplotlibrc").write_bytes(b"text.usetex: True\n# \xff\xfe\n")
    rc = {"MPLBACKEND": "module://nowhere.inline", "MATPLOTLIBRC": str(tmp_path / "matplotlibrc")}
    words = [sys.executable, "-c", SETTINGS, str(run.path)]
    done = subprocess.run(words, env={**os.environ, **rc}, capture_output=True, text=True)
    assert done.stdout == "['decay.pdf', 'decay.png'] {}\n", done.stderr
    assert (run.path / "decay.png").read_bytes().startswith(b"\x89PNG")


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


@pytest.mark.parametrize("name", ["data.nc", "summary.json", "config.yaml", "decay.png", ".lock"])
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


def test_what_draws_may_change_and_is_drawn_again_with_nothing_computed(
    opened, named, sources, monkeypatch, tmp_path
):
    with opened() as run:
        save(run)
    data = (run.path / "data.nc").stat().st_mtime_ns
    from fineq import plot

    (sources / "plot" / "style.py").write_text("width = 2\n")
    monkeypatch.setattr(plot, "render", lambda x, _=None: {"png": b"wide", "pdf": b"%PDF wide"})
    assert find_run(tmp_path / "outputs", named()) is None
    with opened() as again:
        assert again.complete
        assert again.path == run.path
        assert again.remarks == ("its figures are drawn again, as they are drawn now",)
    assert (run.path / "decay.png").read_bytes() == b"wide"
    assert (run.path / "data.nc").stat().st_mtime_ns == data
    assert find_run(tmp_path / "outputs", named()) is not None
    with opened() as third:
        assert third.remarks == ()


def test_figures_that_cannot_be_drawn_again_stay(opened, sources, monkeypatch):
    with opened() as run:
        save(run)
    before = (run.path / "decay.png").read_bytes()
    (sources / "plot" / "style.py").write_text("width = 2\n")
    monkeypatch.setattr(files_module.os, "access", lambda path, mode: False)
    with opened() as again:
        assert again.complete
        assert "as they were drawn before" in again.remarks[0]
    assert (run.path / "decay.png").read_bytes() == before


def test_what_computes_may_not_change(opened, sources):
    with opened() as run:
        save(run)
    (sources / "a.py").write_text("x = 2\n")
    with opened() as other:
        assert not other.complete
        assert other.path != run.path


def test_a_run_of_another_jax_is_said(opened, monkeypatch):
    from fineq.runs import run as run_module

    with opened() as run:
        save(run)
    monkeypatch.setattr(run_module, "version", lambda name: "99.0")
    with opened() as again:
        (remark,) = again.remarks
    assert "here is JAX 99.0" in remark


def test_a_run_is_found_without_a_lock_or_a_write(opened, named, tmp_path):
    assert find_run(tmp_path / "outputs", named()) is None
    assert not (tmp_path / "outputs").exists()
    with opened() as run:
        assert find_run(tmp_path / "outputs", named()) is None
        save(run)
    found = find_run(tmp_path / "outputs", named())
    assert found is not None
    assert found.path == run.path
    (run.path / "decay.pdf").unlink()
    assert find_run(tmp_path / "outputs", named()) is None


def test_a_result_without_a_finite_number_is_diverged(opened):
    nothing = result(scale=np.nan)
    assert nothing.status == "diverged"
    assert result().status == "complete"
    with opened() as run:
        run.save(nothing, TIMING, "float64")
    assert load(run.path).summary["status"] == "diverged"


def test_the_summary_records_what_made_the_numbers(opened):
    with opened() as run:
        save(run)
    summary = load_run_summary(run.path)
    assert summary["environment"]["platform"] == "cpu"
    assert summary["environment"]["switches"]["jax_enable_x64"] is True
    assert summary["environment"]["switches"]["jax_default_prng_impl"] == "threefry2x32"
    assert summary["sources"]["computing"] == run.identity.sources.computing
