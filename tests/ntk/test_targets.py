"""Exact regression functions: Bayes by dense quadrature, autodiff, limits, the tower property."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import truncnorm

from fineq.ddpm.laws import gaussian, mixture, points
from fineq.errors import InputError
from fineq.ntk import targets
from fineq.ntk.forward import alpha, fixed, make_process, triples, variance
from fineq.ntk.named import make_target
from fineq.ntk.targets import posterior
from fineq.ntk.truncated import box_mixture, truncated_mixture

PROCESS = make_process(T0=0.01)
TIMES = (0.01, 0.1, 1.0, 6.0)

# One narrow component well inside, one cut by a face, one wide, with unequal coordinates.
PARTS = {
    1: ([0.5, 0.3, 0.2], [[-0.4], [0.95], [0.2]], [[0.05], [0.2], [0.6]]),
    2: ([0.6, 0.4], [[-0.5, 0.3], [0.9, -0.9]], [[0.1, 0.3], [0.2, 0.15]]),
}


def laws():
    rng = np.random.default_rng(0)
    places, w = rng.uniform(-1, 1, (4, 2)), np.array([0.1, 0.2, 0.3, 0.4])
    root = rng.normal(size=(2, 2, 2)) / 2
    spreads = root @ np.swapaxes(root, 1, 2) + 0.1 * np.eye(2)
    yield "points", points(places, w)
    yield "blurred", points(places, w)._replace(variance=jnp.asarray(0.03))
    yield "truncated", truncated_mixture(*(np.array(v) for v in PARTS[2]))
    yield "boxes", box_mixture(w, places - 0.1, places + 0.2)
    yield "mixture", mixture([0.4, 0.6], places[:2], spreads)


CASES = dict(laws())
LINE = truncated_mixture(*(np.array(v) for v in PARTS[1]))


SLOW = ("boxes", "points")  # as `truncated` and `blurred`, but for a few lines
SOME = [pytest.param(x, marks=pytest.mark.slow) if x in SLOW else x for x in CASES]


@pytest.fixture(params=SOME, name="law", scope="module")
def _law(request):
    return CASES[request.param]


def at_times(law, num=8):
    """Times `[N]` and states `[N, d]`: draws of X_t at every time, and two states far outside."""
    x0 = np.asarray(law.sample(jax.random.key(0), num))
    z = np.random.default_rng(0).normal(size=x0.shape)
    rows = []
    for t in TIMES:
        x = float(alpha(PROCESS, t)) * x0 + float(variance(PROCESS, t)) ** 0.5 * z
        rows.append(np.concatenate([x, 2 * x[:2] + 1.5]))
    return jnp.repeat(jnp.array(TIMES), num + 2), jnp.asarray(np.concatenate(rows))


one_posterior = jax.jit(posterior)
posteriors = jax.jit(jax.vmap(posterior, (None, 0, 0, 0)))


class Everything(NamedTuple):
    """All that the module computes at `at_times`, and derivatives by autodiff."""

    score: np.ndarray
    gradient: np.ndarray
    jacobian: np.ndarray
    covariance: np.ndarray
    slope: np.ndarray
    noise: np.ndarray


@jax.jit
def compute(law, t, x):
    def one(s, y):
        return posterior(law, alpha(PROCESS, s), variance(PROCESS, s), y)

    return Everything(
        targets.score(PROCESS, law, t, x),
        jax.vmap(jax.grad(lambda y, s: one(s, y).log_density))(x, t),
        jax.vmap(jax.jacfwd(lambda y, s: one(s, y).mean))(x, t),
        targets.covariance(PROCESS, law, t, x),
        targets.slope(PROCESS, law, t, x),
        targets.noise(PROCESS, law, t, x),
    )


@pytest.fixture(name="found", scope="module")
def _found(law):
    return Everything(*(np.asarray(v) for v in compute(law, *at_times(law))))


def prior(d, y):
    """Density of the truncated mixture `PARTS[d]` at y `[P, d]`, not normalised."""
    total = np.zeros(len(y))
    for w, m, s in zip(*PARTS[d]):
        m, s = np.array(m), np.array(s)
        total += w * np.exp(-0.5 * np.sum(((y - m) / s) ** 2, -1)) / np.prod(s)
    return total


@pytest.mark.parametrize(("d", "law"), [(1, LINE), (2, CASES["truncated"])])
def test_truncated_mixture_is_bayes_by_dense_quadrature(d, law):
    # Gauss-Legendre in panels of the cube with 10 nodes: seen from far outside, a posterior falls
    # off within h/(a |x - a y|) = 0.003 of a face, resolved by panels of 0.05 to 1e-12.
    panels = 40
    nodes, weights = np.polynomial.legendre.leggauss(10)
    edges = np.linspace(-1, 1, panels + 1)
    axis = (edges[:-1, None] + (nodes + 1) / panels).ravel()
    y = np.stack(np.meshgrid(*[axis] * d, indexing="ij"), -1).reshape(-1, d)
    w = np.tile(weights / panels, panels)
    w = w if d == 1 else np.outer(w, w).ravel()
    base = w * prior(d, y)
    base /= base.sum()
    times, states = at_times(law)
    found = posteriors(law, alpha(PROCESS, times), variance(PROCESS, times), states)
    for i, (t, x) in enumerate(zip(np.asarray(times), np.asarray(states))):
        a, h = np.exp(-t / 2), 1 - np.exp(-t)
        like = np.exp(-0.5 * np.sum((x - a * y) ** 2, -1) / h) / (2 * np.pi * h) ** (d / 2)
        joint = base * like
        if joint.sum() < 1e-290:  # the plain sum underflows; the library's need not
            continue
        mean = joint @ y / joint.sum()
        apart = y - mean
        cov = (joint[:, None] * apart).T @ apart / joint.sum()
        # Exponents reach 1e3 far outside: relative errors of 1e3 ε in densities.
        np.testing.assert_allclose(found.log_density[i], np.log(joint.sum()), atol=1e-9)
        np.testing.assert_allclose(found.mean[i], mean, atol=1e-10)
        np.testing.assert_allclose(found.covariance[i], cov, atol=1e-10)


@pytest.mark.parametrize(("precision", "peak"), [(1e-6, 0.3), (4.0, 5.0), (1e4, 0.2), (30.0, -4.0)])
def test_moments_are_those_of_the_truncated_normal(precision, peak):
    """One coordinate whose posterior precision and peak are given, against SciPy's truncnorm."""
    a, h = 0.8, 0.36
    p = max(precision - a * a / h, 0.0)  # the rest of the precision comes from the state
    q = precision - p
    scale = np.sqrt(a * a / h / q)  # rescaled noise, so that the state brings exactly q
    a = a / scale
    law = (
        truncated_mixture([1.0], [[0.5]], [p**-0.5]) if p else box_mixture([1.0], [[-1.0]], [[1.0]])
    )
    x = (precision * peak - p * 0.5) * h / a
    sd = precision**-0.5
    truth = truncnorm((-1 - peak) / sd, (1 - peak) / sd, peak, sd)
    found = one_posterior(law, a, h, jnp.array([x]))
    np.testing.assert_allclose(found.mean, [truth.mean()], rtol=1e-9, atol=1e-10)
    # SciPy divides differences of Φ, which for the flattest law cancel to 1e-10 in the mean, and
    # subtracts squares for the variance.
    np.testing.assert_allclose(found.covariance, [[truth.var()]], rtol=1e-6)


