"""Networks in bfloat16: the same runs to its precision; steps that do not fit; whose guidance."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load

from fineq.ddpm import make_denoiser, make_schedule, schedules
from fineq.ddpm.networks import MLP, Rounded
from fineq.errors import ResourceError
from fineq.shell.compose import compose
from fineq.studies.finetune import common, prompts
from fineq.studies.finetune.area import AREA, MODEL
from fineq.studies.finetune.config import DataConfig
from fineq.studies.finetune.data import load_data
from fineq.studies.finetune.given import Given
from fineq.studies.finetune.model import Model, to_bytes
from fineq.sweep.stages import Stages
from tests.shell.refusal import refused
from tests.studies.finetune.small import run_small, small

EPS = float(jnp.finfo(jnp.bfloat16).eps)
HALF = "network.precision=bfloat16"


@pytest.mark.slow
def test_pretraining_is_the_same_to_its_precision(tmp_path):
    words = ("seeds=1", "pretrain.num_samples=64", "pretrain.num_steps=20")
    found = [run_small("pretrain", tmp_path, *words, *more)[1] for more in ((), (HALF,))]
    plain, half = (result.arrays["fresh"].values for result in found)
    # Losses are means of many squares, whose roundings are as often up as down.
    np.testing.assert_allclose(half, plain, rtol=2 * EPS)
    assert np.any(half != plain)
    for result in found:
        assert {x.dtype for x in load(result.files[MODEL]).values()} == {np.dtype("float32")}


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return small("beta", tmp_path_factory.mktemp("base"))


def test_a_base_model_keeps_its_weights_and_says_the_same_to_that_precision(config):
    line = ["experiment=finetune/beta", "profile=smoke", f"base={config.base}", HALF]
    rounded = compose(AREA, line)
    _, loaded = AREA.begin(rounded)
    assert "CPU computes bfloat16" in loaded.read["network.precision"]
    plain, half = (common.make_study(c, loaded.given, Stages()) for c in (config, rounded))
    assert isinstance(half.base.module, Rounded)
    assert half.base.variables is plain.base.variables
    y = jax.random.normal(jax.random.key(0), (64, plain.base.d), plain.dtype)
    truth, found = (jax.jit(study.base.predicted)(3, y) for study in (plain, half))
    # A dozen roundings on the way, each of half a unit.
    assert 0 < np.linalg.norm(found - truth) < 6 * EPS * np.linalg.norm(truth)
    assert to_bytes(half.given.base) == to_bytes(plain.given.base)


def test_a_step_that_does_not_fit_is_refused_before_anything_runs(config):
    many = replace(config, tuning=replace(config.tuning, num_paths=10**9))
    study, loaded = AREA.begin(many)
    with pytest.raises(ResourceError, match=r"on 1000000000 paths of 6 steps needs about .*lower"):
        study(many, loaded.given, Stages())


def test_exact_solutions_are_of_networks_that_do_not_round(tmp_path, capsys):
    said = refused(AREA, ["experiment=finetune/mixture", HALF], tmp_path, capsys)
    assert said.startswith("network.precision has no effect when study=mixture")


@pytest.mark.slow
def test_fine_tuning_in_bfloat16_keeps_models_of_float32(tmp_path):
    _, result = run_small("beta", tmp_path, HALF)
    assert np.isfinite(result.arrays["reward"].values).all()
    for content in result.files.values():
        assert {x.dtype for x in load(content).values()} == {np.dtype("float32")}


def test_guidance_is_the_models_own_unless_another_weight_is_given():
    data = load_data(DataConfig())
    module = MLP(8, 1, num_classes=10)
    schedule = make_schedule(schedules.linear_rate(4))
    plain = make_denoiser(
        jax.random.key(0), module, schedule, 64, num_classes=10, dtype=jnp.float32
    )
    given = Given(data, Model(plain.guided(0.75), DataConfig()))
    for words, weight in (([], 0.75), (["tuning.guidance=0.25"], 0.25), (["tuning.guidance=0"], 0)):
        line = ["study=prompts", "precision=float32", "reward.name=prompt", "base=.", *words]
        found = prompts.bind(compose(AREA, line), given, Stages()).base.guidance
        assert (0 if found is None else float(found)) == weight
