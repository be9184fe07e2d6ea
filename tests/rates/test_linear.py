"""Linear rates of sequences with known answers, down to floors of every kind."""

import numpy as np
import pytest

from fineq.rates import linear_rate
from tests.rates.common import SEEDS, end_bias, rng_of, rounding
from tests.rates.sequences import dense, geometric, two_phase


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


def test_a_long_tail_that_falls_slower_is_left_out():
    k = np.arange(401.0)
    y = -0.05 * k + 0.02 * rng_of(0).standard_normal(k.size)
    # The last quarter falls at 3/5 of the rate: what is dropped is a share, not a few records.
    y = np.where(k > 300, y + 0.02 * (k - 300), y)
    rate = linear_rate(k, np.exp(y)).per_seed[0]
    # 300 records of noise 0.02 leave a standard error of 1.3e-5.
    assert rate.slope == pytest.approx(-0.05, abs=5e-5)
