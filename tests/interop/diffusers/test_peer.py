"""Against PyTorch and diffusers themselves, where they are installed (the extra `peer`)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.finetune import make_adapters
from fineq.interop.diffusers import load, save_merged
from tests.interop.diffusers.literal import OPTIONS, USUAL, shape
from tests.interop.diffusers.test_network import flat

WHY = "the extra `peer` is not installed (make setup EXTRA=peer)"
torch = pytest.importorskip("torch", reason=WHY)
theirs = pytest.importorskip("diffusers", reason=WHY)
T = np.array([0, 37, 999])


def model_of(name, folder):
    """Random weights of all kinds, which theirs does not begin with."""
    options = {k: v for k, v in {**USUAL, **OPTIONS[name]}.items() if not k.startswith("_")}
    torch.manual_seed(0)
    made = theirs.UNet2DModel(**options).eval()
    for x in made.parameters():
        torch.nn.init.normal_(x, std=0.3)
    made.save_pretrained(folder)
    return made, options


def said(model, x):
    with torch.no_grad():
        found = model(torch.tensor(x, dtype=torch.float32), torch.tensor(T)).sample
    return flat(found.numpy())


def ours(model, x):
    d = model.denoiser
    return jax.jit(d.module.apply)(d.variables, jnp.asarray(T, jnp.float32), flat(x))


@pytest.mark.parametrize("name", OPTIONS)
def test_both_say_the_same(name, tmp_path):
    made, options = model_of(name, tmp_path)
    x = np.random.default_rng(1).normal(size=(3, *shape(options))).astype(np.float32)
    truth = said(made, x)
    # A hundred roundings of numbers of the size of what is said.
    apart = 1e2 * np.finfo(np.float32).eps * np.abs(truth).max()
    np.testing.assert_allclose(ours(load(tmp_path), x), truth, rtol=0, atol=apart)


def test_theirs_loads_what_ours_has_merged(tmp_path):
    _, options = model_of("attention", tmp_path / "own")
    model = load(tmp_path / "own")
    draw = jax.jit(make_adapters, static_argnames="rank")
    made = draw(jax.random.key(0), model.denoiser.variables, rank=2)
    adapters = jax.tree.map(lambda x: x + 0.1, made)
    folder = save_merged(tmp_path / "tuned", model, adapters)
    merged = theirs.UNet2DModel.from_pretrained(folder)
    x = np.random.default_rng(2).normal(size=(3, *shape(options))).astype(np.float32)
    truth = ours(load(folder), x)
    apart = 1e2 * np.finfo(np.float32).eps * np.abs(truth).max()
    np.testing.assert_allclose(said(merged, x), truth, rtol=0, atol=apart)


@pytest.mark.parametrize("schedule", ["linear", "scaled_linear", "squaredcos_cap_v2"])
@pytest.mark.parametrize("spacing", ["leading", "linspace", "trailing"])
def test_chains_have_their_levels(schedule, spacing, tmp_path):
    scheduler = theirs.DDPMScheduler(beta_schedule=schedule, timestep_spacing=spacing)
    model_of("no middle", tmp_path)
    scheduler.save_pretrained(tmp_path)
    found = load(tmp_path, 40).denoiser
    scheduler.set_timesteps(40)
    np.testing.assert_array_equal(found.times, scheduler.timesteps.numpy())
    bars = scheduler.alphas_cumprod[scheduler.timesteps].numpy()
    # Theirs is a product of a thousand roundings.
    np.testing.assert_allclose(found.schedule.alpha_bars[:-1], bars, rtol=1e-3, atol=1e-9)
