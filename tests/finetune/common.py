"""Small problems that the tests of fine-tuning share."""

from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from fineq import finetune
from fineq.ddpm import make_schedule, schedules
from fineq.ddpm.denoiser import Denoiser, make_denoiser
from fineq.finetune import rollout


class Small(nn.Module):
    """A perceptron of any dimension whose last layer does not start from zero."""

    num_classes: int = 0
    width: int = 12
    dtype: jnp.dtype = jnp.float64

    @nn.compact
    def __call__(self, s: Array, x: Array, label: Array | None = None) -> Array:
        t = self.dtype
        parts = [x, s[:, None], jnp.sin(3 * s)[:, None]]
        if self.num_classes:
            parts.append(jax.nn.one_hot(label, self.num_classes, dtype=t))
        h = jnp.concatenate(parts, axis=-1)
        for _ in range(2):
            h = jnp.tanh(nn.Dense(self.width, dtype=t, param_dtype=t)(h))
        return nn.Dense(x.shape[-1], dtype=t, param_dtype=t)(h)


class Bump(NamedTuple):
    """A smooth bounded reward, of another height for each class."""

    height: Array

    def __call__(self, y: Array, label: Array | None) -> Array:
        scale = self.height if label is None else self.height * (1 + label.astype(y.dtype))
        return scale * jnp.tanh(0.5 * y[:, 0] + 0.1 * jnp.sum(jnp.square(y), axis=-1))


# One program for each, not one for each operation.
simulate = jax.jit(finetune.simulate, static_argnames=("num", "remat"))
follow = jax.jit(rollout.follow, static_argnames="remat")
errors = jax.jit(finetune.errors)
earned = jax.jit(finetune.earned)
adjoints = jax.jit(finetune.adjoints, static_argnames=("kind", "remat"))


@cache
def model(d=2, T=4, num_classes=0, dtype=jnp.float64) -> Denoiser:
    # Mild, for a network that has learned nothing does not bring noise back to order 1.
    schedule = make_schedule(schedules.constant_rate(T, 0.3))
    module = Small(num_classes, dtype=dtype)
    key = jax.random.key(0)
    return make_denoiser(key, module, schedule, d, num_classes=num_classes, dtype=dtype)


@cache
def tuning(d=2, T=4, num_classes=0, dtype=jnp.float64, beta=0.7) -> finetune.Tuning:
    base = model(d, T, num_classes, dtype)
    labels = jnp.arange(num_classes) if num_classes else None
    return finetune.make_tuning(base, Bump(jnp.asarray(1.5, dtype)), beta, labels)


def moved(problem: finetune.Tuning, rank=2, size=0.3, seed=1) -> finetune.Adapters:
    """Adapters that do change the model."""
    key = jax.random.key(seed)
    adapters = finetune.make_adapters(key, problem.base.variables, rank)
    leaves, tree = jax.tree.flatten(adapters)
    keys = jax.random.split(jax.random.key(seed + 100), len(leaves))
    new = [x + size * jax.random.normal(k, x.shape, x.dtype) for x, k in zip(leaves, keys)]
    return jax.tree.unflatten(tree, new)


@jax.jit
def policy(problem: finetune.Tuning):
    return finetune.adapted(problem.base, moved(problem))
