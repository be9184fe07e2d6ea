import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.errors import InputError
from fineq.ntk.pairs import NEAR
from fineq.ntk.tangent import gram, kernel, product

PI = np.longdouble("3.14159265358979323846264338327950288")
# Documented accuracy relative to |z| |z'|.
ACCURACY = {np.float64: 5e-15, np.float32: 3e-6}


def reference(z1: np.ndarray, z2: np.ndarray) -> np.ndarray:
    """κ in extended precision, the angle by Kahan's 2 atan2(|u - u'|, |u + u'|)."""
    z1, z2 = z1.astype(np.longdouble), z2.astype(np.longdouble)
    r1, r2 = (np.sqrt(np.sum(z * z, axis=1)) for z in (z1, z2))
    u1, u2 = (z / np.where(r > 0, r, 1)[:, None] for z, r in ((z1, r1), (z2, r2)))
    gap, total = (np.sqrt(np.sum((u1[:, None] - s * u2[None]) ** 2, axis=-1)) for s in (1, -1))
    angle = 2 * np.arctan2(gap, total)
    return r1[:, None] * r2[None, :] * np.cos(angle) * (PI - angle) / (2 * PI)


def nearly_parallel(rng: np.random.Generator, z: np.ndarray) -> np.ndarray:
    """Multiples of either sign, turned by angles from far below rounding to 1."""
    n = len(z)
    factor = np.exp(rng.normal(size=(n, 1))) * rng.choice([-1, 1], size=(n, 1))
    return factor * (z + 10.0 ** rng.uniform(-20, 0, (n, 1)) * rng.normal(size=z.shape))


def lengths(z: np.ndarray) -> np.ndarray:
    return np.sqrt(np.sum(np.asarray(z, float) ** 2, axis=1))


def error(found: jax.Array, z1: np.ndarray, z2: np.ndarray) -> float:
    """Largest error relative to |z| |z'|; a pair with a zero vector must be exactly zero."""
    scale = lengths(z1)[:, None] * lengths(z2)[None, :]
    gap = np.abs(np.asarray(found) - reference(z1, z2))
    assert np.all(gap[scale == 0] == 0)
    return float(np.max(gap / np.where(scale > 0, scale, 1)))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("D", [1, 4, 9])
def test_accurate_at_every_angle(D: int, dtype: type) -> None:
    rng = np.random.default_rng(D)
    z1 = rng.normal(size=(70, D))
    z1[:3] = [[0.0], [1.0], [-1.0]]
    z2 = np.concatenate([nearly_parallel(rng, z1), z1, -z1])
    z1, z2 = z1.astype(dtype), z2.astype(dtype)
    found = kernel(z1, z2)
    assert found.dtype == dtype
    assert error(found, z1, z2) < ACCURACY[dtype]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_accurate_just_before_differences_take_over(dtype: type) -> None:
    # In many coordinates the angles just outside NEAR are the hardest of the product's.
    rng = np.random.default_rng(0)
    D, n = 40, 300
    u, v = rng.normal(size=(2, n, D))
    u /= lengths(u)[:, None]
    v -= u * np.sum(u * v, axis=1)[:, None]
    v /= lengths(v)[:, None]
    c = 1 - NEAR * rng.uniform(1.01, 4, size=(n, 1))
    z2 = np.concatenate([c * u + np.sqrt(1 - c**2) * v, -c * u + np.sqrt(1 - c**2) * v])
    u, z2 = u.astype(dtype), z2.astype(dtype)
    assert error(kernel(u, z2), u, z2) < ACCURACY[dtype]


@pytest.mark.parametrize("D", [3, 9])
def test_gram_is_the_kernel_with_itself(D: int) -> None:
    rng = np.random.default_rng(D)
    z = rng.normal(size=(150, D))
    z[40], z[90], z[120] = 2 * z[3], -z[5], 0
    K = gram(z)
    assert error(K, z, z) < ACCURACY[np.float64]
    np.testing.assert_allclose(np.diag(K), 0.5 * lengths(z) ** 2, rtol=1e-15)
    np.testing.assert_allclose(K, K.T, atol=1e-14 * float(jnp.max(K)))
    # Positive semidefinite up to rounding of the entries, at most N times their error.
    smallest = np.linalg.eigvalsh(np.asarray(K))[0]
    assert smallest > -len(z) * ACCURACY[np.float64] * lengths(z).max() ** 2


