"""A model as a file: it comes back as it was, and what is no model has a sentence."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chex import assert_trees_all_equal
from safetensors.numpy import load, save

from fineq.ddpm import make_schedule, schedules
from fineq.ddpm.denoiser import make_denoiser
from fineq.ddpm.networks import MLP, UNet
from fineq.errors import InputError
from fineq.studies.finetune.config import DataConfig
from fineq.studies.finetune.model import ABOUT, Model, from_file, to_bytes

SCHEDULE = make_schedule(schedules.linear_rate(4))
DATA = DataConfig(name="mixture", num=64)


def model(module, d, **options):
    dtype = jnp.float32
    made = make_denoiser(jax.random.key(0), module, SCHEDULE, d, dtype=dtype, **options)
    # The last layer starts at zero, which would hide where its weights go.
    fill = jax.tree.map(lambda x: x + 0.1, made.variables)
    return Model(made.holding(fill), DATA)


MODELS = {
    "perceptron": lambda: model(MLP(width=8, depth=1), 2),
    "velocity": lambda: model(MLP(width=8, depth=1), 2, prediction="velocity"),
    "classes": lambda: model(MLP(width=8, depth=1, num_classes=3), 2, num_classes=3),
    "images": lambda: model(UNet(shape=(4, 4, 1), channels=(4, 8), width=8), 16),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_comes_back_as_it_was(name, tmp_path):
    made = MODELS[name]()
    guidance = jnp.float32(0.5) if made.denoiser.num_classes else None
    made = made._replace(denoiser=dataclasses.replace(made.denoiser, guidance=guidance))
    path = tmp_path / "model.safetensors"
    path.write_bytes(to_bytes(made))
    back = from_file(path, "float32")
    assert back.data == DATA
    assert back.denoiser.module == made.denoiser.module
    assert back.denoiser.prediction == made.denoiser.prediction
    assert_trees_all_equal(back.denoiser.variables, made.denoiser.variables)
    y, label = jnp.ones((3, made.denoiser.d), jnp.float32), jnp.array([0, 1, 2])
    label = label if made.denoiser.num_classes else None
    # α goes through the file in single precision, and ᾱ is a product of four of them.
    np.testing.assert_allclose(
        back.denoiser.mean(2, y, label), made.denoiser.mean(2, y, label), rtol=1e-5, atol=1e-6
    )


def test_tensors_are_converted_to_the_precision_that_is_asked_for(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(to_bytes(MODELS["perceptron"]()))
    found = from_file(path, "float64").denoiser
    assert {x.dtype for x in jax.tree.leaves((found.variables, found.schedule))} == {
        np.dtype("float64")
    }
    assert found.mean(0, jnp.ones((1, 2))).dtype == np.float64


def rewritten(content, change):
    tensors = load(content)
    header = int.from_bytes(content[:8], "little")
    about = json.loads(json.loads(content[8 : 8 + header])["__metadata__"][ABOUT])
    tensors, about = change(tensors, about)
    return save(tensors, {} if about is None else {ABOUT: json.dumps(about)})


def without(tensors, about):
    return {k: v for k, v in tensors.items() if "Dense_0/kernel" not in k}, about


def with_more(tensors, about):
    return {**tensors, "params/own": np.zeros(2, np.float32)}, about


def reshaped(tensors, about):
    return {k: v.T.copy() if k.endswith("Dense_0/kernel") else v for k, v in tensors.items()}, about


def of_nobody(tensors, about):
    del about
    return tensors, None


def of_another_network(tensors, about):
    return tensors, {**about, "network": {**about["network"], "name": "transformer"}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without, "it lacks params/Condition_0/Dense_0/kernel, params/Dense_0/kernel"),
        (with_more, "it has besides params/own"),
        (reshaped, r"has in another shape .*Dense_0/kernel \(8, 2\) for \(2, 8\)"),
        (of_nobody, "nothing in it says of which network"),
        (of_another_network, "not a model of this fineq's .*transformer"),
    ],
)
def test_a_file_of_other_tensors_is_refused(change, message, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(rewritten(to_bytes(MODELS["perceptron"]()), change))
    with pytest.raises(InputError, match=message):
        from_file(path, "float32")


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-4],
        lambda content: content[:20],
        lambda content: b"",
        lambda content: b"\xff" * 8 + content[8:],
        lambda content: b"\x80\x04K\x01.",  # a pickle
    ],
)
def test_a_damaged_file_has_one_sentence(damage, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(damage(to_bytes(MODELS["perceptron"]())))
    with pytest.raises(InputError, match=r"model.safetensors is not a model") as caught:
        from_file(path, "float32")
    assert "\n" not in str(caught.value)
