"""Laws of Y_T: divergences against closed forms and quadrature, orders in T and in ᾱ."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.ddpm import schedules
from fineq.ddpm.laws import gaussian, standard_normal
from fineq.ddpm.schedules import make_schedule
from fineq.pift import lq, rewards, terminal
from fineq.pift.problem import ddpm_chain, make_problem

LAW = gaussian([0.5, -0.3], [[1.2, 0.3], [0.3, 0.5]])
REWARD = rewards.quadratic([[-0.5, 0.1], [0.1, 0.3]], [1.0, 0.0])


def problem(alphas, variance, law=LAW, reward=REWARD, beta=1.0):
    return make_problem(ddpm_chain(law, make_schedule(alphas, variance)), reward, beta)


def test_gaussian_divergence_is_the_textbook_one():
    rng = np.random.default_rng(0)
    roots, means = rng.normal(size=(2, 3, 3)), rng.normal(size=(2, 3))
    C = roots @ roots.swapaxes(1, 2) + np.eye(3)
    inverse, apart = np.linalg.inv(C[1]), means[1] - means[0]
    logs = np.linalg.slogdet(C[1])[1] - np.linalg.slogdet(C[0])[1]
    truth = 0.5 * (np.trace(inverse @ C[0]) + apart @ inverse @ apart - 3 + logs)
    found = terminal.gaussian_divergence(
        *map(jnp.asarray, (means[0], C[0])), gaussian(means[1], C[1])
    )
    assert found == pytest.approx(truth, rel=1e-12)


def test_gaussian_divergence_near_zero():
    e = 1e-7
    one = standard_normal(1)
    mean = terminal.gaussian_divergence(jnp.array([e]), jnp.eye(1), one)
    assert mean == pytest.approx(e * e / 2, rel=1e-12)
    variance = terminal.gaussian_divergence(jnp.zeros(1), (1 + e) * jnp.eye(1), one)
    # (e - log(1 + e))/2 = e²/4 + O(e³); 1 + e itself carries ε/e = 2e-9 of e.
    assert variance == pytest.approx(e * e / 4, rel=1e-6)


def test_grid_divergence_is_that_of_gaussians():
    x = np.linspace(-12, 12, 2001)
    law, other = gaussian([0.3], [[0.8]]), gaussian([-0.2], [[1.1]])
    p = np.exp(jax.vmap(lambda x: law.log_density(x[None]))(x))
    log_q = 7.0 + jax.vmap(lambda x: other.log_density(x[None]))(x)  # constants do not count
    truth = terminal.gaussian_divergence(*law.moments(), other)
    found = terminal.grid_divergence(3 * p, log_q, x[1] - x[0])
    assert found == pytest.approx(float(truth), rel=1e-11)


@pytest.mark.parametrize("variance", ["posterior", "forward"])
def test_chain_against_densities_pushed_through_it(variance):
    law, reward, beta = gaussian([0.4], [[0.6]]), rewards.quadratic([[-0.8]], [1.0]), 0.7
    instance = problem(schedules.linear(5, 0.1, 0.6), variance, law, reward, beta)
    arrays = lq.linear_quadratic(instance)
    x = np.linspace(-9, 9, 1501)
    cell = x[1] - x[0]

    def pushed(policy):
        p = np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)
        for F, f, L in zip(*map(np.asarray, (policy.F, policy.f, arrays.L))):
            z = (x[None] - F[0, 0] * x[:, None] - f[0]) / L[0, 0]
            p = p @ np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi) / L[0, 0] * cell
        return p

    tuned, base = pushed(lq.optimum(arrays).policy), pushed(lq.pretrained(arrays))
    gained = -0.4 * (x - 1.0) ** 2 / beta
    log_data = -0.5 * (x - 0.4) ** 2 / 0.6

    def divergence(p, q):
        q = q / q.sum() / cell
        near = p > 1e-200
        return np.sum((p * np.log(p / q))[near]) * cell

    found = terminal.of_chain(instance, law)
    # Cancellation between terms of order 1 in the sums above.
    assert found.own == pytest.approx(divergence(tuned, base * np.exp(gained)), abs=1e-11)
    assert found.data == pytest.approx(divergence(tuned, np.exp(log_data + gained)), abs=1e-11)
    assert found.pretrained == pytest.approx(divergence(base, np.exp(log_data)), abs=1e-11)
    assert found.own > 1e-6


@pytest.mark.slow
def test_chain_tends_to_the_process():
    end, beta = 0.4, 1.0
    truth = terminal.of_process(LAW, REWARD, beta, end, standard_normal(2))
    assert truth.own > 1e-4
    apart = []
    for T in (100, 200, 400):
        instance = problem(schedules.constant_rate(T, end), "forward")
        found = terminal.of_chain(instance, LAW)
        apart.append([abs(a - b) for a, b in zip(found, truth)])
    # First order in the step, towards divergences that ᾱ = 0.4 keeps away from 0.
    np.testing.assert_allclose(np.array(apart[:-1]) / np.array(apart[1:]), 2, rtol=0.1)


def test_own_divergence_falls_as_the_square_of_the_steps_number():
    own = [
        float(terminal.of_chain(problem(schedules.constant_rate(T, 1e-8), "forward"), LAW).own)
        for T in (400, 800)
    ]
    # Second order up to relative corrections of the size of a step, 18/400.
    assert own[0] / own[1] == pytest.approx(4, rel=0.05)


def test_keeping_the_start_costs_the_square_of_its_noise_level():
    own = [
        float(terminal.of_process(LAW, REWARD, 1.0, bar, standard_normal(2)).own)
        for bar in (1e-3, 1e-4)
    ]
    assert own[0] / own[1] == pytest.approx(100, rel=0.02)
    # Started from the law of the data's own noise, the base is the data law itself.
    same = terminal.of_process(LAW, REWARD, 1.0, 1e-2, LAW.noised(1e-2))
    assert same.pretrained == pytest.approx(0, abs=1e-14)
    assert same.own == pytest.approx(float(same.data), rel=1e-8)
