"""Networks as scores, against the exact scores of Gaussian data."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.ddpm import make_denoiser, schedules
from fineq.ddpm.chain import ExactScore, mean_of
from fineq.ddpm.laws import gaussian
from fineq.ddpm.networks import MLP, UNet
from fineq.ddpm.schedules import make_schedule
from fineq.errors import InputError
from fineq.pift.problem import ScoreMean
from tests.ddpm.exact import COVARIANCE, MEANS, knowing

SCHEDULE = make_schedule(schedules.linear_rate(8))
KINDS = ["noise", "data", "velocity"]
Y = jnp.asarray(np.random.default_rng(0).normal(size=(3, 2)))


def exact(c):
    return ExactScore(gaussian(MEANS[c], COVARIANCE), SCHEDULE)


def close(found, truth):
    # √ᾱ_T is 0.006 and the least 1 - ᾱ 0.16: conversions magnify rounding by some hundreds.
    np.testing.assert_allclose(found, truth, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("prediction", KINDS)
def test_every_prediction_gives_the_exact_score_mean_and_data(prediction):
    denoiser = knowing(SCHEDULE, prediction)
    for t in (0, 3, 7):
        truth = jax.vmap(lambda y, t=t: exact(2)(t, y))(Y)
        close(denoiser.score(t, Y), truth)
        close(denoiser.mean(t, Y), jax.vmap(mean_of, (0, None, 0))(truth, SCHEDULE.alphas[t], Y))
        # Tweedie: E[x0 | x] = (x + (1 - ᾱ) s)/√ᾱ.
        bar = SCHEDULE.alpha_bars[t]
        close(denoiser.data(t, Y), (Y + (1 - bar) * truth) / jnp.sqrt(bar))


@pytest.mark.parametrize("prediction", KINDS)
def test_each_state_has_its_own_time_and_class(prediction):
    denoiser, t, label = knowing(SCHEDULE, prediction), jnp.array([0, 7, 4]), jnp.array([1, 0, 2])
    found = denoiser.score(t, Y, label)
    close(found, jnp.stack([exact(int(label[i]))(t[i], Y[i]) for i in range(3)]))
    apart = denoiser.mean(t, Y, label) - mean_of(found, SCHEDULE.alphas[t][:, None], Y)
    np.testing.assert_array_equal(apart, jnp.zeros((3, 2)))


@pytest.mark.parametrize("prediction", KINDS)
def test_guidance_goes_past_the_class_away_from_none(prediction):
    denoiser, label = knowing(SCHEDULE, prediction, guidance=0.7), jnp.array([1, 0, 1])
    scores = {c: jax.vmap(lambda y, c=c: exact(c)(3, y))(Y) for c in range(3)}
    wanted = jnp.stack([scores[int(label[i])][i] for i in range(3)])
    close(denoiser.score(3, Y, label), 1.7 * wanted - 0.7 * scores[2])
    close(denoiser.score(3, Y), scores[2])


def test_a_weight_of_guidance_is_given_by_its_number():
    plain, label = knowing(SCHEDULE, "noise"), jnp.array([1, 0, 1])
    found = plain.guided(0.7).score(3, Y, label)
    close(found, knowing(SCHEDULE, "noise", guidance=0.7).score(3, Y, label))
    assert plain.guided(0.7).guided(0).guidance is None
    for weight in (-0.1, float("nan")):
        with pytest.raises(InputError, match="weight of guidance must be at least 0, got"):
            plain.guided(weight)
    with pytest.raises(InputError, match="guidance needs a model with classes"):
        knowing(SCHEDULE, "noise", num_classes=0).guided(1.0)


@pytest.mark.parametrize(
    "module",
    [
        MLP(8, 1, num_classes=3),
        pytest.param(UNet((2, 2, 1), (2, 4), 8, 3), marks=pytest.mark.slow),
    ],
)
def test_a_time_for_all_states_is_that_time_for_each(module):
    """The network is told it once, with classes and without, guided and not."""
    made = make_denoiser(jax.random.key(0), module, SCHEDULE, 4, num_classes=3, dtype=jnp.float32)
    # The last layers of a new network say nothing.
    rng = np.random.default_rng(0)
    shaken = jax.tree.map(lambda x: x + 0.1 * rng.normal(size=x.shape).astype("f4"), made.variables)
    guided = dataclasses.replace(made.holding(shaken), guidance=jnp.float32(0.7))
    y, label = jnp.asarray(rng.normal(size=(3, 4)), jnp.float32), jnp.array([0, 2, 3], jnp.int32)
    for t in (0, 2):
        for given in (None, label):
            found, each = (guided.predicted(s, y, given) for s in (t, jnp.full(3, t)))
            np.testing.assert_allclose(found, each, rtol=2e-5, atol=1e-6)
            assert np.ptp(found) > 0.01


def test_one_point_is_a_score_like_any_other():
    denoiser = knowing(SCHEDULE, "noise")
    close(jax.vmap(ScoreMean(denoiser, SCHEDULE), (None, 0))(3, Y), denoiser.mean(3, Y))


def test_it_is_a_pytree_that_follows_the_precision_of_the_states():
    denoiser = knowing(make_schedule(schedules.linear_rate(8)), "data", guidance=0.5)
    for name in ("score", "mean", "data"):
        found = jax.jit(lambda m, y, name=name: getattr(m, name)(2, y))(denoiser, Y.astype("f4"))
        assert found.dtype == jnp.float32
    doubled = jax.tree.map(lambda x: 2 * x, denoiser)
    np.testing.assert_array_equal(doubled.times, 2 * denoiser.times)
    assert doubled.prediction == "data"


def test_a_new_denoiser_is_told_what_is_left_and_says_nothing():
    made = make_denoiser(jax.random.key(0), MLP(8, 1), SCHEDULE, 2, dtype=jnp.float32)
    np.testing.assert_allclose(made.times, np.arange(8, 0, -1) / 8, rtol=1e-6)
    assert made.schedule.alphas.dtype == jnp.float32
    np.testing.assert_array_equal(made.score(3, Y.astype("f4")), np.zeros((3, 2)))
    twice = made.holding(jax.tree.map(lambda x: x + 1, made.variables))
    assert np.all(np.abs(twice.score(3, Y.astype("f4"))) > 0)


@pytest.mark.parametrize(
    ("module", "options", "said"),
    [
        (MLP(8, 1), {"prediction": "score"}, "one of noise, data, velocity, got score"),
        (MLP(8, 1, num_classes=3), {}, "the network has 3 classes, but the model 0"),
        (UNet((4, 4, 1)), {}, r"does not take states of shape \[B, 2\]"),
    ],
)
def test_what_makes_no_denoiser_is_refused(module, options, said):
    with pytest.raises(InputError, match=said):
        make_denoiser(jax.random.key(0), module, SCHEDULE, 2, **options)


def test_labels_need_classes():
    with pytest.raises(InputError, match="the model has no classes"):
        knowing(SCHEDULE, "noise", num_classes=0).score(0, Y, jnp.zeros(3, int))
