"""What lies in a folder of runs is a run, and that run, only as it was written."""

import hashlib
import json
import shutil

import pytest

from fineq.figures import Figure
from fineq.runs import DamagedError, Run, find, load, redraw
from tests.runs.conftest import copy_run, flip, load_run_summary, rewrite_summary, save, truncate

pytestmark = pytest.mark.usefixtures("plain_figures")


def test_runs_are_found_by_area_and_study(opened, tmp_path):
    with opened({"seeds": 1}) as run:
        save(run)
    with opened({"seeds": 2}) as other:
        save(other, "diverged")
    (tmp_path / "outputs" / "toy" / "decay" / "not-a-run").mkdir()
    found = find(tmp_path / "outputs", "toy")
    assert {(item.path, item.state) for item in found} == {
        (run.path, "complete"),
        (other.path, "diverged"),
    }
    assert {(item.area, item.study, item.name) for item in found} == {("toy", "decay", "run")}
    assert {item.hash for item in found} == {run.identity.hash, other.identity.hash}
    assert find(tmp_path / "outputs", "toy", "other") == []
    assert find(tmp_path / "nowhere") == []


def test_a_summary_of_another_run_is_not_taken_for_this_one(opened):
    with opened({"seeds": 1}) as one:
        save(one)
    with opened({"seeds": 2}) as two:
        save(two, scale=3.0)
    shutil.copy(one.path / "summary.json", two.path / "summary.json")
    with opened({"seeds": 2}) as again:
        assert not again.complete


def test_all_files_of_another_run_are_not_this_run(opened):
    with opened({"first_seed": 100}) as other:
        save(other, scale=100.0)
    with opened({"first_seed": 0}) as run:
        save(run)
    shutil.rmtree(run.path)
    copy_run(other.path, run.path)
    with pytest.raises(DamagedError, match="belongs to another run"):
        load(run.path)
    with opened({"first_seed": 0}) as again:
        assert not again.complete
        assert "belongs to another run" in again.damage[0]
        save(again)
    assert load(run.path).dataset["error"].values[0, 0] == 1.0


@pytest.mark.parametrize("name", ["data.nc", "config.yaml"])
def test_one_file_of_another_run_is_not_this_runs_though_the_summary_agrees(opened, name):
    """As a program would do it that rewrites the checksums."""
    with opened({"first_seed": 100}) as other:
        save(other, scale=100.0)
    with opened({"first_seed": 0}) as run:
        save(run)
    shutil.copy(other.path / name, run.path / name)
    files = load_run_summary(run.path)["files"] | {
        name: hashlib.sha256((run.path / name).read_bytes()).hexdigest()
    }
    rewrite_summary(run.path, files=files)
    if name == "data.nc":
        with pytest.raises(DamagedError, match=r"data\.nc belongs to another run"):
            load(run.path)
    else:
        with opened({"first_seed": 0}) as again:
            assert not again.complete
            assert "config.yaml belongs to another run" in again.damage[0]


def test_a_renamed_folder_still_loads_but_not_under_another_runs_name(opened):
    with opened() as run:
        save(run)
    renamed = run.path.rename(run.path.parent / "figure-3")
    assert load(renamed).summary["hash"] == run.identity.hash
    with pytest.raises(DamagedError, match="belongs to another run"):
        load(renamed.rename(run.path.parent / "run-0123456789ab"))


def with_data(run: Run, content: bytes) -> None:
    """Lay other data into a run, with checksums that agree."""
    (run.path / "data.nc").write_bytes(content)
    files = load_run_summary(run.path)["files"]
    rewrite_summary(run.path, files=files | {"data.nc": hashlib.sha256(content).hexdigest()})


@pytest.mark.parametrize("name", ["../../../escaped", "/escaped", "a/b", "..", ""])
def test_a_figure_is_never_written_outside_its_folder(opened, tmp_path, name):
    with opened() as run:
        save(run)
    dataset = load(run.path).dataset
    dataset.attrs["figures"] = dataset.attrs["figures"].replace('"decay"', json.dumps(name))
    with_data(run, bytes(dataset.to_netcdf(path=None, engine="h5netcdf")))
    (tmp_path / "escaped.png").write_text("precious")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DamagedError, match=r"data\.nc is damaged: a figure is named by letters"):
        redraw(run.path)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "escaped.png").read_text() == "precious"


def test_a_figure_has_a_plain_name_from_the_start():
    with pytest.raises(ValueError, match="a figure is named by letters"):
        Figure("../escaped", ())


@pytest.mark.parametrize("name", ["../other.png", "/etc/passwd", "..", "", "a\0b"])
def test_files_of_a_summary_have_plain_names(opened, name):
    with opened() as run:
        save(run)
    rewrite_summary(run.path, files=load_run_summary(run.path)["files"] | {name: "0"})
    with pytest.raises(DamagedError, match="is no plain name of a file"):
        load(run.path)


@pytest.mark.parametrize("name", ["data.nc", "config.yaml", "summary.json"])
@pytest.mark.parametrize("damage", [truncate, flip])
def test_a_damaged_run_is_found_damaged(opened, name, damage):
    with opened() as run:
        save(run)
    damage(run.path / name)
    assert [found.state for found in find(run.path.parents[2])] == ["damaged"]


def test_a_run_without_its_data_is_found_damaged(opened):
    with opened() as run:
        save(run)
    (run.path / "data.nc").unlink()
    assert [found.state for found in find(run.path.parents[2])] == ["damaged"]


def test_a_run_under_the_name_of_another_is_found_damaged(opened):
    with opened() as run:
        save(run)
    copy_run(run.path, run.path.parent / "run-0123456789ab")
    copy_run(run.path, run.path.parent / "figure-3")
    found = {found.path.name: found.state for found in find(run.path.parents[2])}
    assert found == {
        run.path.name: "complete",
        "figure-3": "complete",
        "run-0123456789ab": "damaged",
    }
