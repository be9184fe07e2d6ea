"""Adapters as files: they come back, belong to one base model, and merged they are a model."""

import json
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chex import assert_trees_all_equal
from safetensors.numpy import load, save

from fineq.errors import InputError
from fineq.finetune import adapted, make_adapters
from fineq.studies.finetune.adapters import adapters_bytes, kept, load_adapters
from fineq.studies.finetune.config import FinetuneConfig
from fineq.studies.finetune.model import ABOUT, from_file, to_bytes
from fineq.sweep import Axis
from tests.studies.finetune.test_model import MODELS


@pytest.fixture(scope="module")
def base():
    return MODELS["perceptron"]()


def some(base, seed=0):
    """Adapters that change something."""
    made = make_adapters(jax.random.key(seed), base.denoiser.variables, 2)
    return jax.tree.map(lambda x: x + 0.01 * (1 + seed), made)


@pytest.fixture
def path(base, tmp_path):
    path = tmp_path / "adapters.safetensors"
    path.write_bytes(adapters_bytes(some(base), base, {"beta": 0.3}))
    return path


def test_adapters_come_back_as_they_were(base, path):
    assert_trees_all_equal(load_adapters(path, base), some(base))


def test_they_belong_to_their_base_model_in_every_precision(base, path, tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(to_bytes(base))
    found = load_adapters(path, from_file(file, "float64"))
    assert {x.dtype for x in jax.tree.leaves(found)} == {np.dtype("float64")}


def test_a_merged_file_is_the_model_with_its_adapters_bit_for_bit(base, tmp_path):
    # Axes: a price and two seeds, of which the first diverged at the second price.
    two = jax.tree.map(lambda *x: jnp.stack(x), *(some(base, seed) for seed in (0, 1)))
    leaves = jax.tree.map(lambda x: np.asarray(jnp.stack([x, 2 * x])), two)
    study = SimpleNamespace(
        config=FinetuneConfig(),
        given=SimpleNamespace(base=base),
        own=(Axis("beta", [0.3, 1.0]),),
        axes=[Axis("seed", [5, 6])],
    )
    files = kept(study, leaves, np.array([[False, False], [True, False]]))
    names = ["adapters-beta-0.3", "adapters-beta-1.0", "model-beta-0.3", "model-beta-1.0"]
    assert sorted(files) == [f"{name}.safetensors" for name in names]
    wanted = {"0.3": (some(base, 0), 5), "1.0": (jax.tree.map(lambda x: 2 * x, some(base, 1)), 6)}
    y = jnp.ones((3, base.denoiser.d), jnp.float32)
    for beta, (adapters, seed) in wanted.items():
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
        file = tmp_path / f"adapters-beta-{beta}.safetensors"
        back = load_adapters(file, base)
        assert_trees_all_equal(back, adapters)
        model = from_file(tmp_path / f"model-beta-{beta}.safetensors", "float32")
        policy = adapted(base.denoiser, back)
        assert_trees_all_equal(model.denoiser.variables, policy.variables)
        np.testing.assert_array_equal(model.denoiser.schedule.alphas, policy.schedule.alphas)
        np.testing.assert_array_equal(model.denoiser.score(2, y), policy.score(2, y))
        assert model.data == base.data
        assert about_of(file)["of"]["seed"] == seed
    study.config.tuning.merged = False
    assert sorted(kept(study, leaves, np.zeros((2, 2), bool))) == sorted(files)[:2]
    assert kept(study, leaves, np.ones((2, 2), bool)) == {}


def about_of(file):
    content = file.read_bytes()
    head = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return json.loads(head["__metadata__"][ABOUT])


def without(tensors):
    return {k: v for k, v in tensors.items() if "Dense_0" not in k or "Condition" in k}


def with_more(tensors):
    return {**tensors, "params/own/A": np.zeros((2, 2), np.float32)}


def cut(tensors):
    return {k: v[:, :1].copy() if k == "params/Dense_1/kernel/A" else v for k, v in tensors.items()}


def infinite(tensors):
    return {
        k: np.full_like(v, np.inf) if k.endswith("_1/kernel/B") else v for k, v in tensors.items()
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without, "the file lacks params/Dense_0/kernel/A, params/Dense_0/kernel/B"),
        (with_more, "the file has besides params/own/A"),
        (cut, r"in another shape params/Dense_1/kernel/A \(2, 1\) for \(2, 8\)"),
        (infinite, "not finite in params/Condition_0/Dense_1/kernel/B, params/Dense_1/kernel/B"),
    ],
)
def test_other_tensors_than_the_layers_need_are_listed(change, message, base, path):
    path.write_bytes(save(change(load(path.read_bytes())), {ABOUT: json.dumps(about_of(path))}))
    with pytest.raises(InputError, match=message):
        load_adapters(path, base)


def test_adapters_of_another_model_of_the_same_shape_are_refused(base, path):
    fill = jax.tree.map(lambda x: x + 1e-3, base.denoiser.variables)
    other = base._replace(denoiser=base.denoiser.holding(fill))
    with pytest.raises(InputError, match="holds adapters of another base model"):
        load_adapters(path, other)


def test_a_model_is_no_adapters_and_adapters_are_no_model(base, path):
    with pytest.raises(InputError, match="is not a model of fineq's"):
        from_file(path, "float32")
    path.write_bytes(to_bytes(base))
    with pytest.raises(InputError, match="is not a file of adapters"):
        load_adapters(path, base)
