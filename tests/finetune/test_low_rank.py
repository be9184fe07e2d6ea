"""Gradients of adapters made in their own rank are those of the merged network."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from fineq.ddpm import make_denoiser, make_schedule, schedules
from fineq.ddpm.networks import MLP, Conv
from fineq.finetune import adapted, make_adapters
from fineq.finetune.low_rank import factored

KEY = jax.random.key(5)
SHAPE = (6, 4, 2)
ONE_SIDED = ((0, 1), (0, 1))


class Layers(nn.Module):
    """Convolutions of all kinds, a dense layer that is called twice, and a kernel of its own."""

    @nn.compact
    def __call__(self, s, x, label=None):
        del label
        t = jnp.float64
        h = jnp.sin(Conv(4, dtype=t)(x.reshape(-1, *SHAPE)))
        h = jnp.sin(Conv(6, stride=2, padding=ONE_SIDED, dtype=t)(h))
        h = jnp.sin(Conv(4, size=1, stride=2, dtype=t)(h) + s[:, None, None, None])
        same = nn.Dense(4, dtype=t, param_dtype=t)
        h = jnp.sin(same(jnp.sin(same(h)))).reshape(len(x), -1)
        kernel = self.param("kernel", nn.initializers.normal(1.0), (h.shape[-1], 8), t)
        h = nn.RNN(nn.SimpleCell(8, dtype=t, param_dtype=t))((h @ kernel).reshape(len(x), 2, 4))[
            :, -1
        ]
        return nn.Dense(x.shape[-1], dtype=t, param_dtype=t)(jnp.sin(h))


MODELS = {
    "layers": (Layers(), 48, 0),
    "classes": (MLP(6, 1, num_classes=2, dtype=jnp.float64), 3, 2),
}


@pytest.mark.parametrize("name", MODELS)
def test_values_and_gradients_are_those_of_merged_weights(name):
    module, d, classes = MODELS[name]
    schedule = make_schedule(schedules.linear_rate(3))
    base = make_denoiser(KEY, module, schedule, d, num_classes=classes, dtype=jnp.float64)
    rng = np.random.default_rng(0)

    def moved(x):
        return jnp.asarray(np.asarray(x) + rng.normal(size=x.shape, scale=0.3))

    base = base.holding(jax.tree.map(moved, base.variables))
    drawn = jax.jit(make_adapters, static_argnums=2)(KEY, base.variables, 2)
    adapters = jax.tree.map(moved, drawn)
    y, label = jnp.asarray(rng.normal(size=(3, d))), jnp.arange(3) % 2 if classes else None

    @partial(jax.jit, static_argnums=0)
    def all_of(make, adapters, y):
        def loss(adapters, y):
            out = make(base, adapters).predicted(jnp.arange(3), y, label)
            return jnp.sum(jnp.cos(out)), out

        return jax.grad(loss, (0, 1), has_aux=True)(adapters, y)

    found, truth = (all_of(make, adapters, y) for make in (factored, adapted))
    # Sums of at most a hundred terms of order 1 through seven layers, in another order.
    jax.tree.map(partial(np.testing.assert_allclose, rtol=0, atol=1e-11), found, truth)
    for layer in truth[0][0].values():
        assert np.any(layer["A"])


def test_no_gradient_has_the_size_of_a_weight():
    """What is to be spared: otherwise this room has no use."""
    base = make_denoiser(KEY, MLP(50, 1), make_schedule(schedules.linear_rate(3)), 2)
    adapters = make_adapters(KEY, base.variables, 2)
    y = jnp.ones((3, 2), base.times.dtype)

    def products(make):
        loss = jax.grad(lambda a: jnp.sum(make(base, a).predicted(0, y)))
        text = str(jax.make_jaxpr(loss)(adapters))
        return [line for line in text.splitlines() if "[50,50] = dot_general" in line]

    # Each merges W + A'B' once; a gradient in W is one more.
    assert len(products(factored)) < len(products(adapted))
