"""The optimiser of networks against optax on the pytree as it is, and how a pytree is packed."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fineq.optimiser import Optimiser, form_of

RNG = np.random.default_rng(0)


def tree(*lead: int) -> dict:
    """Leaves of two precisions in turn, a number and an empty array among them."""
    shapes = {"a": ((3, 2), "float32"), "b": ((), "float64"), "c": ((4,), "float32")}
    shapes |= {"d": ((2, 0), "float64"), "e": ((2, 1, 2), "float64")}
    return {k: jnp.asarray(RNG.normal(size=(*lead, *s)), t) for k, (s, t) in shapes.items()}


def same(found, wanted, **tolerance):
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, **tolerance)


def test_what_is_packed_comes_out_again():
    one, many = tree(), tree(5)
    form = form_of(one)
    assert [x.size for x in form.packed(one)] == [10, 5]
    same(form.unpacked(form.packed(one)), one, rtol=0)
    # Members lead, on the device and on the host.
    packed = jax.vmap(form.packed)(many)
    same(form.unpacked(packed), many, rtol=0)
    found = form.unpacked([np.asarray(x) for x in packed])
    assert all(isinstance(x, np.ndarray) for x in jax.tree.leaves(found))


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_steps_are_those_of_optax_leaf_by_leaf(average):
    rule = Optimiser(0.1, num_steps=5, weight_decay=0.03, clip=0.5, average=average)
    variables = kept = tree()
    state, plain = rule.begin(variables), rule.transform()
    moments = plain.init(variables)
    for n in range(4):
        gradient = tree()
        state = rule.update(state, gradient)
        with jax.numpy_dtype_promotion("standard"):
            step, moments = plain.update(gradient, moments, variables)
            variables = optax.apply_updates(variables, step)
        decay = min(average, (1 + n) / (10 + n))
        kept = jax.tree.map(lambda a, b, w=decay: w * a + (1 - w) * b, kept, variables)
        # The norm of a gradient is summed in another order.
        same(state.variables, variables, rtol=2e-6)
        same(state.average, kept, rtol=2e-6)
    assert int(state.num_updates) == 4
