"""Low-rank adapters: exact at the start, and what merging them is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.errors import InputError
from fineq.finetune import adapted, make_adapters, merge
from tests.finetune.common import model

KEY = jax.random.key(4)
CONV = {"params": {"conv": {"kernel": jnp.ones((3, 3, 2, 5)), "bias": jnp.zeros(5)}}}


def random_like(adapters, seed):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape), x.dtype), adapters)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_new_adapters_change_no_bit(dtype):
    base = model(dtype=dtype)
    adapters = make_adapters(KEY, base.variables, 2)
    merged = merge(base.variables, adapters)
    jax.tree.map(np.testing.assert_array_equal, merged, base.variables)
    y = jax.random.normal(KEY, (3, 2), dtype)
    np.testing.assert_array_equal(adapted(base, adapters).mean(1, y), base.mean(1, y))
    assert {leaf.dtype for leaf in jax.tree.leaves(adapters)} == {jnp.dtype(dtype)}


def test_a_merged_layer_adds_the_two_factors_one_after_the_other():
    base = model()
    adapters = random_like(make_adapters(KEY, base.variables, 2), 1)
    x = np.random.default_rng(2).normal(size=(6, 12))
    path = "params/Dense_1/kernel"
    merged = merge(base.variables, adapters)["params"]["Dense_1"]["kernel"]
    A, B = adapters[path]["A"], adapters[path]["B"]
    alone = x @ base.variables["params"]["Dense_1"]["kernel"]
    # Two orders of one sum of 12 terms of order 1.
    np.testing.assert_allclose(x @ merged, alone + (x @ A.T) @ B.T, rtol=0, atol=1e-12)


def test_a_convolution_is_the_matrix_of_its_patches():
    adapters = random_like(make_adapters(KEY, CONV, 4), 3)
    (path,) = adapters
    assert path == "params/conv/kernel"
    A, B = adapters[path]["A"], adapters[path]["B"]
    assert (A.shape, B.shape) == ((4, 18), (5, 4))
    change = merge(CONV, adapters)["params"]["conv"]["kernel"] - 1
    by_hand = np.einsum("rhwi,or->hwio", A.reshape(4, 3, 3, 2), B)
    np.testing.assert_allclose(change, by_hand, rtol=0, atol=1e-13)


def test_a_has_variance_one_over_the_inputs():
    wide = {"params": {"dense": {"kernel": jnp.zeros((400, 300))}}}
    A = make_adapters(KEY, wide, 50)["params/dense/kernel"]["A"]
    # 20,000 draws: the variance has relative standard deviation 1%; allowed are five.
    np.testing.assert_allclose(400 * np.var(A), 1, atol=0.05)


def test_the_gradient_flows_to_b_alone_at_the_start():
    base = model()
    adapters = make_adapters(KEY, base.variables, 2)
    y = jax.random.normal(KEY, (3, 2))
    gradient = jax.grad(lambda a: jnp.sum(adapted(base, a).mean(1, y) ** 2))(adapters)
    for layer in gradient.values():
        assert not np.any(layer["A"])
        assert np.any(layer["B"])


def test_a_small_layer_gets_the_rank_it_has():
    adapters = make_adapters(KEY, model().variables, 6)
    ranks = {path: layer["A"].shape[0] for path, layer in adapters.items()}
    # In and out of the three layers: (4, 12), (12, 12), (12, 2).
    assert list(ranks.values()) == [4, 6, 2]


@pytest.mark.parametrize("rank", [0, 13])
def test_a_rank_that_no_layer_has_is_refused_by_its_name(rank):
    with pytest.raises(InputError, match=rf"between 1 and 12.*Dense_1/kernel, got {rank}"):
        make_adapters(KEY, model().variables, rank)


def test_what_does_not_fit_is_refused():
    base = model()
    adapters = make_adapters(KEY, base.variables, 2)
    with pytest.raises(InputError, match="no weight params/Dense_9/kernel"):
        merge(base.variables, {"params/Dense_9/kernel": adapters["params/Dense_1/kernel"]})
    with pytest.raises(InputError, match=r"shape \(12, 12\), but its adapter has shape \(4, 12\)"):
        merge(base.variables, {"params/Dense_1/kernel": adapters["params/Dense_0/kernel"]})
    with pytest.raises(InputError, match="no dense or convolution kernel"):
        make_adapters(KEY, {"params": {"scale": jnp.ones(3)}}, 1)
