"""Instances, paths and rules on one member, against plain descent and the closed form of f*."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.errors import InputError
from fineq.ntk import forward, targets
from fineq.ntk.assumptions import eigenvalues, exact_over_time, identity_gap, over_time
from fineq.ntk.instance import Instance, draw_labelled, score_error, weighted_error
from fineq.ntk.named import make_target
from fineq.ntk.paths import kernel_paths
from fineq.ntk.rules import RULES, every_rule
from fineq.ntk.tangent import gram, kernel

TIMES = jnp.array([1.0, 3.0, 10.0, 100.0, 1000.0])
ETA = 0.4


@pytest.fixture(name="instance", scope="module")
def _instance():
    process, law = forward.make_process(), make_target("three_points").law
    keys = jax.random.split(jax.random.key(0), 3)
    train, test = (
        draw_labelled(process, law, key, num, weights="noise") for key, num in zip(keys, (40, 60))
    )
    return Instance(process, law, train, test, keys[2])


@pytest.mark.slow
def test_labels_are_x0_and_its_mean(instance):
    train, law = instance.train, instance.law
    assert set(np.unique(train.noisy)) <= set(np.asarray(law.locations).ravel())
    h = np.asarray(forward.variance(instance.process, train.t))[:, None]
    a = np.asarray(forward.alpha(instance.process, train.t))[:, None]
    points = np.asarray(law.locations).T
    weights = np.exp(-((np.asarray(train.x) - a * points) ** 2) / (2 * h))
    mean = np.sum(weights * points, 1) / np.sum(weights, 1)
    np.testing.assert_allclose(train.clean[:, 0], mean, atol=1e-12)
    np.testing.assert_allclose(train.weight, a[:, 0] ** 2 / h[:, 0], rtol=1e-12)
    np.testing.assert_allclose(train.z[:, -1], 1)
    apart = np.ones((2, 40, 1))
    np.testing.assert_allclose(
        weighted_error(train, jnp.asarray(apart)), np.sqrt(np.mean(train.weight)) * np.ones(2)
    )
    np.testing.assert_allclose(
        score_error(instance.process, train, jnp.asarray(apart)),
        np.sqrt(np.mean((a / h) ** 2)) * np.ones(2),
    )


@pytest.mark.slow
def test_paths_are_those_of_plain_descent(instance):
    paths = kernel_paths(instance, TIMES, ETA)
    K = np.asarray(gram(instance.train.z))
    across = np.asarray(kernel(instance.test.z, instance.train.z))
    for labels, found in (
        (instance.train.noisy, paths.of_noisy),
        (instance.train.clean, paths.of_clean),
    ):
        alpha = np.zeros_like(labels)
        for step in range(1, 101):
            alpha = alpha - ETA / 40 * (K @ alpha - labels)
            if step in (1, 3, 10, 100):
                at = found[list(TIMES).index(step)]
                np.testing.assert_allclose(at, across @ alpha, atol=1e-11)
    # The interpolant of clean labels; the condition number of K is below 1e9.
    limit = across @ np.linalg.solve(K, instance.train.clean)
    np.testing.assert_allclose(paths.limit, limit, atol=1e-5)


@pytest.mark.parametrize("storage", [pytest.param("stored", marks=pytest.mark.slow), "blocked"])
def test_krylov_paths_are_known_early_and_end_late(instance, storage):
    exact = kernel_paths(instance, TIMES, ETA)
    found = kernel_paths(instance, TIMES, ETA, storage, num_products=3)
    # Three products of labels and probes, 30 vectors, hold one step exactly.
    assert found.known[0]
    assert not found.known[-1]
    for a, b in ((found.of_noisy, exact.of_noisy), (found.of_clean, exact.of_clean)):
        np.testing.assert_allclose(a[found.known], b[found.known], atol=1e-5)
        assert np.all(np.isnan(a[~found.known]))
    assert np.all(found.complexity >= exact.complexity * (1 - 1e-9))
    assert np.all(np.isnan(found.limit))


def test_an_unknown_storage_is_refused(instance):
    with pytest.raises(InputError, match="storage must be one of spectral, stored, blocked"):
        kernel_paths(instance, TIMES, ETA, "disk")  # pyright: ignore[reportArgumentType]


@pytest.mark.slow
def test_no_rule_beats_the_oracle_and_all_stop_at_given_times(instance):
    found = every_rule(instance, TIMES, lambda part: kernel_paths(part, TIMES, ETA), 0.25)
    oracle = list(RULES).index("oracle")
    assert np.all(found.stopped >= found.stopped[oracle])
    np.testing.assert_allclose(found.stopped[oracle], found.risk.min())
    assert set(np.asarray(found.time)) <= set(np.asarray(TIMES))
    variances = targets.noise(instance.process, instance.law, instance.train.t, instance.train.x)
    np.testing.assert_allclose(found.noise, np.sqrt(np.mean(variances)), rtol=1e-12)
    # Residuals of 40 points tell the noise to about (2/40)^½; three such deviations.
    assert abs(found.estimate / found.noise - 1) < 0.7
    score = list(RULES).index("score")
    assert found.time[score] == TIMES[np.argmin(found.score)]


def test_eigenvalues_are_those_of_numpy(instance):
    values = np.linalg.eigvalsh(np.asarray(gram(instance.train.z)) / 40)
    found = eigenvalues(instance.train.z, 7)
    np.testing.assert_allclose(found.smallest, values[0], rtol=1e-7)
    np.testing.assert_allclose(found.largest, values[-1], rtol=1e-12)
    np.testing.assert_allclose(found.trace, values.sum(), rtol=1e-12)
    np.testing.assert_allclose(found.values, values[::-1][:7], rtol=1e-9)


@pytest.mark.slow
def test_draws_over_time_agree_with_what_is_exact_and_stop_where_nothing_is_learned(instance):
    t = jnp.array([0.01, 0.2, 1.0, 2.9, 5.0])
    radii = [0.5, 2.0]
    found = over_time(instance, t, 4000, radii)
    for value in found[:-1]:
        np.testing.assert_array_equal(
            np.isfinite(value).reshape(-1, 5)[0], [False, True, True, True, False]
        )
    exact = exact_over_time(instance.process, instance.law, t[1:4], radii)
    # Averages of 4000 draws of numbers of order 1: four deviations of 1/√4000 or less.
    for name in ("noise", "signal", "outside"):
        np.testing.assert_allclose(getattr(found, name)[..., 1:4], exact[name], atol=0.065)
    assert np.all(found.lipschitz[1:4] <= found.bound[1:4])
    # `ntk/score-identity`: mean 0 within five standard errors.
    mean, variance = identity_gap(instance)
    assert abs(mean) < 5 * np.sqrt(variance)
    assert variance < 1e-3
