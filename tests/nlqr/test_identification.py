"""One-step samples and exact recovery: against NumPy's least squares and binomial probabilities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from chex import assert_max_traces

from fineq.nlqr.features import Products, Sine
from fineq.nlqr.identification import (
    IdentificationStatus,
    identified_system,
    identify,
    one_step_samples,
    recovery_probability,
)
from fineq.nlqr.laws import Sphere
from fineq.nlqr.problem import Problem, next_state
from fineq.nlqr.random_systems import random_system


def make(n=3, p=3, phi=None, scale=1.0, radius=2.0, seed=0):
    phi = Sine() if phi is None else phi
    system = random_system(jax.random.key(seed), phi, n=n, p=p, normalisation="own", scale=scale)
    return Problem(system, Sphere(radius, n))


def worst_error(found, system):
    pairs = [(found.A, system.A), (found.B, system.B), (found.C, system.C)]
    return max(float(jnp.max(jnp.abs(got - want))) for got, want in pairs)


def test_samples_follow_the_dynamics_and_the_coin():
    problem = make(p=2)
    x0, u0, x1 = one_step_samples(jax.random.key(1), problem, 4000)
    after = jax.vmap(lambda x, u: next_state(problem.system, x, u))(x0, u0)
    np.testing.assert_array_equal(x1, after)
    zero = np.all(np.asarray(u0) == 0, axis=1)
    assert scipy.stats.binomtest(int(zero.sum()), 4000, 0.5).pvalue > 1e-3
    active = np.asarray(u0)[~zero]
    # An input is switched as a whole, and its entries are standard normal.
    assert np.all(active != 0)
    assert scipy.stats.kstest(active.ravel(), "norm").pvalue > 1e-3
    np.testing.assert_allclose(np.linalg.norm(x0, axis=1), 2.0, rtol=1e-14)


PRODUCTS = Products([[[1, 1, -1], [1, -1, 1]], [[1, 1, 1]] * 3])


@pytest.mark.slow
@pytest.mark.parametrize(("n", "p", "phi"), [(3, 3, Sine()), (2, 1, Sine()), (3, 2, PRODUCTS)])
def test_recovery_is_exact(n, p, phi):
    problem = make(n, p, phi)
    d = phi.num_features(n)
    samples = one_step_samples(jax.random.key(3), problem, 2 * (n + p + d) + 10)
    found = identify(samples, phi, 1.0)
    assert found.status == IdentificationStatus.IDENTIFIED
    assert int(found.rank) == n + p + d
    # Least squares by orthogonal factors errs by condition x rounding x size (up to ten here).
    assert worst_error(found, problem.system) <= 100 * 2.3e-16 * float(found.condition)
    assert float(found.residual) < 1e-13
    plant = identified_system(problem.system, found)
    np.testing.assert_allclose(plant.C, problem.system.C, atol=1e-12)
    assert (plant.phi, plant.Q is problem.system.Q) == (phi, True)


@pytest.mark.slow
def test_recovery_in_single_precision():
    draw = jnp.float32(1.0)
    system = random_system(jax.random.key(0), Sine(), n=2, p=1, normalisation="own", scale=draw)
    problem = Problem(system, Sphere(jnp.float32(3.0), 2))
    samples = one_step_samples(jax.random.key(3), problem, 20)
    found = identify(samples, Sine(), 1.0)
    assert {leaf.dtype for leaf in (*samples, found.A, found.condition)} == {jnp.dtype("float32")}
    assert found.status == IdentificationStatus.IDENTIFIED
    assert worst_error(found, system) <= 100 * 1.2e-7 * float(found.condition)


def regressors(samples, scale):
    x0, u0 = np.asarray(samples.x0), np.asarray(samples.u0)
    return np.concatenate([x0, u0, scale * np.sin(x0)], axis=1)


@pytest.mark.parametrize("num", [5, 8, 9, 20])
def test_a_traced_number_of_samples_equals_a_slice_and_numpy(num):
    samples = one_step_samples(jax.random.key(7), make(), 30)
    cut = jax.tree.map(lambda leaf: leaf[:num], samples)
    masked = jax.jit(lambda s, m: identify(s, Sine(), 1.0, m))(samples, num)
    sliced = identify(cut, Sine(), 1.0)
    Z = regressors(cut, 1.0)
    sizes = np.linalg.svd(Z, compute_uv=False)
    theta, _, rank, _ = np.linalg.lstsq(Z, np.asarray(cut.x1), rcond=1e-14)
    for found in (masked, sliced):
        assert int(found.rank) == rank
        got = np.concatenate([found.A, found.B, found.C], axis=1)
        # The condition here is below 1e3 (regressors x and sin x are nearly collinear).
        np.testing.assert_allclose(got, theta.T, atol=1e-10)
        left = np.asarray(cut.x1) - Z @ theta
        worst = np.max(np.linalg.norm(left, axis=1))
        assert float(found.residual) == pytest.approx(worst, abs=1e-12)
        if rank == 9:
            assert float(found.condition) == pytest.approx(sizes[0] / sizes[-1], rel=1e-10)
        else:
            assert found.status == IdentificationStatus.RANK_DEFICIENT
            assert np.isinf(found.condition)


def test_too_few_active_inputs_are_seen():
    samples = one_step_samples(jax.random.key(0), make(), 40)
    u0 = jnp.zeros((40, 3)).at[0, 0].set(1.0).at[1, 1].set(1.0)
    found = identify(samples._replace(u0=u0), Sine(), 1.0)
    assert found.status == IdentificationStatus.RANK_DEFICIENT
    assert int(found.rank) == 8
    assert "not determine" in IdentificationStatus(int(found.status)).message
    assert "determine" in IdentificationStatus.IDENTIFIED.message


def test_the_sweep_over_samples_compiles_once():
    samples = one_step_samples(jax.random.key(0), make(), 20)

    @jax.jit
    @assert_max_traces(n=1)
    def recovered(num):
        return identify(samples, Sine(), 1.0, num).rank

    ranks = [int(recovered(num)) for num in (3, 9, 20)]
    assert ranks == sorted(ranks)


@pytest.mark.parametrize("num", [8, 9, 11, 14])
def test_frequency_of_recovery_is_the_predicted_one(num):
    trials = 600
    problem = make(radius=3.0)

    def trial(key):
        return identify(one_step_samples(key, problem, 14), Sine(), 1.0, num).status

    statuses = jax.jit(jax.vmap(trial))(jax.random.split(jax.random.key(2), trials))
    successes = int(np.sum(np.asarray(statuses) == IdentificationStatus.IDENTIFIED))
    predicted = recovery_probability(num, 3, 3, 3)
    if predicted == 0:
        assert successes == 0
    else:
        assert scipy.stats.binomtest(successes, trials, predicted).pvalue > 1e-3


@pytest.mark.parametrize(("num", "p"), [(9, 3), (20, 1), (40, 7), (2000, 3)])
def test_predicted_probability_against_scipy(num, p):
    truth = scipy.stats.binom.sf(p - 1, num, 0.5) if num >= 2 + p else 0.0
    assert recovery_probability(num, 1, p, 1) == pytest.approx(truth, rel=1e-12)


def test_never_below_the_number_of_unknowns():
    assert recovery_probability(8, 3, 3, 3) == 0.0
    # 9 samples, at least 3 active of 9: 1 - (1 + 9 + 36)/512.
    assert recovery_probability(9, 3, 3, 3) == pytest.approx(1 - 46 / 512, rel=1e-15)
