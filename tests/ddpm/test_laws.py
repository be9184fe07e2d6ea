"""Data laws: densities against SciPy, scores against autodiff, moments against draws, bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from fineq.ddpm.laws import gaussian, mixture, points, standard_normal
from fineq.errors import InputError

LEVELS = (1 - 1e-6, 0.9, 0.3, 1e-4)


def spd(rng, d):
    root = rng.normal(size=(d, d))
    return root @ root.T + 0.2 * np.eye(d)


def components(d, M):
    """Weights `[M]`, means `[M, d]` and covariances `[M, d, d]` of a mixture."""
    rng = np.random.default_rng(10 * d + M)
    weights = rng.uniform(0.5, 1.5, M)
    covariances = np.stack([spd(rng, d) for _ in range(M)])
    return weights / weights.sum(), rng.normal(size=(M, d)), covariances


def cases():
    """Laws with the Gaussian components (weights, means, covariances) they consist of."""
    for d, M in ((1, 2), (3, 4)):
        w, m, C = components(d, M)
        yield f"mixture{d}", mixture(w, m, C), (w, m, C)
    w, m, C = components(2, 1)
    yield "gaussian", gaussian(m[0], C[0]), (w, m, C)
    w, m, _ = components(2, 5)
    yield "points", points(m, w), (w, m, np.zeros((5, 2, 2)))


CASES = {name: (law, parts) for name, law, parts in cases()}


@pytest.fixture(params=CASES, name="case")
def _case(request):
    return CASES[request.param]


def noised(parts, bar):
    w, m, C = parts
    return w, np.sqrt(bar) * m, bar * C + (1 - bar) * np.eye(m.shape[1])


@pytest.mark.parametrize("bar", LEVELS)
def test_density_is_that_of_the_noised_components(case, bar):
    law, parts = case
    w, m, C = noised(parts, bar)
    x = np.random.default_rng(1).normal(size=(20, law.d))
    truth = np.sum([a * multivariate_normal(b, c).pdf(x) for a, b, c in zip(w, m, C)], axis=0)
    found = jax.vmap(law.noised(bar).log_density)(x)
    keep = truth > 0  # points nearly without noise underflow in SciPy's density
    # 1 - ᾱ = 1e-6 is known to ε 1e6, and exponents reach 1e2 where the density is kept.
    np.testing.assert_allclose(found[keep], np.log(truth[keep]), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("bar", LEVELS)
def test_score_is_the_derivative_of_the_log_density(case, bar):
    law, _ = case
    level = law.noised(bar)
    # Where mass is: the score at far points is all cancellation for narrow components.
    x = level.sample(jax.random.key(0), 20)
    truth = jax.vmap(jax.grad(level.log_density))(x)
    found = jax.vmap(level.score)(x)
    # Differences x - mean carry ε |x|, magnified by the largest inverse variance 1/(1 - ᾱ).
    np.testing.assert_allclose(found, truth, rtol=1e-9, atol=1e-9 / min(1, 1e3 * (1 - bar)))


@pytest.mark.parametrize("bar", LEVELS[1:])
def test_moments_are_those_of_the_components(case, bar):
    law, parts = case
    w, m, C = noised(parts, bar)
    mean = w @ m
    covariance = np.einsum("m,mij->ij", w, C + np.einsum("mi,mj->mij", m, m)) - np.outer(mean, mean)
    found = law.noised(bar).moments()
    np.testing.assert_allclose(found[0], mean, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found[1], covariance, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("bar", [1.0, 0.5])
def test_draws_have_the_moments(case, bar):
    law, _ = case
    law, num = law.noised(bar), 40_000
    x = np.asarray(law.sample(jax.random.key(3), num))
    mean, covariance = map(np.asarray, law.moments())
    # Five standard errors: one false alarm in 2e6 for each number compared.
    assert np.all(np.abs(x.mean(0) - mean) < 5 * np.sqrt(np.diag(covariance) / num))
    apart = x - mean
    products = apart[:, :, None] * apart[:, None, :]
    error = products.std(0) / np.sqrt(num)
    assert np.all(np.abs(products.mean(0) - covariance) < 5 * error)


def test_draws_of_a_mixture_use_its_weights():
    law = mixture([0.2, 0.8], [[-9.0], [9.0]], np.full((2, 1, 1), 0.1))
    share = np.mean(np.asarray(law.sample(jax.random.key(0), 10_000)) > 0)
    assert abs(share - 0.8) < 5 * np.sqrt(0.16 / 10_000)


def test_noising_twice_is_noising_by_the_product(case):
    law, _ = case
    x = jnp.full(law.d, 0.3)
    once, twice = law.noised(0.42), law.noised(0.7).noised(0.6)
    assert once.log_density(x) == pytest.approx(float(twice.log_density(x)), rel=1e-12)


def test_precision_inverts_the_covariance():
    law = CASES["gaussian"][0]
    np.testing.assert_allclose(law.precision() @ law.moments()[1], np.eye(2), atol=1e-12)


def test_laws_are_built_and_differentiated_under_jit_and_vmap():
    def value(scale):
        # Distinct eigenvalues: an eigendecomposition has no derivative where two meet.
        return gaussian(jnp.zeros(2), scale * jnp.diag(jnp.array([1.0, 4.0]))).log_density(
            jnp.ones(2)
        )

    scales = jnp.array([0.5, 2.0])
    slopes = jax.jit(jax.vmap(jax.grad(value)))(scales)
    # d/dv of -log v - (1 + 1/4)/(2 v).
    np.testing.assert_allclose(slopes, -1 / scales + 0.625 / scales**2, rtol=1e-12)


def test_standard_normal():
    law = standard_normal(3)
    np.testing.assert_array_equal(law.score(jnp.arange(3.0)), -jnp.arange(3.0))


EYE = np.eye(2)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: gaussian([0, 0], [[1, 0], [0, -1]]), r"positive definite.*least eigenvalue is -1"),
        (lambda: gaussian([0, 0], [[1, 1], [1, 1]]), r"must be positive definite"),
        (lambda: gaussian([0, 0], [[1, 0.5], [0, 1]]), r"must be symmetric"),
        (lambda: gaussian([0, 0], [[np.nan, 0], [0, 1]]), r"must be finite"),
        (lambda: gaussian([0, 0, 0], EYE), r"must have shape \(3, 3\)"),
        (lambda: mixture([0.5, 0.4], [[0, 0], [1, 1]], [EYE, EYE]), r"must sum to 1, got 0.9"),
        (lambda: mixture([1.5, -0.5], [[0, 0], [1, 1]], [EYE, EYE]), r"must be positive, got -0.5"),
        (lambda: mixture([1.0, 0.0], [[0, 0], [1, 1]], [EYE, EYE]), r"must be positive, got 0"),
        (lambda: mixture([1.0], [[0, 0], [1, 1]], [EYE, EYE]), r"one weight per mean"),
        (lambda: points([[0.0], [1.0]], np.array(["a", "b"])), "^weights must hold real"),
        (lambda: points([[1.0 + 2.0j], [1.0]]), "^locations must hold real numbers"),
        (lambda: points([[0.0], [np.inf]]), "^locations must be finite"),
        (lambda: points([0.0, 1.0]), r"shape \[S, d\], got \(2,\)"),
        (lambda: points([[0.0], [1.0]], [0.3, 0.3]), r"must sum to 1, got 0.6"),
        (lambda: points([[0.0], [1.0]], [1.0]), r"there are 2 points"),
    ],
)
def test_bad_input(build, sentence):
    with pytest.raises(InputError, match=sentence):
        build()


@pytest.mark.parametrize("components", [1, 3, 17])  # 17 are too many to be written out
def test_scores_of_many_points_are_those_of_single_ones(components):
    rng = np.random.default_rng(components)
    roots = rng.normal(size=(components, 3, 3))
    law = mixture(
        rng.dirichlet(np.ones(components)),
        rng.normal(size=(components, 3)),
        roots @ np.swapaxes(roots, 1, 2) + 0.2 * np.eye(3),
    )
    x = jnp.asarray(2 * rng.normal(size=(3, 40)))
    many = jax.jit(lambda law, x: jax.vmap(law.shared_score(), -1, -1)(x))(law, x)
    np.testing.assert_allclose(many, jax.vmap(law.score, -1, -1)(x), rtol=1e-11, atol=1e-12)
