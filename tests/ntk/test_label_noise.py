"""Label noise: quadrature against SciPy and draws, closed forms, limits, mass outside a ball."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from fineq.ddpm.laws import gaussian, points
from fineq.errors import InputError
from fineq.ntk import label_noise
from fineq.ntk.forward import alpha, fixed, log_uniform, make_process, triples, variance
from fineq.ntk.named import make_target
from fineq.ntk.targets import noise

PROCESS = make_process()
PAIR = points([[-0.6], [0.6]])


def noise_of_pair(t):
    """E Var(X_0 | X_t) for X_0 = ±c: c² (1 - E tanh²(a c X_t / h)), by SciPy's quadrature."""
    c, a, h = 0.6, np.exp(-t / 2), 1 - np.exp(-t)
    sd = np.sqrt(h)

    def integrand(z):
        return np.exp(-z * z / 2) / np.sqrt(2 * np.pi) / np.cosh(a * c * (a * c + sd * z) / h) ** 2

    breaks = [-a * c / sd]  # where the posterior is even
    return c * c * quad(integrand, -12, 12, points=breaks, epsabs=1e-13, limit=500)[0]


def test_noise_of_two_points_is_its_integral():
    t = jnp.array([0.02, 0.1, 1.0, 5.0])
    found = label_noise.noise_on_grid(PROCESS, PAIR, t)
    truth = [noise_of_pair(float(s)) for s in t]
    # The trapezoidal rule's own error is e^-18 of a small density; SciPy's is 1e-12.
    np.testing.assert_allclose(found.noise, truth, atol=1e-11)
    assert np.all(np.abs(found.noise - np.array(truth)) <= found.error + 1e-12)
    coarse = label_noise.noise_on_grid(PROCESS, PAIR, t, num=21)
    assert np.all(np.abs(coarse.noise - np.array(truth)) <= coarse.error + 1e-12)


@pytest.mark.slow
def test_root_mean_square_over_time_is_its_integral():
    T0, T = 0.1, 3.0
    truth = quad(noise_of_pair, T0, T, epsabs=1e-11)[0] / (T - T0)
    found = label_noise.levels(PROCESS, PAIR, jax.random.key(0), 0)
    assert found.noise.low <= np.sqrt(truth) <= found.noise.high
    assert found.noise.high - found.noise.low < 1e-5
    np.testing.assert_allclose(found.noise.value**2 + found.signal.value**2, 0.36, rtol=1e-12)
    log_truth = quad(lambda s: noise_of_pair(np.exp(s)), np.log(T0), np.log(T))[0] / np.log(T / T0)
    found = label_noise.levels(PROCESS, PAIR, jax.random.key(0), 0, log_uniform)
    np.testing.assert_allclose(found.noise.value**2, log_truth, rtol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["five_points", "boxes"])
def test_quadrature_in_the_plane_agrees_with_draws(name):
    law = make_target(name).law
    t = jnp.array([0.15, 1.0])
    exact = label_noise.noise_on_grid(PROCESS, law, t, num=101)
    drawn = [triples(PROCESS, law, jax.random.key(1), 4000, fixed(s)) for s in t]
    draws = np.stack([noise(PROCESS, law, data.t, data.x) for data in drawn])
    margin = 4 * draws.std(1) / np.sqrt(draws.shape[1])
    assert np.all(np.abs(draws.mean(1) - exact.noise) < margin + np.asarray(exact.error))
    assert np.all(np.asarray(exact.error) < 1e-3)


def test_gaussian_labels_have_noise_in_closed_form():
    cov = np.diag([0.3, 0.1, 0.05])
    law = gaussian(np.zeros(3), cov)
    t = 0.8
    a, h = float(alpha(PROCESS, t)), float(variance(PROCESS, t))
    truth = np.mean(np.diag(cov) * h / (a * a * np.diag(cov) + h))
    found = label_noise.levels(PROCESS, law, jax.random.key(2), 50, fixed(t))
    # The posterior covariance of a Gaussian does not depend on the state: no spread over draws.
    np.testing.assert_allclose(found.noise.value, np.sqrt(truth), rtol=1e-12)
    np.testing.assert_allclose(found.signal.value, np.sqrt(0.15 - truth), rtol=1e-12)


def test_noise_rises_from_nothing_to_the_whole_variance():
    t = jnp.array([1e-3, 0.1, 0.5, 1.0, 3.0, 40.0])
    noise = label_noise.noise_on_grid(make_process(T0=1e-3, T=50.0), PAIR, t).noise
    assert np.all(np.diff(noise) > 0)  # later states know less
    np.testing.assert_allclose(noise[0], 0, atol=1e-12)
    np.testing.assert_allclose(noise[-1], 0.36, rtol=1e-12)


def test_mass_outside_a_ball_agrees_with_draws():
    law = make_target("five_points").law
    n, t = 20_000, 1.2
    data = triples(PROCESS, law, jax.random.key(3), n, fixed(t))
    for radius in (0.5, 1.5, 3.0):
        exact = label_noise.mass_outside(PROCESS, law, jnp.array([t]), radius)[0]
        share = np.mean(np.linalg.norm(data.x, axis=1) > radius)
        # Five standard deviations of a binomial share, plus one draw.
        assert abs(share - exact) < 5 * np.sqrt(exact * (1 - exact) / n) + 1 / n


def test_quadrature_says_where_it_ends():
    with pytest.raises(InputError, match="d = 1 or 2, got d = 3: use draws"):
        label_noise.noise_on_grid(PROCESS, points([[0.0, 0.0, 0.0]]), jnp.ones(1))
    with pytest.raises(InputError, match="bounded laws"):
        label_noise.noise_on_grid(PROCESS, gaussian([0.0], [[1.0]]), jnp.ones(1))
