"""Rates of sequences with known answers."""

import json

import numpy as np
import pytest

from fineq.rates import Rate, linear_rate
from tests.rates.sequences import autoregressive, dense, geometric, two_phase

EPS = np.finfo(float).eps
SEEDS = pytest.mark.parametrize("seed", range(5))


def rng_of(seed: int) -> np.random.Generator:
    return np.random.default_rng([7, seed])


def rounding(k: np.ndarray, slope: float) -> float:
    """Largest error of a slope from rounding of e and log e.

    Each y is off by eps (1 + |y|) or two; the weights of a least-squares slope add up to 3 / length
    on an even grid, and to less than 8 / length on the geometric one (only its end weighs).
    """
    return 8 / (k[-1] - k[0]) * 2 * EPS * (1 + abs(slope) * k[-1])


def end_bias(lift: float, fall: float) -> float:
    """Relative error of a slope when the last error is lifted by the relative amount `lift`.

    The lift fades like exp(-|slope| distance), so it adds up to lift / |slope|, with weight at most
    6 / length^2 an iteration: relative to the slope 6 lift / (|slope| length)^2.
    """
    return 6 * lift / fall**2


@pytest.mark.parametrize("ratio", [0.2, 0.9, 0.999, 0.99999])
@pytest.mark.parametrize("k", [dense(4), dense(60), dense(440), geometric(440)])
def test_exact_geometric(ratio, k):
    k = k[ratio**k > 1e-300]
    rate = linear_rate(k, ratio**k)
    assert rate.verdict == "linear"
    assert abs(rate.slope - np.log(ratio)) <= rounding(k, np.log(ratio))
    assert rate.ratio.value == pytest.approx(ratio, rel=1e-12)
    assert rate.burn_in == 0
    assert np.isnan(rate.floor)
    assert rate.r_squared == pytest.approx(1.0, abs=1e-9)


@SEEDS
@pytest.mark.parametrize("ratio", [0.5, 0.9, 0.98])
def test_additive_noise_floor(seed, ratio):
    """|q^k + s N|: the slope above the floor, and the floor at the median of |s N|."""
    k, s, slope = dense(1200), 1e-6, np.log(ratio)
    rate = linear_rate(k, np.abs(ratio**k + s * rng_of(seed).standard_normal(k.size)))
    assert rate.verdict == "linear"
    assert rate.burn_in == 0
    # Fitted above 31 floors (fourth root of the fall): the noise is a share N / 21 at most there.
    assert abs(rate.slope / slope - 1) < end_bias(4 / 21, np.log(1e6 / 31))
    # The median of |N| is 0.674, known to 0.79 / sqrt(n) (its density there is 0.636).
    assert rate.floor / s == pytest.approx(0.674, abs=5 * 0.79 / np.sqrt(500))
    crossing = np.log(s) / slope
    assert abs(rate.floor_at - crossing) < np.log(10) / abs(slope) + 1


@SEEDS
def test_multiplicative_noise_floor(seed):
    """Noise of an order of magnitude on the floor, and smaller noise on the descent."""
    rng, k, slope = rng_of(seed), dense(400), np.log(0.9)
    descent = 0.9**k * np.exp(0.3 * rng.standard_normal(k.size))
    floor = 1e-6 * np.exp(rng.standard_normal(k.size))
    rate = linear_rate(k, descent + floor)
    assert rate.verdict == "linear"
    # Clear of 3 times the 95% quantile, e^1.645: the floor's mean e^0.5 lifts by 0.11 at the end.
    fall = np.log(1e6 / (3 * np.exp(1.645)))
    spread = 0.3 * np.sqrt(12 / (fall / abs(slope)) ** 3) / abs(slope)
    assert abs(rate.slope / slope - 1) < end_bias(0.11, fall) + 5 * spread
    # The median of n lognormals has relative error sqrt(pi / 2 n).
    assert abs(np.log(rate.floor / 1e-6)) < 5 * np.sqrt(np.pi / 2 / 150)


