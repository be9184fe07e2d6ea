"""From an error of the score to a loss of the objective: the bound, and what the study measures."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fineq.studies.finetune.area import AREA
from fineq.studies.finetune.score_error import run
from fineq.sweep.stages import Stages
from tests.studies.finetune.small import run_small, small


def divergence(p: np.ndarray, q: np.ndarray) -> float:
    return float(np.sum(p * np.log(p / q)))


@given(seed=st.integers(0, 2**32 - 1), spread=st.floats(0.1, 3), beta=st.floats(0.2, 5))
def test_tilting_makes_a_divergence_larger_by_its_highest_weight_at_most(seed, spread, beta):
    """KL(P̂* ‖ P*) <= e^{max r/β}/E_P̂[e^{r/β}] KL(P̂ ‖ P), of any laws on a few points."""
    rng = np.random.default_rng(seed)
    p, q = (x / x.sum() for x in np.exp(spread * rng.normal(size=(2, 5))))
    r = rng.normal(size=5)
    tilt, other = (x * np.exp(r / beta) / (x @ np.exp(r / beta)) for x in (p, q))
    factor = np.exp(r.max() / beta) / (p @ np.exp(r / beta))
    assert divergence(tilt, other) <= factor * divergence(p, q) * (1 + 1e-9) + 1e-12
    # What the other law's optimum loses on the first one's objective is that divergence.
    best = beta * np.log(q @ np.exp(r / beta))
    earned = tilt @ r - beta * divergence(tilt, q)
    np.testing.assert_allclose((best - earned) / beta, divergence(tilt, other), atol=1e-9)


@pytest.mark.slow
def test_errors_fall_with_training_and_no_loss_is_below_nought_or_above_its_bound(tmp_path):
    # With fewer steps of the chain, or of training, paths leave the grid and say nothing.
    words = ("pretrain.stops=[100,800]", "chain.num_steps=12", "network.width=16")
    _, result = run_small("score_error", tmp_path, *words, "truth.num_points=201")
    errors, loss, bound, network = (
        result.arrays[name].values for name in ("score_error", "loss", "bound", "network_loss")
    )
    assert np.all(errors > 0)
    assert np.all(errors[1] < errors[0])
    # Exact numbers, to the order of a grid of 201 points.
    assert np.all(loss > -1e-8)
    assert np.all(network > -1e-8)
    # Chains are as far from tilted laws as twelve steps leave them, less than the slack.
    assert np.all(loss < bound)


@pytest.mark.slow
def test_the_error_of_the_score_is_the_divergence_of_simulated_paths(tmp_path):
    config = small("score_error", tmp_path, "seeds=1", "pretrain.stops=[400]", "chain.num_steps=12")
    loaded = AREA.begin(config)[1]
    stages = Kept()
    error = run(config, loaded.given, stages).arrays["score_error"].values.item()
    study = run.bind(config, loaded.given, Stages())
    copy = jax.tree.map(lambda x: x[0, 0], stages.copy)
    estimate, spread = simulated(study.screen.holding(copy), config.data)
    assert abs(error - estimate) < 4 * spread


class Kept(Stages):
    """Stages that keep the copies."""

    def measure(self, name, function, axes, inputs=None):
        """As that of `Stages`."""
        if name == "score errors":
            assert inputs is not None
            self.copy = inputs["copy"].values
        return super().measure(name, function, axes, inputs)


def simulated(denoiser, data, num=20_000):
    """Mean and standard error of Σ ½ |m̂ - m|²/σ² on paths of m̂, the exact score by hand."""
    rng = np.random.default_rng(0)
    alphas, bars, sigmas = (
        np.asarray(x)
        for x in (denoiser.schedule.alphas, denoiser.schedule.alpha_bars, denoiser.schedule.sigmas)
    )
    y, total = rng.normal(size=(num, 1)), np.zeros(num)
    for t in range(denoiser.schedule.num_steps):
        means = np.sqrt(bars[t]) * data.spread * np.array([-1.0, 1.0])
        variance = bars[t] * data.size**2 + 1 - bars[t]
        logs = -((y - means) ** 2) / (2 * variance)
        shares = np.exp(logs - logs.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        score = np.sum(shares * (means - y), axis=1, keepdims=True) / variance
        true = (y + (1 - alphas[t]) * score) / np.sqrt(alphas[t])
        mean = np.asarray(denoiser.mean(t, y))
        total += np.sum((mean - true) ** 2, axis=1) / (2 * sigmas[t] ** 2)
        y = mean + sigmas[t] * rng.normal(size=y.shape)
    return total.mean(), total.std() / np.sqrt(num)