def test_points_are_bayes_by_their_sum():
    law = CASES["points"]
    places, w = np.asarray(law.locations), np.exp(np.asarray(law.log_weights))
    a, h = 0.7, 0.51
    for x in np.random.default_rng(1).normal(size=(5, 2)):
        joint = w * np.exp(-np.sum((x - a * places) ** 2, -1) / (2 * h)) / (2 * np.pi * h)
        found = one_posterior(law, a, h, jnp.asarray(x))
        mean = joint @ places / joint.sum()
        second = np.einsum("s,si,sj->ij", joint, places, places) / joint.sum()
        np.testing.assert_allclose(np.exp(found.log_density), joint.sum(), rtol=1e-12)
        np.testing.assert_allclose(found.mean, mean, atol=1e-13)
        np.testing.assert_allclose(found.covariance, second - np.outer(mean, mean), atol=1e-13)


def test_scores_are_derivatives_of_the_log_density(found):
    """ntk/score-identity: ∇ log p_t = (a/h) f* - x/h."""
    # Both subtract terms of size |x|/h, so rounding is magnified by 1/h, at most 1e2.
    np.testing.assert_allclose(found.score, found.gradient, rtol=1e-9, atol=1e-9)


def test_derivatives_of_the_regression_function_are_covariances(law, found):
    """∂f*(t, x)/∂x = (a/h) Cov(X_0 | X_t = x); slope is its norm, noise the covariance's trace."""
    t, _ = at_times(law)
    gain = np.asarray(alpha(PROCESS, t) / variance(PROCESS, t))
    # Values reach 1e2; the derivative of the softmax cancels a few digits of them.
    np.testing.assert_allclose(gain[:, None, None] * found.covariance, found.jacobian, atol=1e-9)
    np.testing.assert_allclose(
        found.slope, np.linalg.norm(found.jacobian, 2, axis=(1, 2)), atol=1e-9
    )
    trace = np.trace(found.jacobian, axis1=1, axis2=2)
    np.testing.assert_allclose(found.noise, trace / gain / law.d, atol=1e-9)


