"""Forward process: a and h against quadrature, triples' moments, weights, the two losses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from fineq.ddpm.laws import gaussian, points
from fineq.errors import InputError
from fineq.ntk import forward
from fineq.ntk.forward import make_process
from fineq.ntk.targets import predictor

PROCESSES = {
    "constant": make_process(1.0),
    "rising": make_process(0.2, 4.0, T0=0.05, T=2.0),
    "falling": make_process(3.0, 0.5, T0=0.2, T=1.5),
}


@pytest.fixture(params=PROCESSES, name="process")
def _process(request):
    return PROCESSES[request.param]


def test_mean_and_variance_solve_the_moment_equations(process):
    first, last, T = (float(x) for x in (process.first, process.last, process.T))

    def g(s):
        return first + (last - first) * s / T

    for t in (float(process.T0), 0.7, T):
        total = quad(g, 0, t)[0]
        # dh/dt = g (1 - h), h(0) = 0, by variation of constants rather than by 1 - a².
        h = quad(lambda s, t=t: g(s) * np.exp(-quad(g, s, t)[0]), 0, t)[0]
        np.testing.assert_allclose(forward.alpha(process, t), np.exp(-total / 2), rtol=1e-12)
        np.testing.assert_allclose(forward.variance(process, t), h, rtol=1e-10)
        np.testing.assert_allclose(forward.rate(process, t), g(t), rtol=1e-14)


def test_small_times_keep_their_digits_in_float32():
    t = jnp.float32(1e-6)
    h = forward.variance(make_process(1.0), t)
    assert h.dtype == jnp.float32
    # 1 - a² formed in float32 would be a multiple of 6e-8: wrong by up to 6 %.
    np.testing.assert_allclose(h, -np.expm1(-np.float64(t)), rtol=1e-6)


@pytest.mark.parametrize(
    ("times", "cdf"),
    [
        (forward.uniform, lambda t, p: (t - p.T0) / (p.T - p.T0)),
        (forward.log_uniform, lambda t, p: jnp.log(t / p.T0) / jnp.log(p.T / p.T0)),
    ],
)
def test_laws_of_time_are_given_by_their_quantiles(times, cdf, process):
    u = jnp.linspace(0.0, 1.0, 11)
    t = times(process, u)
    np.testing.assert_allclose(cdf(t, process), u, atol=1e-12)
    np.testing.assert_allclose([t.min(), t.max()], [process.T0, process.T], rtol=1e-14)


def test_triples_have_the_moments_of_the_process(process):
    n = 40_000
    law = points([[-0.5, 0.2], [0.9, -0.3]], [0.3, 0.7])
    t = 0.6 * float(process.T)
    data = forward.triples(process, law, jax.random.key(0), n, forward.fixed(t))
    assert np.all(data.t == t)
    a, h = forward.alpha(process, t), forward.variance(process, t)
    start = np.asarray(data.x0)
    z = (np.asarray(data.x) - float(a) * start) / float(jnp.sqrt(h))
    # Standard errors: of a mean n^-½, of a variance (2/n)^½, of a correlation n^-½; 4 of each.
    np.testing.assert_allclose(z.mean(0), 0, atol=4 / np.sqrt(n))
    np.testing.assert_allclose(np.cov(z.T), np.eye(2), atol=4 * np.sqrt(2 / n))
    np.testing.assert_allclose(z.T @ (start - start.mean(0)) / n, 0, atol=4 / np.sqrt(n))
    np.testing.assert_allclose(start.mean(0), law.moments()[0], atol=4 / np.sqrt(n))
    many = forward.triples(process, law, jax.random.key(0), n)
    middle = 0.5 * (process.T0 + process.T)
    sd = (process.T - process.T0) / np.sqrt(12)
    np.testing.assert_allclose(many.t.mean(), middle, atol=4 * sd / np.sqrt(n))


def test_weights_are_those_of_score_losses(process):
    """w |f - X_0|² = λ |s_f - ∇ log p(x | X_0)|² with s_f the score that f stands for."""
    key = jax.random.key(1)
    data = forward.triples(process, points([[-0.5], [0.5]]), key, 7)
    f = jax.random.normal(key, data.x.shape)
    a, h = forward.alpha(process, data.t), forward.variance(process, data.t)
    conditional = -(data.x - a[:, None] * data.x0) / h[:, None]
    squares = jnp.sum((forward.score_of(process, data.t, data.x, f) - conditional) ** 2, -1)
    factors = {
        "regression": h**2 / a**2,
        "score": 1.0,
        "noise": h,
        "likelihood": forward.rate(process, data.t),
    }
    assert set(factors) == set(forward.WEIGHTS)
    for name, factor in factors.items():
        found = forward.losses(process, lambda t, x: f, lambda t, x: f, data, name)
        np.testing.assert_allclose(found.denoising, factor * squares, rtol=1e-10)


def wrong(t, x):
    """Some predictor, bounded, nonlinear and far from f*."""
    return jnp.sin(3 * x + t[:, None]) + 0.3


@pytest.mark.parametrize("weight", forward.WEIGHTS)
def test_losses_differ_by_a_constant(weight):
    """ntk/score-identity by draws: E denoising - E explicit = E noise for every predictor."""
    process = PROCESSES["rising"]
    law = points([[-0.8, 0.1], [0.3, 0.9], [0.7, -0.6]], [0.5, 0.2, 0.3])
    n = 20_000
    data = forward.triples(process, law, jax.random.key(2), n)
    found = forward.losses(process, wrong, predictor(process, law), data, weight)
    apart = np.asarray(found.denoising - found.explicit - found.noise)
    assert abs(apart.mean()) < 4 * apart.std() / np.sqrt(n)
    # The test can fail: the constant and the other losses are larger than what it leaves open.
    assert 4 * apart.std() / np.sqrt(n) < 0.3 * float(found.noise.mean())


def test_losses_of_a_gaussian_agree_with_their_closed_forms():
    """ntk/score-identity in closed form: linear f = c + B x on X_0 ~ N(μ, Σ) at one time."""
    process, t, n = make_process(0.7), 0.9, 200_000
    mean, cov = np.array([0.2, -0.3]), np.array([[0.3, 0.1], [0.1, 0.2]])
    law = gaussian(mean, cov)
    a, h = (float(f(process, t)) for f in (forward.alpha, forward.variance))
    B, c = np.array([[0.5, -0.2], [0.3, 0.1]]), np.array([0.1, 0.4])
    marginal = a * a * cov + h * np.eye(2)
    gain = a * cov @ np.linalg.inv(marginal)

    def square(offset, on_start, on_noise):
        """E |offset + on_start (X_0 - μ) + on_noise √h Z|²."""
        spread = on_start @ cov @ on_start.T + h * on_noise @ on_noise.T
        return offset @ offset + np.trace(spread)

    at_mean = c + a * B @ mean - mean
    truth = {
        "denoising": square(at_mean, a * B - np.eye(2), B),
        "explicit": square(at_mean, a * (B - gain), B - gain),
        "noise": square(np.zeros(2), a * gain - np.eye(2), gain),
    }
    # The closed forms themselves: f* is the orthogonal projection of X_0.
    np.testing.assert_allclose(truth["denoising"], truth["explicit"] + truth["noise"], rtol=1e-12)
    data = forward.triples(process, law, jax.random.key(3), n, forward.fixed(t))
    found = forward.losses(process, lambda s, x: c[None] + x @ B.T, predictor(process, law), data)
    for name, value in truth.items():
        per_sample = np.asarray(getattr(found, name))
        np.testing.assert_allclose(
            per_sample.mean(), value, atol=4 * per_sample.std() / np.sqrt(n), err_msg=name
        )


def test_inputs_carry_time_and_a_constant(process):
    t, x = jnp.array([0.3, 1.0], jnp.float32), jnp.ones((2, 3), jnp.float32)
    z = forward.inputs(process, t, x)
    assert (z.shape, z.dtype) == ((2, 5), jnp.float32)
    np.testing.assert_array_equal(z[:, -1], 1)
    np.testing.assert_allclose(z[:, 3], t - float(process.T0), rtol=1e-6)
    np.testing.assert_array_equal(forward.inputs(process, t, x, constant=False), z[:, :-1])


def test_processes_differentiate_under_jit():
    found = jax.jit(jax.grad(lambda g: forward.alpha(make_process(g), 0.8)))(1.3)
    np.testing.assert_allclose(found, -0.4 * np.exp(-0.4 * 1.3), rtol=1e-14)


@pytest.mark.parametrize(
    ("kwargs", "sentence"),
    [
        ({"g": 0.0}, r"first must be a finite rate g above 0, got 0"),
        ({"g": 1.0, "last": -1.0}, r"last must be a finite rate g above 0, got -1"),
        ({"g": float("nan")}, "first must"),
        ({"T0": 0.0}, "T0 must be above 0 and below T, got T0 = 0, T = 3"),
        ({"T0": 3.0}, "below T, got T0 = 3, T = 3"),
        ({"T": float("inf")}, "below T"),
    ],
)
def test_bad_processes_are_refused(kwargs, sentence):
    with pytest.raises(InputError, match=sentence):
        make_process(**kwargs)


def test_bad_inputs_are_refused():
    process = make_process()
    with pytest.raises(InputError, match="a state for each of 3 times"):
        forward.inputs(process, np.ones(3), np.ones((2, 1)))
    with pytest.raises(InputError, match="times must have 1 axes"):
        forward.inputs(process, np.ones((3, 1)), np.ones((3, 1)))
    with pytest.raises(InputError, match="number of triples must be at least 1, got 0"):
        forward.triples(process, points([[0.0]]), jax.random.key(0), 0)


def test_unknown_weights_are_refused():
    with pytest.raises(InputError, match="weight must be one of regression, score"):
        forward.weight(make_process(), jnp.ones(1), "nosuch")
