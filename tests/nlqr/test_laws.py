"""Initial laws against closed-form moments; quadrature to its stated degree and no further."""

import math
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import scipy.stats

from fineq.errors import InputError
from fineq.nlqr import laws
from fineq.nlqr.features import Sine, Zero
from fineq.nlqr.laws import Ball, Gaussian, Points, Sphere
from fineq.nlqr.random_systems import random_system

COVARIANCE = np.array([[2.0, 0.6, -0.3], [0.6, 1.0, 0.2], [-0.3, 0.2, 0.5]])


def sphere_moment(powers, radius):
    """E Π x_i^{a_i} on the sphere of `radius` (Folland, Amer. Math. Monthly 108, 2001)."""
    if any(a % 2 for a in powers):
        return 0.0
    n, total = len(powers), sum(powers)
    top = math.prod(math.gamma((a + 1) / 2) for a in powers) * math.gamma(n / 2)
    return radius**total * top / (math.gamma((n + total) / 2) * math.pi ** (n / 2))


def ball_moment(powers, radius):
    n, total = len(powers), sum(powers)
    return sphere_moment(powers, radius) * n / (n + total)


def powers_up_to(n, degree):
    return [a for a in product(range(degree + 1), repeat=n) if sum(a) <= degree]


def rule_moment(rule, powers):
    return float(
        np.sum(rule.weights * np.prod(np.asarray(rule.points) ** np.array(powers), axis=1))
    )


@pytest.mark.parametrize(("rule", "truth"), [("sphere", sphere_moment), ("ball", ball_moment)])
@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("degree", [1, 2, 5, 8])
def test_rules_are_exact_to_their_degree(rule, truth, n, degree):
    radius = 1.2
    points = {"sphere": laws.sphere_points, "ball": laws.ball_points}[rule](n, radius, degree)
    assert np.min(points.weights) > 0
    for powers in powers_up_to(n, degree):
        # Up to 200 terms below radius^8 = 4.3, each good to a few rounding units.
        assert rule_moment(points, powers) == pytest.approx(truth(powers, radius), abs=1e-14)


@pytest.mark.parametrize(("n", "degree"), [(2, 4), (3, 4)])
def test_the_stated_degree_is_sharp_on_the_sphere(n, degree):
    rule = laws.sphere_points(n, 1.0, degree)
    gaps = [
        abs(rule_moment(rule, powers) - sphere_moment(powers, 1.0))
        for powers in powers_up_to(n, degree + 2)
        if sum(powers) == degree + 2
    ]
    assert max(gaps) > 1e-3


@pytest.mark.parametrize("n", [1, 2, 3])
def test_gaussian_rule_satisfies_isserlis(n):
    S = COVARIANCE[:n, :n]
    rule = laws.gaussian_points(jnp.asarray(S), 4)
    x, w = np.asarray(rule.points), np.asarray(rule.weights)
    fourth = np.einsum("s,si,sj,sk,sl->ijkl", w, x, x, x, x)
    pairs = (
        np.einsum("ij,kl->ijkl", S, S)
        + np.einsum("ik,jl->ijkl", S, S)
        + np.einsum("il,jk->ijkl", S, S)
    )
    np.testing.assert_allclose(fourth, pairs, atol=1e-12)
    np.testing.assert_allclose(rule.second_moment(), S, atol=1e-13)


