"""The life of a run folder: new, complete, found, loaded, and what its summary tells."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from fineq.errors import InputError
from fineq.runs import DamagedError, find_run, load
from fineq.runs.folders import read_config
from tests.runs.conftest import (
    TIMING,
    WRITTEN,
    claim,
    load_run_summary,
    rate,
    result,
    save,
)

pytestmark = pytest.mark.usefixtures("plain_figures")


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


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a b", "n" * 201, "n" * 250])
def test_names_that_are_no_folder_names_are_refused(opened, tmp_path, name):
    with pytest.raises(InputError, match="name must be at most 200 letters"):
        opened(name=name)
    assert not (tmp_path / "outputs").exists()


def test_the_longest_name_is_a_folder(opened):
    with opened(name="n" * 200) as run:
        save(run)
    assert load(run.path).summary["name"] == "n" * 200


def test_loading_executes_nothing(opened, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with opened() as run:
        save(run)
    text = "!!python/object/apply:os.system ['echo executed > executed']\n"
    (run.path / "config.yaml").write_text(text)
    with pytest.raises(DamagedError, match=r"config\.yaml is damaged: not a configuration"):
        read_config(run.path)
    assert not Path("executed").exists()


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
