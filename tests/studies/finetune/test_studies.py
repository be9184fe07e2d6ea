"""Studies of fine-tuning: what they need is made, what they report is what the library says."""

from pathlib import Path

import numpy as np
import pytest

from fineq.errors import EXIT_DONE
from fineq.shell.compose import compose
from fineq.shell.execute import execute
from fineq.studies.finetune import common
from fineq.studies.finetune.area import AREA, MODEL
from fineq.studies.finetune.config import DataConfig
from fineq.studies.finetune.data import components, load_data
from fineq.studies.finetune.model import from_file
from fineq.sweep.stages import Stages
from tests.shell.refusal import refused
from tests.studies.finetune.small import BASE, TINY, run_small, small


def test_the_base_model_is_a_run_of_its_own_and_made_once(tmp_path):
    words = ["experiment=finetune/beta", "profile=smoke", *TINY["beta"].split()]
    config = compose(AREA, [*words, f"output={tmp_path}", "quiet=true"])
    needed = AREA.needs(config)
    assert needed is not None
    code, folder = execute(AREA, needed.config, alone=False)
    assert code == EXIT_DONE
    model = (folder / MODEL).read_bytes()
    alone = compose(AREA, ["experiment=finetune/pretrain", "profile=smoke", *BASE.split()])
    for field in ("data", "chain", "network", "pretrain"):
        assert getattr(needed.config, field) == getattr(alone, field)
    supplied = AREA.supplied(config, folder)
    assert AREA.needs(supplied) is None
    assert supplied.network == type(config.network)()  # comes with the model
    assert execute(AREA, needed.config, alone=False)[1] == folder
    assert (folder / MODEL).read_bytes() == model


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("base=nowhere", "base=nowhere/model.safetensors: there is no such file"),
        ("base=own/model.pt", "base=own/model.pt is by its name a pickle"),
        ("base=. network.width=3", "network.width"),
        ("betas=[0.0]", "betas"),
        ("tuning.damping=1.5", "tuning.damping"),
        ("truth.num_paths=300", "truth.num_paths must be a multiple of truth.inner = 16"),
        ("reward.name=python", "reward.target must be module:function"),
        ("data.name=images", "data.path must name a folder or file"),
        ("data.name=mixture", "reward.name=digit needs images"),
        ("reward.label=12", "reward.label must be at most 9, got 12"),
        ("tuning.rank=193", "tuning.rank must be at most 192, the smaller side of the network's"),
        ("study=ablations network.width=3 tuning.rank=1", "ablations.rank must be at most 3, "),
        ("network.name=unet network.width=3 network.channels=1", "tuning.rank must be at most 3"),
        ("study=methods methods.names=[ddpo] tuning.remat=true", "tuning.remat has no effect"),
        ("study=prompts network.classes=true sweep.tuning.guidance=[0.0,1.0]", "is no axis of"),
        ("study=methods methods.names=[pi_ft,pi_ft]", "methods.names must be distinct"),
        ("study=methods methods.names=[sgd]", "methods.names"),
        ("study=methods methods.best_of=[1]", "methods.best_of"),
        ("study=methods methods.last=60", "methods.last must be at most the"),
        ("study=ablations ablations.damping=[0.0]", "ablations.damping"),
        (
            "study=ablations sweep.tuning.damping=[0.5,1.0]",
            "sweep.tuning.damping is no axis of ablations",
        ),
        ("study=mixture", "precision=float64"),
        ("study=score_error", "study=score_error compares with exact solutions"),
        ("study=score_error precision=float64", "study=score_error needs data.name=mixture"),
        ("study=prompts", "study=prompts needs a model with classes: give network.classes=true"),
        ("reward.name=prompt", "reward.name=prompt is for study=prompts"),
        ("study=pretrain network.classes=true data.name=mixture", "needs data with classes"),
        ("study=mixture precision=float64", "study=mixture needs data.name=mixture, got digits"),
    ],
)
def test_bad_input_ends_with_one_sentence(words, message, tmp_path, capsys):
    said = refused(AREA, ["experiment=finetune/beta", *words.split()], tmp_path, capsys)
    assert message in said


def test_draws_of_the_mixture_have_its_moments():
    config = DataConfig(name="mixture", num=20_000, d=2, spread=1.5, size=0.4)
    means, covariances = components(config)
    data = load_data(config)
    assert not np.array_equal(data.x, data.held_x)
    for x in (data.x, data.held_x):
        # Standard errors of means and variances of 20,000 draws, five of them.
        total = np.cov(means.T, bias=True) + covariances[0]
        np.testing.assert_allclose(x.mean(0), means.mean(0), atol=5 * np.sqrt(total[0, 0] / 20_000))
        np.testing.assert_allclose(np.cov(x.T), total, atol=5 * 2.5 / np.sqrt(20_000))