def test_early_times_return_the_data_and_late_times_the_mean(law):
    mean, cov = law.moments()
    x0 = law.sample(jax.random.key(1), 5)
    # At h = 1e-6 X_0 is known to within √h where the law is smooth, better between points.
    near = posteriors(law, jnp.full(5, np.sqrt(1 - 1e-6)), jnp.full(5, 1e-6), x0)
    np.testing.assert_allclose(near.mean, x0, atol=2e-3)
    np.testing.assert_allclose(near.covariance, np.zeros((5, law.d, law.d)), atol=2e-6)
    # At a = 1e-8 the state says nothing: what remains is of order a.
    far = posteriors(law, jnp.full(5, 1e-8), jnp.ones(5), x0)
    np.testing.assert_allclose(far.mean, np.tile(mean, (5, 1)), atol=1e-7)
    np.testing.assert_allclose(far.covariance, np.tile(cov, (5, 1, 1)), atol=1e-7)


@pytest.mark.parametrize("name", ["points", "truncated", "boxes"])
def test_averages_return_the_mean_and_split_the_variance(name):
    """E f*(t, X_t) = E X_0 and Cov X_0 = E Cov(X_0 | X_t) + Cov f*, within 4 standard errors."""
    n, law = 10_000, CASES[name]
    data = triples(PROCESS, law, jax.random.key(2), n)
    mean, cov = (np.asarray(v) for v in law.moments())
    found = np.asarray(targets.denoise(PROCESS, law, data.t, data.x))
    noise = np.asarray(targets.noise(PROCESS, law, data.t, data.x))
    parts = noise + np.sum((found - mean) ** 2, -1) / law.d
    start = np.asarray(data.x0)
    squares = np.einsum("ni,nj->nij", start - mean, start - mean)
    for values, truth in (
        (found, mean),
        (parts, np.trace(cov) / law.d),
        (start, mean),
        (squares, cov),
    ):
        margin = 4 * values.std(0) / np.sqrt(n)
        assert np.all(np.abs(values.mean(0) - truth) < margin)


