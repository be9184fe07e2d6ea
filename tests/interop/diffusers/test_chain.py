"""Chains of scheduler_config.json: their levels by the formulas of their papers, in NumPy."""

import math

import numpy as np
import pytest

from fineq.errors import InputError
from fineq.interop.diffusers.chain import chain_of

BETAS = {
    "linear": lambda k: 1e-4 + (0.02 - 1e-4) * k / 999,
    "scaled_linear": lambda k: (0.01 + (0.02**0.5 - 0.01) * k / 999) ** 2,
}


def cosine(k):
    level = [math.cos((s / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2 for s in (k, k + 1)]
    return min(1 - level[1] / level[0], 0.999)


@pytest.mark.parametrize("name", [*BETAS, "squaredcos_cap_v2"])
def test_levels_are_products_of_the_betas(name):
    beta = BETAS.get(name, cosine)
    found = chain_of({"beta_schedule": name}, 50)
    bars = np.cumprod([1 - beta(k) for k in range(1000)])
    # Steps 980, 960, ..., 0 of the training's, and the data; the levels go down to 1e-10.
    levels = [*bars[980::-20], 1.0]
    np.testing.assert_allclose(found.schedule.alpha_bars, levels, rtol=1e-9)
    np.testing.assert_array_equal(found.times, range(980, -1, -20))
    # The variance of a step back to level 1 - p, given both ends.
    b, p = np.array(levels[:-1]), np.array(levels[1:])
    variance = (1 - p) / (1 - b) * (1 - b / p)
    np.testing.assert_allclose(found.schedule.sigmas[:-1] ** 2, variance[:-1], rtol=1e-9)
    assert found.prediction == "noise"


@pytest.mark.parametrize(
    ("given", "first", "last"),
    [
        ({"steps_offset": 1}, 751, 1),
        ({"timestep_spacing": "linspace"}, 999, 0),
        ({"timestep_spacing": "trailing"}, 999, 249),
    ],
)
def test_steps_are_spaced_as_it_says(given, first, last):
    times = chain_of(given, 4).times
    assert (times[0], times[-1], len(times)) == (first, last, 4)


def test_all_steps_are_the_training_chain_itself():
    found = chain_of({"trained_betas": [0.1, 0.2, 0.3], "variance_type": "fixed_large"}, None)
    np.testing.assert_allclose(found.schedule.alphas, [0.7, 0.8, 0.9])
    np.testing.assert_allclose(found.schedule.sigmas**2, [0.3, 0.2, 0.1])
    np.testing.assert_array_equal(found.times, [2, 1, 0])


@pytest.mark.parametrize(
    ("given", "num", "said"),
    [
        ({"beta_schedule": "sigmoid"}, 5, "beta_schedule must be one of linear, .* got sigmoid"),
        ({"variance_type": "learned_range"}, 5, "variance_type must be one of .* learned_range"),
        ({"prediction_type": "flow"}, 5, "prediction_type must be one of epsilon, .* got flow"),
        ({"rescale_betas_zero_snr": True}, 5, "rescale_betas_zero_snr must be False"),
        ({"thresholding": True}, 5, "thresholding must be False"),
        ({"timestep_spacing": "log"}, 5, "timestep_spacing must be leading, .* got log"),
        ({"num_train_timesteps": 10**9}, 5, "num_train_timesteps must lie between 1 and 100000"),
        (
            {"num_train_timesteps": 10},
            50,
            "num_steps must lie between 1 and the model's 10, got 50",
        ),
        ({"trained_betas": [0.1, 1.5]}, None, r"alphas must lie in \(0, 1\)"),
    ],
)
def test_what_it_does_not_have_is_refused_by_name(given, num, said):
    with pytest.raises(InputError, match=said):
        chain_of(given, num)
