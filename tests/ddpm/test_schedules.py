"""Schedules: the two clocks, both variances against Bayes' formula, builders, bad input."""

import numpy as np
import pytest

from fineq.ddpm import schedules
from fineq.ddpm.schedules import make_schedule
from fineq.errors import InputError

BUILDERS = {
    "linear": lambda T: schedules.linear(T),
    "cosine": lambda T: schedules.cosine(T),
    "constant_rate": lambda T: schedules.constant_rate(T, 1e-3),
    "linear_rate": lambda T: schedules.linear_rate(T),
}


def bayes(alphas, k):
    """Var(X_{k-1} | X_k, X_0) for one coordinate, by conditioning the joint covariance given X_0.

    Given X_0, X_{k-1} has variance v = 1 - ᾱ_{k-1} and X_k = √α_k X_{k-1} + √b_k Z.
    """
    v = 1 - np.prod(alphas[: k - 1])
    a = alphas[k - 1]
    return v - a * v * v / (a * v + 1 - a)


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS.keys())
def test_generation_order_is_the_forward_order_reversed(build):
    alphas = build(7)
    found = make_schedule(alphas)
    for t in range(7):
        k = 7 - t
        assert found.alphas[t] == alphas[k - 1]
        # A product of at most 7 factors: rounding of a few units.
        np.testing.assert_allclose(found.alpha_bars[t], np.prod(alphas[:k]), rtol=1e-14)
    assert found.num_steps == 7
    assert found.alpha_bars.shape == (8,)
    assert found.alpha_bars[7] == 1


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS.keys())
def test_posterior_variance_is_that_of_bayes(build):
    alphas = build(9)
    sigmas = np.asarray(make_schedule(alphas, "posterior").sigmas)
    for t in range(8):  # the last generation step, k = 1, is the floor
        # 1 - ᾱ is known to about ε/(1 - ᾱ); the smallest here is 1e-4.
        np.testing.assert_allclose(sigmas[t] ** 2, bayes(alphas, 9 - t), rtol=1e-10)


def test_floor_at_the_last_step():
    alphas = schedules.linear(6, 0.1, 0.3)
    variances = np.asarray(make_schedule(alphas, "posterior").sigmas) ** 2
    assert float(variances[-1]) == pytest.approx(float(bayes(alphas, 2)), rel=1e-12)
    given = np.asarray(make_schedule(alphas, "posterior", floor=0.04).sigmas) ** 2
    assert given[-1] == pytest.approx(0.04, rel=1e-12)
    np.testing.assert_array_equal(given[:-1], variances[:-1])
    only = make_schedule([0.8], "posterior")
    assert only.sigmas[0] ** 2 == pytest.approx(0.2, rel=1e-12)


def test_forward_variance():
    alphas = schedules.cosine(5)
    found = make_schedule(alphas, "forward")
    np.testing.assert_allclose(np.asarray(found.sigmas) ** 2, 1 - alphas[::-1], rtol=1e-14)


def test_builders_say_what_they_do():
    np.testing.assert_allclose(1 - schedules.linear(3, 0.1, 0.3), [0.1, 0.2, 0.3], rtol=1e-14)
    assert np.prod(schedules.constant_rate(13, 1e-4)) == pytest.approx(1e-4, rel=1e-12)
    # ∫g = (0.1 + 20)/2 whatever the number of steps.
    for T in (3, 50):
        ends = np.prod(schedules.linear_rate(T))
        assert ends == pytest.approx(np.exp(-10.05), rel=1e-12)
    level = np.cos(np.pi / 2 * (np.arange(11) / 10 + 0.008) / 1.008) ** 2
    cosine = schedules.cosine(10)
    # The last step would be 0: it is cut at 1 - 0.999; before it the ratios multiply to the level.
    np.testing.assert_allclose(np.cumprod(cosine)[:-1], (level / level[0])[1:-1], rtol=1e-12)
    assert cosine[-1] == pytest.approx(0.001, rel=1e-12)


def test_rates_add_up_to_the_noise_level():
    found = make_schedule(schedules.linear_rate(40))
    total = float(np.sum(schedules.rates(found)))
    assert total == pytest.approx(10.05, rel=1e-12)


@pytest.mark.parametrize(
    ("alphas", "options", "sentence"),
    [
        ([0.9, 1.0], {}, r"α of step 2 is 1$"),
        ([0.0, 0.5], {}, r"α of step 1 is 0$"),
        ([0.9, np.nan], {}, r"α of step 2 is nan"),
        ([], {}, r"non-empty list"),
        ([[0.9]], {}, r"non-empty list"),
        ([1e-200, 1e-200], {}, r"product is 0"),
        ([0.9], {"variance": "both"}, r"one of posterior, forward, got both"),
        ([0.9], {"floor": 0.0}, "^floor must be above 0, got 0"),
    ],
)
def test_bad_input(alphas, options, sentence):
    with pytest.raises(InputError, match=sentence):
        make_schedule(alphas, **options)


@pytest.mark.parametrize("num_steps", [0, -1, 2.5, "4"])
@pytest.mark.parametrize(
    "build",
    [
        schedules.linear,
        schedules.cosine,
        schedules.linear_rate,
        lambda num_steps: schedules.constant_rate(num_steps, 0.1),
    ],
)
def test_steps_are_counted_in_whole_numbers(build, num_steps):
    with pytest.raises(InputError, match="num_steps must be a whole number, at least 1, got"):
        build(num_steps)
