"""Networks in bfloat16: near those in float32; variables and states stay as they are."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fineq.ddpm import make_denoiser, make_schedule, schedules
from fineq.ddpm.networks import MLP, UNet, rounded
from fineq.errors import InputError
from fineq.finetune import make_adapters
from fineq.finetune.low_rank import factored

KEY = jax.random.key(7)
F32, HALF = jnp.float32, jnp.finfo(jnp.bfloat16)
MODELS = {"perceptron": (MLP(8, 2), 3), "images": (UNet((4, 4, 1), (4, 8), 8), 16)}


@pytest.mark.parametrize("name", ["perceptron", pytest.param("images", marks=pytest.mark.slow)])
def test_it_says_the_same_to_its_precision(name):
    module, d = MODELS[name]
    base = make_denoiser(KEY, module, make_schedule(schedules.linear_rate(5)), d, dtype=F32)
    rng = np.random.default_rng(0)

    def moved(x):
        return jnp.asarray(np.asarray(x) + rng.normal(size=x.shape, scale=0.3), F32)

    base = base.holding(jax.tree.map(moved, base.variables))
    adapters = jax.tree.map(moved, jax.jit(make_adapters, static_argnums=2)(KEY, base.variables, 2))
    y, weights = (jnp.asarray(rng.normal(size=(5, d)), F32) for _ in range(2))

    @jax.jit
    def all_of(base, adapters):
        def loss(adapters):
            found = factored(base, adapters).predicted(jnp.arange(5), y)
            return jnp.sum(weights * found), found

        return jax.grad(loss, has_aux=True)(adapters)

    found, truth = all_of(rounded(base), adapters), all_of(base, adapters)
    assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {np.dtype(F32)}
    for a, b in zip(found, truth):
        # All gradients together: some are zero but for rounding, of what a norm takes away. Twenty
        # roundings, of which each is at most eps/2, through layers that amplify them twofold.
        apart, size = optax.tree.norm(jax.tree.map(jnp.subtract, a, b)), optax.tree.norm(b)
        assert F32(jnp.finfo(F32).eps) < apart / size < 20 * float(HALF.eps)


def test_the_time_is_not_rounded():
    """In bfloat16 the steps 997 to 1000 of a thousand are one."""
    schedule = make_schedule(schedules.linear_rate(1000))
    base = make_denoiser(KEY, MLP(8, 1), schedule, 2, dtype=F32)
    base = base.holding(jax.tree.map(lambda x: x + 0.3, base.variables))
    found = jax.jit(rounded(base).predicted)(jnp.arange(4), jnp.ones((4, 2), F32))
    assert len(np.unique(np.asarray(found)[:, 0])) > 1


def test_a_network_without_a_precision_is_refused():
    base = make_denoiser(KEY, MLP(8, 1), make_schedule(schedules.linear_rate(2)), 2)
    with pytest.raises(InputError, match="a Factored has no dtype"):
        rounded(factored(base, {}))