@pytest.mark.slow
def test_a_damping_that_is_swept_is_that_of_the_method(tmp_path):
    config = small("beta", tmp_path, "tuning.damping=0.5")
    study = common.make_study(config, AREA.begin(config)[1].given, Stages())
    alone = common.policy_iteration(study, {"seed": 0}).damping
    swept = [common.policy_iteration(study, {"tuning.damping": a}).damping for a in (0.25, 1.0)]
    assert [alone, *swept] == [0.5, 0.25, 1.0]
    assert alone.dtype == study.dtype


@pytest.mark.slow
def test_few_images_held_out_are_shown_again(tmp_path):
    _, result = run_small("pretrain", tmp_path, "data.holdout=0.005", "seeds=1")
    assert np.isfinite(result.arrays["sheets"].values).all()


@pytest.mark.slow
def test_pictures_before_and_after_are_of_the_same_noise(tmp_path):
    """Adapters that hardly move leave each picture where it was."""
    _, result = run_small("image", tmp_path, "tuning.learning_rate=1e-9")
    before, after = result.arrays["sheets"].values
    assert np.ptp(before) > 0.1
    np.testing.assert_allclose(after, before, atol=1e-4)
    np.testing.assert_allclose(result.arrays["divergence"].values, 0, atol=1e-6)


@pytest.mark.slow
def test_each_class_is_a_problem_of_its_own(tmp_path):
    words = ("tuning.num_steps=20", "tuning.num_paths=16", "truth.num_paths=512")
    config, result = run_small("prompts", tmp_path, *words, "betas=[30.0]")
    arrays = {name: x.values for name, x in result.arrays.items()}
    assert arrays["reward"].shape == (1, 2, 2)  # price, seed, class
    assert np.all(arrays["divergence_at"] > 0)
    # Other paths of the same policy: the classes' rewards lie far apart, for the base is untrained.
    ends = arrays["reward_at"][..., -1]
    np.testing.assert_array_equal(np.argsort(ends), np.argsort(arrays["reward"]))
    assert np.all(arrays["gap"] < arrays["gap_high"])
    assert arrays["sheets"].shape[0] == 2
    model = tmp_path / "model.safetensors"
    model.write_bytes(result.files["model-beta-30.0.safetensors"])
    assert float(from_file(model, "float32").denoiser.guidance) == config.tuning.guidance == 0.5


@pytest.mark.slow
def test_on_a_mixture_estimates_are_what_quadrature_says(tmp_path):
    config, result = run_small("mixture", tmp_path, "seeds=4", "truth.num_paths=4096")
    exact, found = (result.arrays[name].values for name in ("exact", "estimate"))
    left, remainder = (result.arrays[name].values for name in ("left", "remainder"))
    # Both differences of exact numbers are of the same V, to the order of the grid.
    np.testing.assert_allclose(exact - left, np.broadcast_to(remainder[:, None], exact.shape))
    assert np.all(left > -1e-9)
    assert np.all(remainder > 0)
    # Four normal estimates of 4096 paths each, whose standard errors are of the order 0.01.
    np.testing.assert_allclose(found, exact, atol=0.06)
    errors = result.arrays["error"].values
    assert np.all(errors >= 0)
    base = from_file(Path(str(config.base)) / MODEL, "float64")
    assert base.data.name == "mixture"
    assert len(result.claims) == 4


@pytest.mark.slow
def test_a_larger_price_stays_closer_and_leaves_a_smaller_gap(tmp_path):
    words = "tuning.num_steps=40 tuning.num_paths=16 truth.num_paths=1024 betas=[0.3,30.0]"
    _, result = run_small("beta", tmp_path, *words.split())
    divergence, gap = (result.arrays[name].values for name in ("divergence", "gap"))
    assert np.all(divergence[1] < divergence[0])
    assert np.all(gap[1] < gap[0])
    assert np.all(result.arrays["gap_high"].values >= gap)
    # What is kept is fine-tuned again, from where it stands.
    (tmp_path / "again.safetensors").write_bytes(result.files["model-beta-0.3.safetensors"])
    base = f"base={tmp_path / 'again.safetensors'}"
    config = compose(AREA, ["experiment=finetune/beta", "profile=smoke", base])
    assert AREA.needs(config) is None
    _, loaded = AREA.begin(config)
    assert loaded.given.base.data.name == "digits"