@pytest.mark.parametrize("radius", [1.0, 3.0])
def test_sine_moments_on_the_sphere_against_dense_quadrature(radius):
    # Archimedes: a coordinate of the uniform law on the 2-sphere is uniform on [-r, r].
    def mean(f):
        return scipy.integrate.quad(lambda x: f(x) / (2 * radius), -radius, radius, epsabs=1e-13)[0]

    rule = laws.sphere_points(3, radius, 30)
    first = np.asarray(rule.points)[:, 0]
    for f in (lambda x: np.sin(x) ** 2, lambda x: x * np.sin(x), lambda x: np.cos(2 * x)):
        # The Taylor remainder of cos(2x) beyond degree 30 is below 6^32/32! = 3e-11 at r = 3.
        assert np.sum(rule.weights * f(first)) == pytest.approx(mean(f), abs=3e-11)


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-7])
def test_sigma_x_of_the_sine_kernel(scale):
    # E x1 sin x2 = 0 and E sin x1 sin x2 = 0 by symmetry: E ψψ' falls into equal 2x2 blocks
    # [[a, ℓb], [ℓb, ℓ²c]], with a = 1/3, b = sin 1 - cos 1, c = (1 - sin(2)/2)/2 at |x0| = 1.
    a, b, c = 1 / 3, math.sin(1) - math.cos(1), (1 - math.sin(2) / 2) / 2
    determinant, trace = scale**2 * (a * c - b * b), a + scale**2 * c
    # The smaller root of λ² - trace λ + determinant, without cancellation.
    least = 2 * determinant / (trace + math.sqrt(trace**2 - 4 * determinant))
    system = random_system(jax.random.key(0), Sine(), n=3, p=1, normalisation="own", scale=scale)
    rule = laws.sphere_points(3, 1.0, 20)
    # a c - b b cancels three digits; singular values carry rounding relative to the largest one:
    # the least, about 0.02 ℓ, is known to 1e-15/(0.02 ℓ) relative, twice that after squaring.
    tolerance = 1e-11 + 1e-13 / scale
    assert float(laws.sigma_x(system, rule)) == pytest.approx(least, rel=tolerance)


def test_sigma_x_with_fewer_points_than_regressors_is_zero():
    system = random_system(jax.random.key(0), Zero(0), n=3, p=1, normalisation="own")
    assert laws.sigma_x(system, Points(jnp.eye(3)[:2], jnp.array([0.5, 0.5]))) == 0
    assert laws.sigma_x(system, Points(jnp.eye(3), jnp.full(3, 1 / 3))) == pytest.approx(1 / 3)


LAWS = {
    "sphere": Sphere(2.0, 3),
    "ball": Ball(2.0, 3),
    "gaussian": Gaussian(jnp.asarray(COVARIANCE)),
    "points": Points(jnp.array([[1.0, 0, 0], [0, 2.0, 1], [3, 1, -1]]), jnp.array([0.2, 0.5, 0.3])),
}


@pytest.mark.parametrize("name", list(LAWS))
def test_draws_have_the_stated_second_moment_and_bound(name):
    law, num = LAWS[name], 20_000
    x = np.asarray(law.sample(jax.random.key(4), num))
    assert x.shape == (num, law.n)
    outer = np.einsum("si,sj->sij", x, x)
    error = np.abs(outer.mean(0) - law.second_moment())
    # 9 entries at 5 standard errors: a false alarm once in 2e5 draws of the (fixed) seed.
    assert np.all(error <= 5 * outer.std(0) / np.sqrt(num) + 1e-15)
    if law.bound is None:
        assert name == "gaussian"
    else:
        # One rounding of the norm, one of the product with the radius.
        assert np.max(np.linalg.norm(x, axis=1)) <= float(law.bound) * (1 + 1e-15)


def test_second_moments_in_closed_form():
    np.testing.assert_allclose(LAWS["sphere"].second_moment(), 4 / 3 * np.eye(3))
    np.testing.assert_allclose(LAWS["ball"].second_moment(), 4 / 5 * np.eye(3))
    expected = 0.2 * np.diag([1, 0, 0]) + 0.5 * np.outer([0, 2, 1], [0, 2, 1])
    expected = expected + 0.3 * np.outer([3, 1, -1], [3, 1, -1])
    np.testing.assert_allclose(LAWS["points"].second_moment(), expected)
    np.testing.assert_allclose(LAWS["points"].bound, np.sqrt(11))


def test_radii_and_directions_are_uniform():
    x = np.asarray(LAWS["ball"].sample(jax.random.key(1), 4000))
    radii = np.linalg.norm(x, axis=1)
    assert scipy.stats.kstest((radii / 2) ** 3, "uniform").pvalue > 1e-3
    heights = np.asarray(LAWS["sphere"].sample(jax.random.key(2), 4000))[:, 2]
    assert scipy.stats.kstest(heights, "uniform", (-2, 4)).pvalue > 1e-3


