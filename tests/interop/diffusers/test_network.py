"""The network of a folder says what its definition says, written out in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chex import assert_trees_all_equal
from safetensors.numpy import load_file, save_file

from fineq.finetune import adapted, make_adapters
from fineq.interop.diffusers import load, load_adapters, save_merged
from tests.interop.diffusers.literal import OPTIONS, shape, unet, written

T = np.array([0.0, 37.0, 999.0])


def flat(x):
    """A state of images `[B, C, H, W]`."""
    return jnp.asarray(x.transpose(0, 2, 3, 1).reshape(len(x), -1))


@pytest.mark.parametrize("name", OPTIONS)
def test_it_says_what_is_written_out(name, tmp_path):
    o, p = written(tmp_path, name)
    x = np.random.default_rng(1).normal(size=(3, *shape(o)))
    denoiser = load(tmp_path, dtype=jnp.float64).denoiser
    found = jax.jit(denoiser.module.apply)(denoiser.variables, jnp.asarray(T), flat(x))
    # Sums of at most 12 · 9 products of order 1, thirty layers deep, in another order.
    np.testing.assert_allclose(found, flat(unet(p, o, T, x)), rtol=0, atol=1e-11)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A model, adapters that change it, and the folder of both."""
    folder = tmp_path_factory.mktemp("model")
    written(folder / "own", "no middle")
    model = load(folder / "own", dtype=jnp.float64)
    draw = jax.jit(make_adapters, static_argnames="rank")
    made = draw(jax.random.key(0), model.denoiser.variables, rank=2)
    rng = np.random.default_rng(3)
    adapters = jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape, scale=0.3)), made)
    return model, adapters, save_merged(folder / "tuned", model, adapters)


def test_a_merged_folder_is_a_model_like_any(tuned):
    model, adapters, folder = tuned
    merged = load(folder, dtype=jnp.float64)
    truth = jax.jit(adapted)(model.denoiser, adapters).variables
    assert_trees_all_equal(merged.denoiser.variables, truth)
    assert merged.words == model.words
    assert sorted(path.name for path in folder.iterdir()) == [
        "adapters.safetensors",
        "config.json",
        "diffusion_pytorch_model.safetensors",
    ]


def test_adapters_come_back(tuned):
    model, adapters, folder = tuned
    found = load_adapters(folder / "adapters.safetensors", model.denoiser)
    assert_trees_all_equal(found, adapters)


def test_merged_weights_and_adapters_are_laid_out_as_pytorch_does(tuned):
    """W + B A of every layer, by tensors' names alone: a convolution's B sees one pixel."""

    _, _, folder = tuned
    before = load_file(folder.parent / "own" / "diffusion_pytorch_model.safetensors")
    after = load_file(folder / "diffusion_pytorch_model.safetensors")
    sides = load_file(folder / "adapters.safetensors")
    layers = {name.partition(".lora_")[0] for name in sides}
    assert {f"{layer}.weight" for layer in layers} == {k for k, x in before.items() if x.ndim > 1}
    for name, x in before.items():
        layer = name.removesuffix(".weight")
        change = 0.0
        if layer in layers:
            A, B = sides[f"{layer}.lora_A.weight"], sides[f"{layer}.lora_B.weight"]
            assert A.shape[1:] == x.shape[1:]
            assert B.shape[2:] == (1,) * (x.ndim - 2)
            change = np.tensordot(B.reshape(B.shape[:2]), A, 1)
        np.testing.assert_allclose(after[name], x + change, rtol=0, atol=1e-12)


def test_tensors_under_older_names_are_the_same(tmp_path):

    written(tmp_path, "no middle")
    new = load(tmp_path).denoiser.variables
    path = tmp_path / "diffusion_pytorch_model.safetensors"
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    tensors = load_file(path)
    for now, before in old.items():
        tensors = {k.replace(f".{now}.", f".{before}."): x for k, x in tensors.items()}
    assert "down_blocks.0.attentions.0.proj_attn.weight" in tensors
    save_file(tensors, path)
    assert_trees_all_equal(load(tmp_path).denoiser.variables, new)
