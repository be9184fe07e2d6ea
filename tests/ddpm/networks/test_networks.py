"""The networks: what they start from, what they are told, and what they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.ddpm.networks import MLP, Condition, UNet, sincos
from fineq.errors import InputError

D = 4 * 6 * 2
NETWORKS = {
    "mlp": MLP(8, 2, waves=4, num_classes=3, dtype=jnp.float64),
    "unet": UNet((4, 6, 2), (4, 6), width=8, num_classes=3, dtype=jnp.float64),
}


def stirred(module):
    """Variables none of which is zero: what starts at zero hides what comes before it."""
    shapes = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros(1), jnp.zeros((1, D)), None)
    leaves, tree = jax.tree.flatten(shapes)
    rng = np.random.default_rng(0)
    drawn = [jnp.asarray(rng.normal(size=v.shape) / 3, v.dtype) for v in leaves]
    return jax.tree.unflatten(tree, drawn)


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    module = NETWORKS[request.param]
    variables = stirred(module)
    return module, jax.jit(lambda s, x, label: jnp.asarray(module.apply(variables, s, x, label)))


def inputs():
    rng = np.random.default_rng(0)
    return jnp.array([0.2, 0.9, 0.5]), jnp.asarray(rng.normal(size=(3, D))), jnp.array([0, 2, 1])


@pytest.mark.parametrize("kind", ["mlp", pytest.param("unet", marks=pytest.mark.slow)])
def test_a_new_network_predicts_zero(kind):
    s, x, label = inputs()
    # This kind of key compiles in no time.
    key = jax.random.key(1, impl="rbg")
    out = jax.jit(NETWORKS[kind].init_with_output)(key, s, x, label)[0]
    np.testing.assert_array_equal(out, np.zeros((3, D)))


def test_each_state_is_told_its_own_time_and_class(network):
    _, apply = network
    s, x, label = inputs()
    whole = apply(s, x, label)
    assert whole.shape == (3, D)
    turned = apply(s[::-1], x[::-1], label[::-1])[::-1]
    # Batched products may sum in another order.
    np.testing.assert_allclose(turned, whole, rtol=0, atol=1e-12)
    for s_, x_, label_ in ((s + 0.1, x, label), (s, x + 0.1, label), (s, x, (label + 1) % 3)):
        apart = jnp.max(jnp.abs(apply(s_, x_, label_) - whole), axis=1)
        assert jnp.all(apart > 1e-6)


def test_no_label_is_the_entry_after_the_last():
    module, s = Condition(6, waves=4, num_classes=3), inputs()[0]
    table = jax.random.normal(jax.random.key(0), (4, 6))
    dense = {"kernel": jnp.ones((4, 6)), "bias": jnp.ones(6)}
    square = {"kernel": jnp.ones((6, 6)), "bias": jnp.ones(6)}
    variables = {"params": {"Dense_0": dense, "Dense_1": square, "Embed_0": {"embedding": table}}}
    none = jnp.asarray(module.apply(variables, s, None))
    first = module.apply(variables, s, jnp.zeros(3, int))
    # The smallest bound is float32's on sums of six numbers of size 10.
    np.testing.assert_allclose(
        none - jnp.asarray(first), np.tile(table[3] - table[0], (3, 1)), atol=1e-4
    )


def test_every_pixel_of_a_unet_sees_every_other(network):
    module, apply = network
    if not isinstance(module, UNet):
        pytest.skip("a perceptron's entries see each other in every layer")
    s, x, label = inputs()
    before = apply(s, x, label)
    for moved in range(0, D, 7):
        apart = apply(s, x.at[:, moved].add(0.5), label) - before
        # Convolutions alone reach a part of the image; attention joins all of it.
        assert jnp.all(jnp.abs(apart) > 1e-9)


def test_waves_are_sines_then_cosines():
    found = sincos(jnp.array([0.0, 0.3]), 4, scale=7.0, shift=1.0)
    angles = 7.0 * np.array([[0.0], [0.3]]) * np.array([[1.0, 1e-4]])
    truth = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    np.testing.assert_allclose(found, truth, rtol=1e-12)
    usual = sincos(jnp.array([0.3]), 4)
    np.testing.assert_allclose(usual[0, 1], np.sin(300.0 / 100), rtol=1e-12)


@pytest.mark.parametrize("kind", [MLP, UNet])
def test_the_module_decides_the_precision(kind):
    module = MLP(8, 1) if kind is MLP else UNet((4, 6, 2), (4, 6), width=8)
    shapes = jax.eval_shape(
        lambda key: module.init_with_output(key, jnp.zeros(2), jnp.zeros((2, D))), jax.random.key(0)
    )
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype(jnp.float32)}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: MLP(width=0), "network.width must be at least 1, got 0"),
        (lambda: UNet((14, 14, 1), (8, 8, 8)), "multiples of 4, got 14 x 14"),
        (lambda: UNet((8, 8, 1), ()), "channels of a UNet"),
        (lambda: Condition(8, waves=3).init(jax.random.key(0), jnp.zeros(1), None), "got 3"),
    ],
)
def test_what_makes_no_network_is_refused(make, said):
    with pytest.raises(InputError, match=said):
        make()