def test_points_are_drawn_with_their_weights():
    law = LAWS["points"]
    x = np.asarray(law.sample(jax.random.key(7), 3000))
    counts = [int(np.sum(np.all(x == p, axis=1))) for p in np.asarray(law.points)]
    assert sum(counts) == 3000
    assert scipy.stats.chisquare(counts, 3000 * np.asarray(law.weights)).pvalue > 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_a_singular_covariance_stays_on_its_line(seed):
    v = np.random.default_rng(seed).normal(size=4)
    v /= np.linalg.norm(v)
    # Rank one: computed eigenvalues of the rest are rounding of either sign.
    x = np.asarray(Gaussian(jnp.asarray(np.outer(v, v))).sample(jax.random.key(seed), 100))
    # The root of a zero eigenvalue known to 1e-16 is known to 1e-8.
    assert np.max(np.abs(x - np.outer(x @ v, v))) < 1e-6


def test_empirical_laws_and_the_choice_of_a_rule():
    drawn = laws.drawn_points(LAWS["ball"], jax.random.key(0), 10)
    np.testing.assert_array_equal(drawn.points, LAWS["ball"].sample(jax.random.key(0), 10))
    np.testing.assert_allclose(drawn.weights.sum(), 1.0, rtol=1e-15)
    for law in LAWS.values():
        rule = laws.quadrature(law, 6)
        np.testing.assert_allclose(rule.second_moment(), law.second_moment(), atol=1e-12)
    assert laws.quadrature(LAWS["points"]) is LAWS["points"]


def test_dtypes_tracing_and_batches():
    assert Sphere(jnp.float32(1.0), 2).sample(jax.random.key(0), 3).dtype == jnp.float32
    assert Ball(jnp.float32(1.0), 2).sample(jax.random.key(0), 3).dtype == jnp.float32
    assert laws.sphere_points(2, jnp.float32(1.0), 3).points.dtype == jnp.float32
    radii = jnp.array([1.0, 2.0])
    batch = jax.jit(jax.vmap(lambda r: laws.sphere_points(2, r, 3)))(radii)
    np.testing.assert_allclose(batch.points[1], 2 * batch.points[0])
    draws = jax.vmap(lambda r: Sphere(r, 3).sample(jax.random.key(0), 5))(radii)
    np.testing.assert_allclose(draws[1], 2 * draws[0])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: laws.sphere_points(4, 1.0), "dimension 1 to 3, got n = 4"),
        (lambda: laws.ball_points(3, 1.0, 0), "at least 1, got 0"),
        (lambda: laws.gaussian_points(jnp.eye(5)), "got n = 5"),
        (lambda: laws.quadrature(object()), "type object"),  # pyright: ignore
    ],
)
def test_impossible_rules_are_refused(build, message):
    with pytest.raises(InputError, match=message):
        build()


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("degree", [3, 4])
def test_half_a_rule_is_exact_for_even_polynomials(n, degree):
    """One point of each mirrored pair: even moments as before, no point beside its mirror image."""
    whole, half = (laws.sphere_points(n, 1.2, degree, half=half) for half in (False, True))
    assert 2 * len(half.points) == len(whole.points)
    for powers in powers_up_to(n, degree):
        if sum(powers) % 2 == 0:
            truth = sphere_moment(powers, 1.2)
            assert rule_moment(half, powers) == pytest.approx(truth, abs=1e-14)


def test_half_a_gaussian_rule_keeps_the_origin_once():
    half = laws.gaussian_points(jnp.asarray(COVARIANCE[:2, :2]), 4, half=True)
    assert len(half.points) == (3 * 3 + 1) // 2
    np.testing.assert_allclose(jnp.sum(half.weights), 1.0, rtol=1e-14)
    np.testing.assert_allclose(half.second_moment(), COVARIANCE[:2, :2], atol=1e-14)
