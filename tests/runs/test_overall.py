"""The summary of many runs."""

import json

import numpy as np
import pytest

from fineq.errors import InputError
from fineq.runs import Outcome, write_overall_summary
from fineq.runs.overall import count_verdicts
from tests.runs.conftest import claim, save
from tests.shell.made import undrawn


@pytest.fixture(autouse=True)
def no_figures():
    with undrawn():
        yield


def test_all_runs_all_claims_and_the_worst_exit(opened, tmp_path):
    with opened() as run:
        save(run, "partly_diverged")
    outcomes = [
        Outcome("toy/decay", 0, run.path, seconds=1.5),
        Outcome("toy/broken", 2, None, "system.path: cannot read plant.npz", 0.5),
        Outcome("toy/diverged", 3),
    ]
    path = write_overall_summary(tmp_path / "outputs", outcomes)
    assert path == tmp_path / "outputs" / "summary.json"
    summary = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert summary["exit_code"] == 3
    assert summary["seconds"] == 2.0
    assert [entry["study"] for entry in summary["runs"]] == [o.study for o in outcomes]
    first, second, _ = summary["runs"]
    assert first["path"] == f"toy/decay/{run.path.name}"
    assert first["status"] == "partly_diverged"
    assert second == {
        "study": "toy/broken",
        "exit_code": 2,
        "path": None,
        "seconds": 0.5,
        "message": "system.path: cannot read plant.npz",
    }
    assert len(summary["claims"]) == 1
    assert summary["claims"][0]["run"] == first["path"]
    assert summary["claims"][0]["id"] == claim(np.nan).entry["id"]


def test_how_many_verdicts_chance_would_refute():
    def judged(verdict, confidence=0.95, sampled=False):
        return {"verdict": verdict, "confidence": confidence, "sampled": sampled}

    claims = [
        *[judged("holds")] * 37,
        *[judged("fails")] * 2,
        judged("inconclusive"),
        judged("inconclusive", 0.75),  # of too few seeds: neither holds nor fails by chance
        judged("holds", 1.0),  # exact
        judged("not refuted", sampled=True),  # only a counterexample refutes it
        judged(None),
    ]
    found = count_verdicts(claims)
    assert [found[v] for v in ("holds", "fails", "inconclusive", "not refuted")] == [38, 2, 2, 1]
    assert found["judged_by_intervals"] == 40
    assert found["refuted_by_chance"] == pytest.approx(2.0)
    assert "43 claims are judged" in found["note"]
    assert "40 of them by 95% intervals, of which chance alone would refute 2.0" in found["note"]
    assert count_verdicts([])["judged_by_intervals"] == 0


def test_a_damaged_run_is_said(opened, tmp_path):
    with opened() as run:
        save(run)
    (run.path / "summary.json").write_text("{")
    path = write_overall_summary(tmp_path / "outputs", [Outcome("toy/decay", 0, run.path)])
    assert "is damaged" in json.loads(path.read_text())["runs"][0]["message"]


def test_no_runs_is_a_summary_too(tmp_path):
    path = write_overall_summary(tmp_path / "new" / "outputs", [])
    summary = json.loads(path.read_text())
    assert (summary["exit_code"], summary["runs"], summary["claims"]) == (0, [], [])


def test_output_that_is_a_file_is_bad_input(tmp_path):
    (tmp_path / "outputs").write_text("")
    with pytest.raises(InputError, match="is not a folder"):
        write_overall_summary(tmp_path / "outputs", [])
