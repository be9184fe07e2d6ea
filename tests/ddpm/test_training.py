"""Pre-training against the least loss of Gaussian data, which is known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq import unroll
from fineq.ddpm import make_denoiser, schedules, training
from fineq.ddpm.networks import MLP
from fineq.ddpm.schedules import make_schedule
from fineq.ddpm.training import Batch, DenoiserTraining, Denoising, losses, make_denoising
from fineq.errors import InputError
from fineq.optimiser import Optimiser
from tests.ddpm.exact import COVARIANCE, MEANS, knowing

SCHEDULE = make_schedule(schedules.linear_rate(6))
KINDS = ["noise", "data", "velocity"]


def data(num, seed):
    return np.random.default_rng(seed).multivariate_normal(MEANS[2], COVARIANCE, num)


def least(prediction):
    """The mean over steps and coordinates of the conditional variance of what is predicted.

    With C = a²Σ + b² I the covariance of x, Var[x0 | x] = b² Σ C^{-1}, and given x both ε and v are
    affine in x0: ε = (x - a x0)/b, v = (a x - x0)/b.
    """
    total = 0.0
    for bar in np.asarray(SCHEDULE.alpha_bars[:-1]):
        posterior = (1 - bar) * COVARIANCE @ np.linalg.inv(bar * COVARIANCE + (1 - bar) * np.eye(2))
        factor = {"data": 1.0, "noise": bar / (1 - bar), "velocity": 1 / (1 - bar)}[prediction]
        total += factor * np.trace(posterior) / 2
    return total / SCHEDULE.num_steps


@pytest.mark.parametrize("prediction", KINDS)
def test_the_exact_network_has_the_least_loss(prediction):
    denoiser, num = knowing(SCHEDULE, prediction, num_classes=0), 40_000
    problem = Denoising(denoiser, jnp.asarray(data(num, 0)), None, None)
    batch = training.draw(jax.random.key(0), problem, num)
    found = losses(denoiser, batch)
    # Five standard errors, and two for the data, which are drawn with replacement.
    assert abs(found.mean() - least(prediction)) < 7 * found.std() / np.sqrt(num)


def test_batches_are_uniform_over_steps_and_drop_a_tenth_of_the_labels():
    denoiser, num = knowing(SCHEDULE, "noise"), 20_000
    label = jnp.arange(10) % 2
    problem = Denoising(denoiser, jnp.asarray(data(10, 0)), label, None)
    batch = training.draw(jax.random.key(1), problem, num)
    assert batch.label is not None
    for values, shares in (
        (batch.t, np.full(6, 1 / 6)),
        (batch.label, np.array([0.45, 0.45, 0.1])),
    ):
        found = np.bincount(values, minlength=len(shares)) / num
        assert np.all(np.abs(found - shares) < 5 * np.sqrt(shares * (1 - shares) / num))
    kept = batch.label < 2
    # A label that stays is that of its data.
    rows = jnp.argmin(jnp.abs(batch.x0[:, None] - problem.x0[None]).sum(-1), axis=1)
    np.testing.assert_array_equal(np.asarray(batch.label)[kept], label[rows][kept])


def small(prediction="noise", num=4000):
    denoiser = make_denoiser(
        jax.random.key(0), MLP(16, 1, waves=8), SCHEDULE, 2, prediction=prediction, dtype="f4"
    )
    return make_denoising(jax.random.key(1), denoiser, data(num, 0), data(600, 1))


@pytest.mark.slow
@pytest.mark.parametrize("prediction", KINDS)
def test_training_comes_close_to_the_least_loss(prediction):
    problem, num = small(prediction), 1500
    by = DenoiserTraining(Optimiser(5e-3, num, average=0.99))
    value, found = jax.jit(lambda p: unroll(p, by, key=jax.random.key(2), num_steps=num))(problem)
    best = losses(knowing(SCHEDULE, prediction, num_classes=0), problem.fresh)
    # At the same draws the loss of a network is that of the exact one, plus the square of their
    # distance, and a product of mean zero whose size is that of the scatter times the distance.
    assert abs(found["fresh"][-1] - best.mean()) < 0.05 * best.mean()
    assert found["fresh"][0] > 1.1 * best.mean()
    np.testing.assert_allclose(losses(value, problem.fresh).mean(), found["fresh"][-1], rtol=1e-5)


@pytest.mark.slow
def test_seeds_at_once_are_seeds_one_by_one():
    problem, by = small(num=50), DenoiserTraining(Optimiser(1e-3), 8)
    keys = jax.random.split(jax.random.key(3), 2)

    def run(key):
        return unroll(problem, by, key=key, num_steps=3)[1]

    whole = jax.jit(jax.vmap(run))(keys)
    one = jax.jit(run)
    for i, key in enumerate(keys):
        for name, values in one(key).items():
            # float32; Adam divides by the root of a mean square, which may be small.
            np.testing.assert_allclose(whole[name][i], values, rtol=1e-3)
    assert len(set(whole["loss"][:, 1].tolist())) == 2
    # The draws of the data held out are shared, and new networks of ε say 0.
    np.testing.assert_allclose(whole["fresh"][:, 0], jnp.mean(problem.fresh.noise**2), rtol=1e-5)


def test_held_out_times_are_even():
    counts = np.bincount(small(num=50).fresh.t)
    np.testing.assert_array_equal(counts, np.full(6, 100))


def test_noisy_data_have_their_level():
    batch = Batch(jnp.ones((2, 2)), None, jnp.array([0, 5]), jnp.full((2, 2), 2.0))
    bars = np.asarray(SCHEDULE.alpha_bars)[[0, 5]]
    truth = np.sqrt(bars) + 2 * np.sqrt(1 - bars)
    np.testing.assert_allclose(training.noisy(SCHEDULE, batch)[:, 0], truth, rtol=1e-12)


@pytest.mark.parametrize(
    ("classes", "given", "said"),
    [
        (0, {"x0": np.zeros((3, 1))}, "x0 has d = 1, but the denoiser has d = 2"),
        (0, {"x0": np.full((3, 2), np.nan)}, "x0 must be finite"),
        (0, {"label": [0, 1, 0]}, "has no classes: label must not be given"),
        (2, {"fresh_label": [0, 1]}, "has 2 classes: label must be given"),
        (2, {"label": [0, 2, 1], "fresh_label": [0, 1]}, r"label must lie in \[0, 2\), got 2"),
        (2, {"label": [0, 1], "fresh_label": [0, 1]}, "label must be 3 whole numbers"),
    ],
)
def test_what_makes_no_problem_is_refused(classes, given, said):
    denoiser = knowing(SCHEDULE, "noise", num_classes=classes)
    given = {"x0": np.zeros((3, 2)), "fresh": np.zeros((2, 2)), **given}
    with pytest.raises(InputError, match=said):
        make_denoising(jax.random.key(0), denoiser, **given)


def test_another_problem_and_no_batch_are_refused():
    with pytest.raises(InputError, match="solves a Denoising, which make_denoising makes"):
        DenoiserTraining().init(None, SCHEDULE, None)
    with pytest.raises(InputError, match="batch must be at least 1"):
        DenoiserTraining(batch=0)
