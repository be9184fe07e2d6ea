import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.errors import InputError
from fineq.ntk.empirical import module_kernel, two_layer_kernel
from fineq.ntk.tangent import kernel


def explicit(apply, params, z1, z2):
    """Jacobians multiplied, [d, d, N1, N2]."""
    first, second = (
        [J.reshape(*J.shape[:2], -1) for J in jax.tree.leaves(jax.jacobian(apply)(params, z))]
        for z in (z1, z2)
    )
    return sum(jnp.einsum("nip,mjp->ijnm", a, b) for a, b in zip(first, second))


def points(D: int = 3) -> tuple[jax.Array, jax.Array]:
    z = jnp.asarray(np.random.default_rng(0).normal(size=(9, D)))
    return z[:5], z[3:]


def weights(seed: int, m: int, D: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(m, D)), rng.choice([-1.0, 1.0], size=(m, d))


@pytest.mark.parametrize("units", [1, 7, 100])
def test_two_layer_is_the_product_of_its_jacobians(units: int) -> None:
    W, A = weights(0, 20, 3, 2)
    A[0] = [0.5, -2]  # not only signs

    def network(W: jax.Array, z: jax.Array) -> jax.Array:
        return jax.nn.relu(z @ W.T) @ A / np.sqrt(20)

    z1, z2 = points()
    found = two_layer_kernel(W, A, z1, z2, units=units)
    assert found.shape == (2, 2, 5, 6)
    # Sums of 20 terms of order one.
    np.testing.assert_allclose(found, explicit(network, jnp.asarray(W), z1, z2), atol=1e-13)


def test_two_layer_follows_the_precision_of_the_points() -> None:
    W, A = weights(0, 20, 3, 1)
    z1, z2 = (np.asarray(z, np.float32) for z in points())
    assert two_layer_kernel(W, A, z1, z2).dtype == jnp.float32


class Net(nn.Module):
    """Two hidden layers and two outputs."""

    @nn.compact
    def __call__(self, z: jax.Array) -> jax.Array:
        for _ in range(2):
            z = nn.tanh(nn.Dense(6, param_dtype=jnp.float64)(z))
        return nn.Dense(2, param_dtype=jnp.float64)(z)


@pytest.mark.parametrize("block", [pytest.param(1, marks=pytest.mark.slow), 4])
def test_module_is_the_product_of_its_jacobians(block: int) -> None:
    z1, z2 = points()
    net = Net()
    params = net.init(jax.random.key(0), z1)
    found = module_kernel(net.apply, params, z1, z2, block=block)
    expected = explicit(net.apply, params, z1, z2)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


def test_only_trained_parameters_count() -> None:
    z1, z2 = points()
    net = Net()
    params = net.init(jax.random.key(0), z1)

    def of_first(kernel: jax.Array, z: jax.Array):
        first = {**params["params"]["Dense_0"], "kernel": kernel}
        return net.apply({"params": {**params["params"], "Dense_0": first}}, z)

    found = module_kernel(
        net.apply, params, z1, z2, trained=lambda path: path == "params/Dense_0/kernel"
    )
    expected = explicit(of_first, params["params"]["Dense_0"]["kernel"], z1, z2)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


def test_both_agree_on_the_two_layer_network() -> None:
    W, A = weights(1, 32, 4, 2)
    z1, z2 = points(4)

    def network(params: dict[str, jax.Array], z: jax.Array) -> jax.Array:
        return jax.nn.relu(z @ params["W"].T) @ params["A"] / np.sqrt(32)

    params = {"W": jnp.asarray(W), "A": jnp.asarray(A)}
    found = module_kernel(network, params, z1, z2, trained=lambda path: path == "W")
    np.testing.assert_allclose(found, two_layer_kernel(W, A, z1, z2), atol=1e-13)


def test_memory_does_not_grow_with_the_width() -> None:
    n, D, d, units = 128, 4, 2, 64

    def temporary(m: int) -> int:
        W, A, z = jnp.zeros((m, D)), jnp.zeros((m, d)), jnp.zeros((n, D))
        program = jax.jit(lambda W, A, z: two_layer_kernel(W, A, z, z, units=units))
        found = program.lower(W, A, z).compile().memory_analysis()
        assert found is not None
        return found.temp_size_in_bytes

    # A copy of the weights may be made; a Jacobian would take n D d numbers for each unit.
    assert temporary(4096) - temporary(64) < 8 * 2 * 4096 * (D + d)


@pytest.mark.slow
def test_error_at_finite_width_falls_as_the_square_root() -> None:
    # K_ij - δ_ij κ has mean zero and variance of exactly 1/m times a constant.
    z1, z2 = points()
    limit = jnp.eye(2)[:, :, None, None] * kernel(z1, z2)[None, None]
    widths, seeds = np.array([64, 256, 1024, 4096]), 64
    slopes = []
    for seed in range(seeds):
        gaps = [
            float(jnp.linalg.norm(two_layer_kernel(*weights([seed, m], m, 3, 2), z1, z2) - limit))
            for m in widths
        ]
        slopes.append(np.polyfit(np.log(widths), np.log(gaps), 1)[0])
    centre, spread = np.mean(slopes), np.std(slopes, ddof=1) / np.sqrt(seeds)
    assert abs(centre + 0.5) < 4 * spread  # four standard errors
    assert spread < 0.03


def test_bad_input_is_named() -> None:
    z1, z2 = points()
    W, A = weights(0, 4, 3, 2)
    with pytest.raises(InputError, match=r"weights must be \[m, 3\] and \[m, d\]"):
        two_layer_kernel(W[:, :2], A, z1, z2)
    with pytest.raises(InputError, match="units must be at least 1, got 0"):
        two_layer_kernel(W, A, z1, z2, units=0)
    params = {"w": jnp.ones(3)}
    with pytest.raises(InputError, match="at least one of the parameters: w"):
        module_kernel(lambda p, z: z * p["w"], params, z1, z2, trained=lambda path: False)
    with pytest.raises(InputError, match=r"must return \[5, d\], got \(5,\)"):
        module_kernel(lambda p, z: z @ p["w"], params, z1, z2)
