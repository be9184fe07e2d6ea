"""What is reported of paths against loops, and collapse seen where the judge sees none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import sqrtm

from fineq.finetune import perceptron_classifier
from fineq.finetune.evaluate import feature_shift, judge, report
from fineq.finetune.frontier import ideal_frontier
from fineq.finetune.truth import gaps, own_gaps
from fineq.finetune.weights import Weighed

RNG = np.random.default_rng(0)
C, S, d = 2, 11, 3
LAST = RNG.normal(size=(C, S, 2, d))
PATHS = Weighed(*(jnp.asarray(x) for x in RNG.normal(size=(3, C, S, 2))), last=jnp.asarray(LAST))
CLASSIFIER = perceptron_classifier(jax.random.key(0), d, 4, width=5)


def agrees(found, draws):
    """Whether an estimate is the mean over classes of independent draws `[C, n]`."""
    np.testing.assert_allclose(found.value, np.mean(draws), rtol=1e-11)
    errors = [np.std(x, ddof=1) / np.sqrt(len(x)) for x in draws]
    half = 1.959963984540054 * np.sqrt(np.sum(np.square(errors))) / C
    np.testing.assert_allclose([found.high - found.value, found.value - found.low], half, rtol=1e-9)


def test_means_are_over_starts_and_then_over_classes():
    beta = jnp.asarray(0.7)
    found = jax.jit(report)(PATHS, beta)
    agrees(found.reward, np.mean(PATHS.reward, axis=2))
    agrees(found.divergence, np.mean(PATHS.divergence, axis=2))
    agrees(found.objective, np.mean(PATHS.reward - beta * PATHS.divergence, axis=2))
    # Of 11 starts the first five against the next five, each sample once.
    pairs = [[np.linalg.norm(x[i, 0] - x[i + 5, 0]) / np.sqrt(d) for i in range(5)] for x in LAST]
    agrees(found.distance, pairs)


def test_the_judge_is_asked_for_the_class_that_was_wanted(monkeypatch):
    monkeypatch.setattr("fineq.finetune.evaluate.BLOCK", 7)
    wanted = np.array([3, 1])
    found = jax.jit(judge)(CLASSIFIER, PATHS, jnp.asarray(wanted))
    logs = np.asarray(CLASSIFIER.log_probs(LAST.reshape(-1, d))).reshape(C, S, 2, 4)
    agrees(found.log_prob, [logs[c, :, :, wanted[c]].mean(1) for c in range(C)])
    agrees(found.accuracy, [(logs[c].argmax(-1) == wanted[c]).mean(1) for c in range(C)])
    alike = judge(CLASSIFIER, PATHS, jnp.asarray(2)), judge(CLASSIFIER, PATHS, jnp.asarray([2, 2]))
    jax.tree.map(np.testing.assert_array_equal, *alike)


def test_samples_that_are_all_alike_have_no_distance_whatever_the_judge_says():
    collapsed = PATHS._replace(last=jnp.broadcast_to(PATHS.last[:, :1, :1], PATHS.last.shape))
    found = report(collapsed, jnp.asarray(1.0)).distance
    assert found.value == found.high == 0
    normal = PATHS._replace(last=jnp.asarray(RNG.normal(size=(1, 40_000, 1, d))))
    found = report(normal, jnp.asarray(1.0)).distance
    # |N(0, 2 I)| in three dimensions has mean √2 · 2√(2/π).
    exact = 4 / np.sqrt(np.pi) / np.sqrt(3)
    assert abs(found.value - exact) < 2.5 * (found.high - found.value)


def test_the_shift_of_features_is_the_distance_of_their_gaussians():
    moved = PATHS._replace(last=PATHS.last + 0.5)
    found = feature_shift(CLASSIFIER, moved, PATHS)
    a, b = (np.asarray(CLASSIFIER.features(p.last.reshape(-1, d))) for p in (moved, PATHS))
    S, R = np.cov(a.T), np.cov(b.T)
    shared = np.trace(np.real(sqrtm(S @ R)))
    exact = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(S) + np.trace(R) - 2 * shared
    # Both take roots of covariances whose least eigenvalue is some 1e-3 of the largest.
    np.testing.assert_allclose(found, exact, rtol=1e-6)
    np.testing.assert_allclose(feature_shift(CLASSIFIER, PATHS, PATHS), 0, atol=1e-10)


@pytest.mark.slow
def test_float32_stays():
    short = jax.tree.map(lambda x: x.astype(jnp.float32), (PATHS, CLASSIFIER))
    beta = jnp.asarray(0.7, jnp.float32)
    found = (
        report(short[0], beta),
        judge(short[1], short[0], jnp.asarray(1)),
        gaps(short[0], short[0], beta),
        own_gaps(short[0], beta),
        ideal_frontier(short[0], jnp.full(2, beta)),
    )
    assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {np.dtype(np.float32)}
