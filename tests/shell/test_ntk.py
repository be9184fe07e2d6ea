"""Score learning from the shell: what runs, what is refused and in which words."""

import json

import numpy as np
import pytest
import xarray as xr

from fineq.errors import EXIT_ALL_DIVERGED
from fineq.ntk import forward
from fineq.shell.compose import compose
from fineq.shell.main import main
from fineq.shell.places import CONFIGS
from fineq.studies.ntk import config
from fineq.studies.ntk.area import AREA
from tests.shell.refusal import refused

SMALL = ["seeds=2", "quiet=true"]


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("experiment=ntk/generalisation data.num=99", "data.num has no effect when study=gen"),
        ("experiment=ntk/inputs data.constant=false", "data.constant has no effect when study=inp"),
        ("process.T0=0", "process.T0 must be above 0, got 0"),
        ("process.T0=3", "process.T0 must be below process.T"),
        ("process.g=-1", "process.g must be above 0, got -1"),
        ("process.last=0", "process.last must be above 0, got 0"),
        ("target.name=ring", "target.name must be one of"),
        ("target.name=points", "target.path must name a file of points"),
        ("target.name=points target.path=missing.csv", "there is no such file"),
        ("target.d=3", "target.d has no effect when target.name=three_points: drop it"),
        ("target.path=points.npz", "drop it, or take target.name=points"),
        ("target.size=0.2", "target.size has no effect when target.name=three_points: drop it"),
        ("target.name=points target.path=a.csv target.d=7", "target.d has no effect when"),
        ("target.name=digits target.draw=1", "target.draw has no effect when target.name=digits"),
        ("target.name=boxes target.scale=true", "target.scale has no effect when target.name=box"),
        ("target.name=digits target.d=40", "target.d must lie in 2..16 for digits"),
        ("network.widths=[0]", "network.widths must be at least 1"),
        ("network.widths=[a]", "network.widths must be a list of whole numbers, got 'a'"),
        ("network.widths=[63]", "even ones when network.start=symmetric, got 63"),
        ("generalisation.sizes=[16.5,32]", "sizes must be a list of whole numbers, got 16.5"),
        ("assumptions.sizes=[16,40.2]", "sizes must be a list of whole numbers, got 40.2"),
        ("assumptions.sizes=[16]", "must be two or more numbers that rise, got [16]"),
        ("assumptions.radii=[]", "assumptions.radii must be one or more numbers above 0, got []"),
        ("data.times=early", "data.times must be one of uniform, log_uniform"),
        ("study=nosuch", "study must be one of"),
        ("experiment=ntk/decomposition deep.batch=33", "deep.batch must be at most data.num = 32"),
        (
            "experiment=ntk/early_stopping stopping.holdout=0.001",
            "at least one of the 48 points of data.num and leave at least one, got 0.001",
        ),
        (
            "experiment=ntk/generalisation stopping.holdout=0.99",
            "16 points of generalisation.sizes and leave at least one, got 0.99, which holds out",
        ),
        ("experiment=ntk/kernel_limit network.widths=[64]", "needs 2 widths or more"),
        ("experiment=ntk/digits target.name=five_points target.d=null", "needs target.name=digits"),
    ],
)
def test_bad_input_ends_with_one_sentence(word, sentence, tmp_path, capsys):
    words = word.split()
    if "experiment" in word:
        words.append("profile=smoke")
    elif "study" not in word:
        words.append("study=assumptions")
    assert sentence in refused(AREA, [*SMALL, *words], tmp_path, capsys)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            "0.5,0.5\n3.0,-0.5\n",
            "1 of 2 points do not and the largest coordinate is 3: target.scale",
        ),
        ("0.5,nan\n0.1,0.2\n", "must be finite"),
        ("x,y\n", "no points"),
    ],
)
def test_points_that_cannot_be_used(rows, sentence, tmp_path, capsys):
    path = tmp_path / "points.csv"
    path.write_text(rows)
    words = ["study=assumptions", "target.name=points", f"target.path={path}"]
    assert sentence in refused(AREA, [*SMALL, *words], tmp_path, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("study", ["early_stopping", "kernel_limit", "assumptions"])
def test_kernels_that_are_not_finite_are_no_complete_run(study, tmp_path):
    words = [f"experiment=ntk/{study}", "process.T=1e300", *SMALL]
    assert main(AREA, [*words, f"output={tmp_path}"]) == EXIT_ALL_DIVERGED


@pytest.mark.slow
def test_duplicates_are_merged_and_said(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("-0.5\n0.25\n-0.5\n")
    words = ["experiment=ntk/assumptions", "target.name=points", f"target.path={path}"]
    words += ["++sweep.process.T0=[0.1]", "assumptions.sizes=[16,24]", "data.num_test=64"]
    words += ["profile=smoke", f"output={tmp_path / 'out'}"]
    assert main(AREA, [*SMALL, *words]) == 0
    (summary,) = (tmp_path / "out").rglob("summary.json")
    notes = json.loads(summary.read_text())["notes"]
    assert notes["duplicates"] == "1 duplicate points were merged, with weights"
    (data,) = (tmp_path / "out").rglob("data.nc")
    with xr.open_dataset(data) as found:
        # Label noise and signal make up the variance of X_0 at every t: here (1/3, 2/3) on a line.
        variance = 2 / 9 * 0.75**2
        whole = found["noise"] ** 2 + found["signal"] ** 2
        np.testing.assert_allclose(whole.mean("seed"), variance, rtol=0.5)


def test_names_are_those_of_the_library():
    assert tuple(forward.TIMES) == config.TIMES
    assert tuple(forward.WEIGHTS) == config.WEIGHTS


@pytest.mark.parametrize("path", sorted((CONFIGS / "experiment" / "ntk").glob("*.yaml")))
@pytest.mark.parametrize("profile", ["smoke", "quick", "full"])
def test_every_experiment_composes(path, profile):
    made = compose(AREA, [f"experiment=ntk/{path.stem}", f"profile={profile}"])
    assert made.profile == profile
