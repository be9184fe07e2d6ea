"""A diffusers model in the place of a pretrain run: what it is, what goes with it, what is kept."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chex import assert_trees_all_equal

from fineq.finetune import adapted, make_adapters
from fineq.interop import diffusers
from fineq.shell.compose import compose
from fineq.studies.finetune.adapters import adapters_bytes, load_adapters
from fineq.studies.finetune.area import AREA
from fineq.studies.finetune.model import to_bytes
from fineq.sweep.stages import Stages
from tests.interop.diffusers.literal import WEIGHTS, written
from tests.shell.refusal import refused
from tests.studies.finetune.small import TINY

WORDS = [word for word in TINY["beta"].split() if word.startswith(("seeds", "betas", "t"))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model of the size of scanned digits, with a chain of 40 steps."""
    place = tmp_path_factory.mktemp("model") / "own"
    written(place, "no middle", chain={"num_train_timesteps": 40}, sample_size=8)
    return place


def composed(folder, *words):
    line = ["experiment=finetune/beta", "profile=smoke", f"base={folder}", *WORDS, *words]
    return compose(AREA, line)


def test_its_weights_texts_and_data_are_what_the_run_is_of(folder):
    config = composed(folder, "chain.num_steps=6")
    assert AREA.needs(config) is None
    assert {k: path.name for k, path in AREA.files(config).items()} == {
        "base": WEIGHTS,
        "base_config": "config.json",
        "base_chain": "scheduler_config.json",
    }
    given, read = AREA.begin(config)[1]
    assert given.data.shape == (8, 8, 1)
    assert given.base.denoiser.schedule.num_steps == 6
    assert read["base"].endswith("images of 8 x 8 x 1, linear noise, 6 of 40 steps")
    truth = diffusers.load(folder, 6, config.precision).denoiser
    assert_trees_all_equal(given.base.denoiser.variables, truth.variables)


def test_what_a_run_keeps_is_a_file_of_diffusers(folder, tmp_path):
    base = AREA.begin(composed(folder))[1].given.base
    draw = jax.jit(make_adapters, static_argnames="rank")
    drawn = draw(jax.random.key(0), base.denoiser.variables, rank=2)
    adapters = jax.tree.map(lambda x: jnp.asarray(np.asarray(x) + 0.1), drawn)
    path = tmp_path / "adapters.safetensors"
    path.write_bytes(adapters_bytes(adapters, base, {"beta": 1.0}))
    assert_trees_all_equal(load_adapters(path, base), adapters)
    assert_trees_all_equal(diffusers.load_adapters(path, base.denoiser), adapters)
    merged = base._replace(denoiser=adapted(base.denoiser, adapters))
    written(tmp_path / "tuned", "no middle", seed=1, sample_size=8)
    (tmp_path / "tuned" / WEIGHTS).write_bytes(to_bytes(merged))
    back = diffusers.load(tmp_path / "tuned").denoiser
    assert_trees_all_equal(back.variables, merged.denoiser.variables)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("network.width=3", "network.width has no effect when study=beta and base="),
        ("chain.last=9.0", "chain.last has no effect"),
        ("chain.num_steps=50", "num_steps must lie between 1 and the model's 40, got 50"),
        ("data.name=mixture", "data.name must be of images of 8 x 8 x 1, which base makes, but"),
        ("data.name=mixture study=mixture precision=float64", "data.name must be of images"),
    ],
)
def test_what_does_not_go_with_it_has_one_sentence(words, message, folder, tmp_path, capsys):
    line = ["experiment=finetune/beta", "chain.num_steps=6", f"base={folder}", *words.split()]
    last = {word.partition("=")[0]: word for word in line}
    assert message in refused(AREA, list(last.values()), tmp_path, capsys)


def test_a_pickle_in_its_place_is_not_opened(folder, tmp_path, capsys):
    written(tmp_path / "own", "no middle")
    (tmp_path / "own" / WEIGHTS).rename(tmp_path / "own" / "diffusion_pytorch_model.bin")
    line = ["experiment=finetune/beta", f"base={tmp_path / 'own'}"]
    assert "by its name a pickle" in refused(AREA, line, tmp_path / "output", capsys)


@pytest.mark.slow
def test_it_is_fine_tuned_as_any_other(folder):
    config = composed(folder, "chain.num_steps=6", "reward.name=ink")
    study, loaded = AREA.begin(config)
    result = study(config, loaded.given, Stages())
    assert np.isfinite(result.arrays["reward"].values).all()
    assert set(result.files) == {
        f"{kind}-beta-{beta}.safetensors" for kind in ("adapters", "model") for beta in (1.0, 3.0)
    }