@SEEDS
def test_bias_floor(seed):
    """q^k + b without noise approaches b from above for ever."""
    q, b = 0.8 + 0.03 * seed, 10.0 ** -(3 + seed)
    k = dense(1500)
    rate = linear_rate(k, q**k + b)
    clear = max(10.0, b**-0.25)
    assert rate.verdict == "linear"
    assert abs(rate.slope / np.log(q) - 1) < end_bias(1 / clear, np.log(1 / (b * clear)))
    assert rate.floor == pytest.approx(b, rel=1e-3)


@SEEDS
@pytest.mark.parametrize(("ratio", "last"), [(0.2, 40), (0.5, 70), (0.9, 600)])
def test_rounding_floor(seed, ratio, last):
    k = dense(last)
    rate = linear_rate(k, ratio**k + 1e-16 * np.abs(rng_of(seed).standard_normal(k.size)))
    assert rate.verdict == "linear"
    # Fitted above 100 floors: lifts of a few percent at the last record or two.
    assert rate.slope == pytest.approx(np.log(ratio), rel=0.01)
    assert 1e-17 < rate.floor < 1e-15


@SEEDS
def test_rounding_floor_of_two_or_three_records_does_not_bend_the_verdict(seed):
    k = dense(25)
    rate = linear_rate(k, 0.2**k + 1e-16 * np.abs(rng_of(seed).standard_normal(k.size)))
    assert rate.verdict == "linear"
    # Three lifted records of 26, by 1.6 + 3.2 + 5 e-folds at most.
    assert rate.slope == pytest.approx(np.log(0.2), rel=6 * 10 * 1.6 / 40**2)


def test_a_few_records_at_the_floor_are_recognised():
    """Twenty descents whose last 4, or 7, records are rounding; some lie deep by chance."""
    for ratio, last in ((0.2, 26), (0.5, 60)):
        k = dense(last)
        noise = np.abs([rng_of(seed).standard_normal(k.size) for seed in range(20)])
        rate = linear_rate(k, ratio**k + 1e-16 * noise)
        found = [np.isfinite(fit.floor) for fit in rate.per_seed]
        errors = [fit.slope / np.log(ratio) - 1 for fit in rate.per_seed]
        assert rate.verdicts == {"linear": 20}
        assert np.mean(found) >= 0.8
        # Where it is found the fit ends 100 floors above, and the last record is lifted by 1%.
        assert np.quantile(np.abs(errors), 0.8) < end_bias(0.01, 20)


def test_lifted_last_records_are_left_out_when_no_floor_shows():
    """Three records bent away by 0.4, 0.8 and 1.2: less than a floor, more than noise."""
    k = dense(25)
    lift = np.maximum(0, 0.4 * (k - 22))
    rate = linear_rate(k, np.exp(-k + lift))
    assert rate.verdict == "linear"
    assert rate.per_seed[0].end <= 23
    assert rate.slope == pytest.approx(-1.0, rel=1e-9)


@pytest.mark.parametrize("b", [1e-2, 1e-4, 1e-8])
def test_bias_floor_still_being_approached(b):
    """The run ends when q^k is b / 1000: the last records still fall, strictly."""
    k = np.arange(np.ceil(np.log(1e-3 * b) / np.log(0.9)))
    rate = linear_rate(k, 0.9**k + b)
    assert rate.verdict == "linear"
    assert rate.floor == pytest.approx(b, rel=0.02)
    clear = max(10.0, b**-0.25)
    assert abs(rate.slope / np.log(0.9) - 1) < end_bias(1 / clear, np.log(1 / (b * clear)))


def test_power_law_down_to_a_floor():
    k = dense(1000)[1:]
    noise = [rng_of(seed).standard_normal(k.size) for seed in range(20)]
    rate = linear_rate(k, 1 / k + 0.01 * np.exp(0.5 * np.array(noise)))
    assert rate.verdict == "sublinear"
    assert sum(np.isfinite(fit.floor) for fit in rate.per_seed) >= 18
    # The tail of 1/k lifts the floor by up to a quarter.
    assert 0.01 < rate.floor < 0.0125


def test_short_and_noisy_descents_have_no_floor():
    k = dense(30)
    noise = [rng_of(seed).standard_normal(k.size) for seed in range(40)]
    rate = linear_rate(k, 0.9**k * np.exp(0.3 * np.array(noise)))
    assert rate.verdicts["linear"] >= 36
    assert "stalled" not in rate.verdicts
    assert sum(np.isfinite(fit.floor) for fit in rate.per_seed) <= 3