def test_rows_at_the_edge_of_a_group_are_done_again() -> None:
    rng = np.random.default_rng(0)
    z1, z2 = rng.normal(size=(131, 12)), rng.normal(size=(10, 12))
    for row, column in ((0, 0), (63, 1), (64, 2), (127, 3), (130, 4)):
        z1[row] = z2[column] * (1 + 1e-9 * rng.normal(size=12))
    assert error(kernel(z1, z2), z1, z2) < ACCURACY[np.float64]


def test_huge_and_tiny_points() -> None:
    z = np.array([[3e150, 4e150, 0, 0, 1e150], [3e-150, 4e-150, 0, 0, 1e-150]])
    np.testing.assert_allclose(gram(z), 13 * np.array([[1e300, 1], [1, 1e-300]]), rtol=1e-15)
    assert np.isfinite(gram(1e-3 * z[:, :3])).all()


def test_is_the_expectation_over_weights_by_quadrature() -> None:
    # In the plane w is at a uniform angle: the share of the circle on which both units are active.
    z = np.random.default_rng(1).normal(size=(6, 2))
    n = 100_000
    angle = 2 * np.pi * (np.arange(n) + 0.5) / n
    active = (np.stack([np.cos(angle), np.sin(angle)], axis=1) @ z.T > 0).astype(float)
    # The ends of an arc are off by one node each.
    share = active.T @ active / n
    assert np.all(np.abs(gram(z) - z @ z.T * share) <= np.abs(z @ z.T) * 2 / n)


def test_is_the_expectation_over_weights_by_sampling() -> None:
    rng = np.random.default_rng(2)
    z, n = rng.normal(size=(5, 6)), 200_000
    active = (rng.normal(size=(n, 6)) @ z.T > 0).astype(float)
    share = active.T @ active / n
    half_width = 5 * np.sqrt(0.25 / n)  # five standard deviations of 15 proportions
    assert np.all(np.abs(gram(z) - z @ z.T * share) < np.abs(z @ z.T) * half_width)


@pytest.mark.parametrize("D", [3, 9])
def test_derivatives_are_those_of_the_closed_form(D: int) -> None:
    rng = np.random.default_rng(D)
    z1, z2, d1, d2 = (rng.normal(size=(n, D)) for n in (7, 5, 7, 5))
    step = 1e-5  # central differences in extended precision: error 1e-10 of the third derivative
    ahead, behind = (reference(z1 + s * d1, z2 + s * d2) for s in (step, -step))
    expected = ((ahead - behind) / (2 * step)).astype(float)
    _, found = jax.jvp(kernel, (jnp.asarray(z1), jnp.asarray(z2)), (d1, d2))
    np.testing.assert_allclose(found, expected, atol=1e-7)
    weight = rng.normal(size=(7, 5))
    _, pull = jax.vjp(kernel, jnp.asarray(z1), jnp.asarray(z2))
    g1, g2 = pull(jnp.asarray(weight))
    np.testing.assert_allclose(np.sum(g1 * d1) + np.sum(g2 * d2), np.sum(weight * found), rtol=1e-9)


def test_gradients_where_the_kernel_has_a_cone() -> None:
    z = np.random.default_rng(0).normal(size=(1, 5))

    def gradient(a: np.ndarray, b: np.ndarray) -> jax.Array:
        return jax.grad(lambda a: kernel(a, b)[0, 0])(jnp.asarray(a))

    np.testing.assert_allclose(gradient(z, z), z / 2)
    np.testing.assert_array_equal(gradient(z, -z), np.zeros((1, 5)))
    np.testing.assert_allclose(gradient(0 * z, z), z / 4)
    np.testing.assert_array_equal(gradient(z, 0 * z), np.zeros((1, 5)))
    points = np.concatenate([z, z, -z, 0 * z, z * (1 + 1e-16), z + 1e-12])
    found = jax.grad(lambda z: jnp.sum(gram(z) ** 2))(jnp.asarray(points))
    assert np.isfinite(found).all()
    # On the diagonal both arguments move: |z|²/2 has gradient z.
    np.testing.assert_allclose(jax.grad(lambda z: gram(z)[0, 0])(jnp.asarray(z)), z)