def test_slopes_stay_below_their_bound_and_two_points_attain_it():
    law = points([[-0.3, 0.0], [0.5, 0.6]])
    t = jnp.array(TIMES[:3])
    found = targets.lipschitz(PROCESS, law, t, jax.random.key(3), 50)
    # Half of the pairs drawn are the two points, at distance 1, and the bound is met between them.
    np.testing.assert_allclose(found, targets.slope_bound(PROCESS, t, 1.0), rtol=1e-10)
    other = make_target("five_points").law
    places = np.asarray(other.locations)
    diameter = np.linalg.norm(places[:, None] - places[None], axis=-1).max()
    least = targets.lipschitz(PROCESS, other, t, jax.random.key(3), 50)
    assert np.all(least <= targets.slope_bound(PROCESS, t, diameter))


@pytest.mark.parametrize("name", ["points", "truncated"])
def test_single_precision_stays_accurate_at_small_noise(name):
    law = CASES[name]
    small = jax.tree.map(lambda v: v.astype(jnp.float32), law)
    process = make_process(T0=1e-4)
    t = jnp.full(50, 1e-4)
    data = triples(process, law, jax.random.key(4), 50, fixed(1e-4))
    x = data.x.astype(jnp.float32)
    found = targets.denoise(process, small, t.astype(jnp.float32), x)
    truth = targets.denoise(process, law, t, x.astype(jnp.float64))
    assert found.dtype == jnp.float32
    # Exponents |x - a y|²/(2h) carry a relative ε |x|/√h = 1e-5; f* moves by less than √h of it.
    np.testing.assert_allclose(found, truth, atol=1e-5)


def test_many_points_in_blocks_agree_with_one_by_one():
    rng = np.random.default_rng(5)
    law = points(rng.uniform(-1, 1, (1797, 16)))
    x = jnp.asarray(rng.normal(size=(300, 16)))  # more than one block of 145 states
    t = jnp.asarray(rng.uniform(0.01, 3, 300))
    found = targets.denoise(PROCESS, law, t, x)
    for i in (0, 144, 145, 299):
        one = targets.denoise(PROCESS, law, t[i : i + 1], x[i : i + 1])
        np.testing.assert_allclose(found[i], one[0], atol=1e-13)


def test_coinciding_points_count_twice():
    twice = points([[0.3], [0.3], [-0.5]])
    merged = points([[0.3], [-0.5]], [2 / 3, 1 / 3])
    for x in (-0.4, 0.1, 2.0):
        a, b = (one_posterior(law, 0.8, 0.36, jnp.array([x])) for law in (twice, merged))
        np.testing.assert_allclose(a.mean, b.mean, rtol=1e-13)


def test_gaussian_moments_are_regression_coefficients():
    mean, cov, a, h = np.array([0.1, -0.2]), np.array([[0.5, 0.2], [0.2, 0.3]]), 0.6, 0.64
    law, x = gaussian(mean, cov), np.array([0.7, 1.5])
    gain = a * cov @ np.linalg.inv(a * a * cov + h * np.eye(2))
    found = posterior(law, a, h, jnp.asarray(x))
    np.testing.assert_allclose(found.mean, mean + gain @ (x - a * mean), rtol=1e-12)
    np.testing.assert_allclose(found.covariance, cov - a * gain @ cov, rtol=1e-12)


def test_bad_laws_are_refused():
    w = np.array([0.5, 0.5])
    with pytest.raises(InputError, match=r"means must lie in \[-1, 1\]\^d, got .* size 1.2"):
        truncated_mixture(w, [[0.0], [1.2]], [0.1, 0.1])
    with pytest.raises(InputError, match=r"deviations must be above 0, got 0"):
        truncated_mixture(w, [[0.0], [0.5]], [0.1, 0.0])
    with pytest.raises(InputError, match=r"one deviation per component"):
        truncated_mixture(w, [[0.0], [0.5]], [0.1])
    with pytest.raises(InputError, match=r"weights must sum to 1, got 1.1"):
        truncated_mixture([0.5, 0.6], [[0.0], [0.5]], [0.1, 0.1])
    with pytest.raises(InputError, match=r"low must be below high"):
        box_mixture(w, [[0.0], [0.5]], [[0.1], [0.5]])
    with pytest.raises(InputError, match="one weight per row"):
        box_mixture(w, [[0.0]], [[0.1]])
