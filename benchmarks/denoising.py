"""Pre-training of denoisers, and what its convolutions cost inside a loop.

Gradients in the kernels of four 3x3 convolutions, 8x8 with 48 channels, by descent inside
`lax.scan`: `Conv` against `flax.linen.Conv`. Then whole steps of pre-training.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array, lax

from benchmarks.timing import Row, best_times
from fineq.ddpm import DenoiserTraining, make_denoiser, make_denoising, make_schedule, schedules
from fineq.ddpm.networks import MLP, Conv, UNet

TITLE = "Pre-training of denoisers on 8x8 images, batch 128, float32"
STEPS = 3
KEY = jax.random.key(3)
UNET = UNet((8, 8, 1), (40, 80))


def flax_conv(features: int, stride: int = 1, **options: Any) -> nn.Conv:
    """The convolution of Flax with the arguments of ours."""
    return nn.Conv(features, (3, 3), stride, padding=((1, 1), (1, 1)), **options)


def descent(conv: Callable[..., nn.Module], batch: int) -> Callable[[], Any]:
    """Steps of gradient descent on four convolutions, in one loop."""
    network = nn.Sequential([layer for _ in range(4) for layer in (conv(48), nn.silu)])
    x = jax.random.normal(jax.random.key(0), (batch, 8, 8, 48), jnp.float32)
    variables = jax.jit(network.init)(jax.random.key(1), x)

    def loss(variables: Any, x: Array) -> Array:
        return jnp.mean(jnp.square(jnp.asarray(network.apply(variables, x))))

    @jax.jit
    def run(variables: Any, x: Array) -> Any:
        def step(variables: Any, _: None) -> tuple[Any, None]:
            gradient = jax.grad(loss)(variables, x)
            return jax.tree.map(lambda v, g: v - 0.1 * g, variables, gradient), None

        return lax.scan(step, variables, length=STEPS)[0]

    return lambda: run(variables, x)


def training(module: nn.Module) -> Callable[[], Any]:
    """Steps of pre-training in one loop."""
    schedule = make_schedule(schedules.linear_rate(50))
    denoiser = make_denoiser(jax.random.key(0), module, schedule, 64, dtype=jnp.float32)
    data = jax.random.normal(jax.random.key(1), (1500, 64))
    problem, by = make_denoising(jax.random.key(2), denoiser, data, data[:8]), DenoiserTraining()
    state = by.init(None, problem, denoiser)

    @jax.jit
    def run(state: Any, problem: Any, key: Array) -> Any:
        keys = jax.random.split(key, STEPS)
        return lax.scan(lambda s, k: (by.step(k, s, problem)[0], None), state, keys)[0]

    return partial(run, state, problem, KEY)


def run(quick: bool) -> list[Row]:
    """Least of three calls of three steps; `quick` leaves the U-Net out."""
    found = best_times({"Conv": descent(Conv, 64), "flax": descent(flax_conv, 64)}, 3)
    ms = {name: 1e3 * s / STEPS for name, s in found.items()}
    rows = [Row("4 convolutions", ms["Conv"], "ms/step", ms["Conv"] / ms["flax"], "flax")]
    networks = {"MLP": MLP(336, 3)} if quick else {"MLP": MLP(336, 3), "UNet": UNET}
    found = best_times({name: training(module) for name, module in networks.items()}, 3)
    for name, seconds in found.items():
        ratio, note = seconds / found["MLP"], size(networks[name])
        rows.append(Row(name, 1e3 * seconds / STEPS, "ms/step", ratio, "MLP", note))
    return rows


def size(module: nn.Module) -> str:
    """How many parameters a network of 64 entries has."""
    given = jax.random.key(0), jnp.zeros(1), jnp.zeros((1, 64))
    shapes = jax.eval_shape(module.init, *given)
    return f"{sum(leaf.size for leaf in jax.tree.leaves(shapes)):,} parameters"