@pytest.mark.parametrize("D", [3, 12])
def test_a_point_that_is_not_a_number_spoils_only_its_own_pairs(D: int) -> None:
    z = np.random.default_rng(0).normal(size=(5, D))
    z[2, 0] = np.nan
    spoilt = np.isnan(gram(z))
    assert spoilt[2].all()
    assert spoilt[:, 2].all()
    assert spoilt.sum() == 9


def test_under_vmap_and_jit() -> None:
    z = jnp.asarray(np.random.default_rng(0).normal(size=(3, 20, 6)))
    found = jax.jit(jax.vmap(kernel))(z, z[:, :7])
    for k in range(3):
        np.testing.assert_allclose(found[k], kernel(z[k], z[k, :7]), rtol=1e-13)
    np.testing.assert_allclose(jax.vmap(gram)(z)[1], gram(z[1]), rtol=1e-13)


@pytest.mark.parametrize("block", [16, 1000])
def test_product_without_the_matrix(block: int) -> None:
    rng = np.random.default_rng(0)
    z1, z2, v = rng.normal(size=(37, 5)), rng.normal(size=(51, 5)), rng.normal(size=(51, 2))
    expected = np.asarray(kernel(z1, z2)) @ v
    # Sums of 51 terms of size about 5 in another order.
    np.testing.assert_allclose(product(z1, z2, v, block=block), expected, atol=1e-13)
    assert product(z1, z2, v[:, 0], block=block).shape == (37,)


def test_product_derivatives_match_the_matrix() -> None:
    rng = np.random.default_rng(0)
    z, v = jnp.asarray(rng.normal(size=(20, 5))), jnp.asarray(rng.normal(size=(20, 2)))
    found = jax.grad(lambda z, v: jnp.sum(product(z, z, v, block=8) ** 2), (0, 1))(z, v)
    expected = jax.grad(lambda z, v: jnp.sum((kernel(z, z) @ v) ** 2), (0, 1))(z, v)
    for one, other in zip(found, expected):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("D", [4, 40])
def test_memory_is_that_of_the_result_or_of_a_block(D: int) -> None:
    n = 2048
    z, v = jnp.zeros((n, D)), jnp.zeros((n, 3))
    whole = 8 * n * n
    found = jax.jit(kernel).lower(z, z).compile().memory_analysis()
    assert found is not None
    assert found.temp_size_in_bytes < 0.25 * whole
    blocked = jax.jit(lambda z, v: product(z, z, v, block=128)).lower(z, v)
    found = blocked.compile().memory_analysis()
    assert found is not None
    # Copies of z and v, and two blocks of 128².
    assert found.temp_size_in_bytes < 8 * (4 * n * (D + 8) + 4 * 128**2)


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match="as many columns"):
        kernel(np.zeros((3, 2)), np.zeros((3, 4)))
    with pytest.raises(InputError, match="as many columns"):
        gram(np.zeros(3))
    with pytest.raises(InputError, match="at least one"):
        kernel(np.zeros((3, 2)), np.zeros((0, 2)))
    with pytest.raises(InputError, match="one row for each of the 3 points"):
        product(np.zeros((2, 2)), np.zeros((3, 2)), np.zeros(2))
    with pytest.raises(InputError, match="block must be at least 1, got 0"):
        product(np.zeros((2, 2)), np.zeros((3, 2)), np.zeros(3), block=0)


def test_the_area_offers_its_kernel():
    import fineq.ntk

    assert fineq.ntk.kernel is kernel
    with pytest.raises(AttributeError, match="no attribute 'nosuch'"):
        fineq.ntk.nosuch  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]