@SEEDS
def test_geometric_records_to_a_floor(seed):
    k = geometric(1e5)
    rate = linear_rate(k, 0.99**k + 1e-16 * np.abs(rng_of(seed).standard_normal(k.size)))
    assert rate.verdict == "linear"
    assert rate.floor_at == 5000
    assert rate.slope == pytest.approx(np.log(0.99), rel=1e-6)


@pytest.mark.parametrize("order", [0.5, 1.0, 2.0])
@pytest.mark.parametrize(
    "k", [dense(20)[1:], dense(1000)[1:], geometric(1e5)[1:], 50 + dense(1000), dense(30) + 3]
)
def test_power_laws_are_sublinear(order, k):
    rate = linear_rate(k, k**-order)
    assert rate.verdict == "sublinear"
    assert np.isnan(rate.floor)
    assert rate.bend > 0


@SEEDS
@pytest.mark.parametrize("order", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("k", [dense(1000)[1:], geometric(1e5)[1:]])
def test_noisy_power_laws_are_sublinear(seed, order, k):
    noise = np.exp(0.03 * rng_of(seed).standard_normal((9, k.size)))
    rate = linear_rate(k, k**-order * noise)
    assert rate.verdict == "sublinear"
    assert rate.verdicts["sublinear"] == 9


@pytest.mark.parametrize("start", [0.3, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("floor", [0.0, 1e-16])
def test_quadratic_convergence_is_superlinear(start, floor):
    k = dense(12)
    noise = floor * np.abs(rng_of(0).standard_normal(k.size))
    rate = linear_rate(k, start ** (2**k) + noise)
    assert rate.verdict == "superlinear"
    assert rate.bend < 0


def test_quadratic_convergence_to_a_noisy_floor_of_three_records():
    """A descent so late and steep that no line through it is significant."""
    log_errors = np.append(-0.0528 * 2.0 ** dense(9), [-39.67, -36.89, -39.33])
    assert linear_rate(dense(12), np.exp(log_errors)).verdict == "superlinear"


def test_order_between_one_and_two_is_superlinear():
    k = dense(14)
    assert linear_rate(k, 0.5 ** (1.3**k)).verdict == "superlinear"


@pytest.mark.parametrize("value", [1.0, 1e-12, 3e8])
def test_constant_is_stalled(value):
    rate = linear_rate(dense(50), np.full(51, value))
    assert rate.verdict == "stalled"
    assert np.isnan(rate.slope)
    assert rate.floor == pytest.approx(value, rel=4 * EPS)
    assert rate.floor_at == 0


def test_drift_within_rounding_is_stalled():
    assert linear_rate(dense(50), 1 - 2 * EPS * dense(50)).verdict == "stalled"


@pytest.mark.parametrize("memory", [0.0, 0.98])
def test_fluctuation_about_a_level_is_stalled(memory):
    """At the floor from the start: white noise, and noise that wanders."""
    noise = np.array([autoregressive(rng_of(seed), 1000, memory) for seed in range(20)])
    rate = linear_rate(dense(999), 1e-3 * np.exp(noise))
    assert rate.verdict == "stalled"
    # A trend is called at 3 standard errors in either of two fits.
    assert rate.verdicts["stalled"] >= 18
    assert abs(np.log(rate.floor / 1e-3)) < 0.5


def test_a_floor_reached_at_once_leaves_nothing_to_fit():
    k = dense(100)
    errors = np.where(k < 2, 0.01**k, 1e-6 * np.exp(rng_of(0).standard_normal(k.size)))
    rate = linear_rate(k, errors)
    assert rate.verdict is None
    assert np.isnan(rate.slope)
    assert rate.floor == pytest.approx(1e-6, rel=0.6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("since", [1, 50, 100])
def test_not_finite_from_some_point_on_is_diverged(bad, since):
    errors = 0.9 ** dense(100)
    errors[since:] = bad
    rate = linear_rate(dense(100), errors)
    assert rate.verdict == "diverged"
    assert rate.seeds_diverged == 1
    assert np.isnan([rate.slope, rate.low, rate.high]).all()


def test_growth_is_diverged_and_a_higher_floor_is_not():
    k = dense(300)
    assert linear_rate(k, 1.1**k).verdict == "diverged"
    up = 1e-4 + 1e-2 * (1 - 0.97**k) * np.exp(0.3 * rng_of(0).standard_normal(k.size))
    assert linear_rate(k, up).verdict == "stalled"


def test_a_member_frozen_after_divergence_is_judged_by_what_the_caller_knows():
    k = dense(100)
    errors = np.where(k < 30, 0.9**k, 0.9**30)
    assert linear_rate(k, errors, diverged=np.array(True)).verdict == "diverged"
    stopped = linear_rate(k, errors, valid=k < 30)
    assert stopped.verdict == "linear"
    assert np.isnan(stopped.floor)


@SEEDS
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_fast_then_slow_gives_the_slow_rate(seed, noise):
    k = dense(1000)
    log_error = two_phase(k, 300, -0.1, -0.01)
    log_error += noise * rng_of(seed).standard_normal(k.size)
    rate = linear_rate(k, np.exp(log_error))
    spread = noise * np.sqrt(12 / 600**3)
    assert rate.verdict == "linear"
    assert abs(rate.slope + 0.01) < 0.001 * 0.01 + 5 * spread
    # Windows begin at 24 even places and as many growing ones.
    assert 250 <= rate.burn_in <= 300 + 1000 / 20


@SEEDS
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_slow_then_fast_gives_the_fast_rate(seed, noise):
    k = dense(500)
    log_error = two_phase(k, 300, -0.01, -0.1)
    log_error += noise * rng_of(seed).standard_normal(k.size)
    rate = linear_rate(k, np.exp(log_error))
    spread = noise * np.sqrt(12 / 150**3)
    assert rate.verdict == "linear"
    assert abs(rate.slope + 0.1) < 0.01 * 0.1 + 5 * spread
    assert 270 <= rate.burn_in <= 300 + 500 / 10


def test_a_short_last_phase_counts_by_its_share_of_the_fall():
    """The fast phase has a tenth of the iterations and half of the fall in log error."""
    k = dense(1000)
    rate = linear_rate(k, np.exp(two_phase(k, 900, -0.01, -0.1)))
    assert rate.verdict == "linear"
    assert rate.slope == pytest.approx(-0.1, rel=0.01)


@pytest.mark.parametrize("c", [10.0, 1000.0])
def test_slow_approach_to_the_rate(c):
    """q^k (1 + c p^k): burn-in covers the time until the second term is gone."""
    k = dense(1000)
    rate = linear_rate(k, 0.98**k * (1 + c * 0.9**k))
    assert rate.verdict == "linear"
    # The slope of a window is taken as known when its error is 0.1%; thrice that for its bend.
    assert rate.slope == pytest.approx(np.log(0.98), rel=0.003)
    assert rate.low < np.log(0.98) < rate.high
    assert 10 < rate.burn_in < 200


@SEEDS
@pytest.mark.parametrize("frequency", [0.03, 0.3, 2.0])
@pytest.mark.parametrize("floor", [0.0, 1e-8])
def test_oscillation_does_not_hide_the_rate(seed, frequency, floor):
    rng, k, slope = rng_of(seed), dense(1000), np.log(0.97)
    wave = np.abs(np.cos(frequency * k + 6 * rng.random()))
    rate = linear_rate(k, 0.97**k * wave + floor * np.abs(rng.standard_normal(k.size)))
    fall = np.log(1e8 / 100) if floor else 1000 * abs(slope)
    length = fall / abs(slope)
    # One half-wave too many at an end, with log|cos| about 1 off its mean: 6 / length^2 each. A
    # fast wave is like noise of the standard deviation of log|cos|, pi / sqrt(12).
    slow = 6 * (np.pi / frequency) / length**2
    fast = 5 * np.pi / np.sqrt(12) * np.sqrt(12 / length**3)
    bound = (slow + fast) / abs(slope) + (end_bias(0.5, fall) if floor else 0.0)
    assert rate.verdict == "linear"
    assert abs(rate.slope / slope - 1) < bound


def test_zeros_are_below_the_floor():
    k = dense(40)
    rate = linear_rate(k, np.where(k < 20, 0.3**k, 0.0))
    assert rate.verdict == "linear"
    assert rate.floor == 0.0
    assert rate.floor_at == 20
    assert rate.slope == pytest.approx(np.log(0.3), rel=1e-12)
    negative = linear_rate(k, np.where(k < 20, 0.3**k, -1e-17))
    assert negative.slope == rate.slope
    assert linear_rate(k, np.zeros(41)).verdict == "stalled"


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_too_few_records_have_no_verdict(count):
    rate = linear_rate(dense(9)[:count], 0.5 ** dense(9)[:count])
    assert rate.verdict is None
    assert np.isnan(rate.slope)


def spread_out() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Seven rates over three orders of magnitude, two diverged seeds, a stalled one."""
    k = dense(3000)
    slopes = -np.logspace(-4, -1, 7)
    errors = np.exp(slopes[:, None] * k)
    errors = np.concatenate([errors, errors[:2], np.ones((1, k.size))])
    errors[7:9, 100:] = np.nan
    return k, errors, slopes


def test_median_over_the_seeds_that_have_a_rate():
    k, errors, slopes = spread_out()
    rate = linear_rate(k, errors)
    assert rate.verdict == "linear"
    assert rate.seeds == 10
    assert rate.seeds_used == 7
    assert rate.verdicts == {"linear": 7, "diverged": 2, "stalled": 1}
    assert rate.slope == pytest.approx(np.median(slopes), rel=1e-10)
    # Of 7 values the second smallest and largest cover with 87.5% only: the range, 98%, is left.
    assert (rate.low, rate.high) == pytest.approx((slopes.min(), slopes.max()), rel=1e-10)
    assert rate.exponent.low == -rate.high
    assert rate.ratio.high == np.exp(rate.high)
    shuffled = linear_rate(k, errors[np.random.default_rng(0).permutation(10)])
    assert shuffled.slope == rate.slope
    assert shuffled.verdicts == rate.verdicts


def test_ties_go_to_the_worse_news():
    k, errors, _ = spread_out()
    assert linear_rate(k, errors[[0, 1, 7, 8]]).verdict == "diverged"
    assert linear_rate(k, errors[[0, 9]]).verdict == "stalled"


def strict(rate: Rate) -> dict:
    return json.loads(json.dumps(rate.to_dict(), allow_nan=False))


def test_as_plain_data():
    k, errors, _ = spread_out()
    data = strict(linear_rate(k, errors, quantity="cost gap"))
    assert {"quantity", "method", "value", "low", "high", "seeds", "verdict"} <= set(data)
    assert data["quantity"] == "cost gap"
    assert data["seeds"] == 10
    assert data["verdict"] == "linear"
    assert data["ratio"]["value"] == pytest.approx(np.exp(data["value"]))
    assert data["floor"] is None
    lost = strict(linear_rate(k, errors[7:9]))
    assert lost["verdict"] == "diverged"
    assert lost["value"] is None
    assert lost["low"] is None
    assert lost["verdicts"] == {"diverged": 2}


@pytest.mark.parametrize(
    ("k", "errors", "options", "words"),
    [
        (dense(3), np.ones((2, 5)), {}, r"\(4,\) and \(2, 5\)"),
        (dense(3), np.ones((1, 2, 4)), {}, "must agree on R"),
        (np.array([0.0, 2.0, 2.0]), np.ones(3), {}, "must increase"),
        (np.array([-1.0, 2.0, 3.0]), np.ones(3), {}, "must increase"),
        (np.array([0.0, np.nan, 3.0]), np.ones(3), {}, "must increase"),
        (dense(3), np.ones(4), {"valid": np.ones(3)}, r"valid \(3,\)"),
        (dense(3), np.ones((2, 4)), {"diverged": np.zeros(3)}, r"diverged must have shape \(2,\)"),
        (dense(3), np.ones(4), {"confidence": 1.0}, "confidence must lie in"),
    ],
)
def test_bad_arguments(k, errors, options, words):
    with pytest.raises(ValueError, match=words):
        linear_rate(k, errors, **options)
