"""Fine-tuning from the shell: what runs, what is refused and in which words."""

import json

import numpy as np
import pytest

from fineq.shell.compose import compose
from fineq.shell.main import main
from fineq.shell.places import CONFIGS
from fineq.studies.pift.area import AREA
from fineq.studies.pift.given import load
from tests.shell.refusal import refused

SMALL = ["seeds=2", "quiet=true"]
ONE = [*SMALL, "data.d=1", "schedule.num_steps=4"]


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("beta=0", "beta must be above 0, got 0"),
        ("betas=[1,2]", "betas must hold one β per step of the chain, 20, got 2"),
        ("inner.num_inner=0", "inner.num_inner must be at least 1, got 0"),
        ("schedule.floor=0", "schedule.floor must be above 0"),
        ("reward.name=log_ratio", "reward.weights must be given"),
        ("reward.name=python", "reward.target must be module:function"),
        ("reward.name=python reward.target=math:nosuch", "has no function nosuch"),
        ("reward.matrix=[[1,0],[0,1]]", "reward.matrix must have shape (4, 4), got (2, 2)"),
        ("schedule.name=list schedule.alphas=[0.5,1.0]", "schedule.alphas must be"),
        ("schedule.name=linear schedule.last=1.5", "must be below 1 when schedule.name=linear"),
        ("data.means=[[0,0]] data.covariances=[[[1,2],[2,1]]]", "must be positive definite"),
        ("data.means=[[0,0]]", "data.means and data.covariances must be given together"),
        (
            "data.name=mixture data.weights=[0.3,0.3] data.means=[[0],[1]] data.covariances=[1,1]",
            "data.weights must sum to 1, got 0.6",
        ),
        ("data.name=points", "data.path must name a file"),
        ("data.name=points data.path=missing.npz", "there is no such file"),
        ("study=nosuch", "study must be one of"),
        ("nosuch=1", "nosuch is not a field"),
    ],
)
def test_bad_input_ends_with_one_sentence(word, sentence, tmp_path, capsys):
    assert sentence in refused(AREA, [*SMALL, *word.split()], tmp_path, capsys)


@pytest.mark.slow
def test_rewards_are_tried_before_anything_runs(tmp_path, capsys, monkeypatch):
    (tmp_path / "bad_rewards.py").write_text(
        "import jax.numpy as jnp\n"
        "def vector(y): return y\n"
        "def root(y): return jnp.sqrt(y[0])\n"
        "def crash(y): return y[7] @ y\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name, sentence in (
        ("vector", "must return a scalar for a point of shape (1,), got shape (1,)"),
        ("root", "has a NaN value at (-"),
        ("crash", "failed on a point of shape (1,)"),
    ):
        words = ["reward.name=python", f"reward.target=bad_rewards:{name}"]
        assert sentence in refused(AREA, [*ONE, *words], tmp_path, capsys)


def test_points_come_from_csv_and_npz(tmp_path):
    rows = np.array([[0.5, -1.0], [1.5, 2.0], [0.0, 0.25]])
    (tmp_path / "named.csv").write_text("a,b\n" + "\n".join(f"{x},{y}" for x, y in rows))
    np.savez(tmp_path / "points.npz", x=rows, weights=[0.2, 0.3, 0.5])
    for name, weights in (("named.csv", np.full(3, 1 / 3)), ("points.npz", [0.2, 0.3, 0.5])):
        words = ["data.name=points", f"data.path={tmp_path / name}", "reward.name=wave"]
        law = load(compose(AREA, words)).given.points
        assert law is not None
        np.testing.assert_array_equal(law.locations, rows)
        np.testing.assert_allclose(np.exp(law.log_weights), weights, rtol=1e-15)


def test_a_csv_that_is_no_table_is_refused(tmp_path, capsys):
    (tmp_path / "bad.csv").write_text("1,2\n3\n")
    words = ["data.name=points", f"data.path={tmp_path / 'bad.csv'}"]
    assert "must hold rows of equally many numbers" in refused(
        AREA, [*SMALL, *words], tmp_path, capsys
    )


@pytest.mark.slow
def test_a_study_runs_with_a_user_reward_and_says_when_beta_is_too_small(tmp_path):
    words = ["experiment=pift/linear_convergence", "profile=smoke", *ONE, "++sweep.beta=[1e-3,2.0]"]
    assert main(AREA, [*words, f"output={tmp_path}"]) == 0
    summary = json.loads(next(tmp_path.rglob("summary.json")).read_text())
    assert summary["status"] in ("complete", "partly_diverged")
    assert "beyond contraction" in summary["notes"]["contraction"]


@pytest.mark.parametrize(
    "name", sorted(path.stem for path in (CONFIGS / "experiment" / "pift").glob("*.yaml"))
)
@pytest.mark.parametrize("profile", ["smoke", "quick", "full"])
def test_every_experiment_composes_at_every_profile(name, profile):
    config = compose(AREA, [f"experiment=pift/{name}", f"profile={profile}"])
    assert name.startswith(config.study)
