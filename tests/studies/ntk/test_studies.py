"""Studies of score learning: what they report is what plain NumPy finds on the same members."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.errors import InputError
from fineq.ntk.label_noise import spread as noise_and_signal
from fineq.ntk.rules import RULES
from fineq.ntk.tangent import gram, kernel
from fineq.results import status_of
from fineq.studies.found import Found
from fineq.studies.ntk import sampling
from fineq.studies.ntk.common import NAMES, all_lost
from fineq.studies.ntk.early_stopping import RISK, not_overfitted
from fineq.studies.ntk.given import load
from fineq.studies.ntk.instances import make_instance
from fineq.sweep.stages import Stages
from tests.studies.ntk.small import run_small, small
from tests.studies.views import view_of


@pytest.fixture(scope="module", name="stopped")
def _stopped():
    return run_small("early_stopping", "descent.last=1e4")


def member(config, seed=0):
    return jax.jit(make_instance(config, load(config).given))({"seed": config.first_seed + seed})


@pytest.mark.slow
def test_risk_is_that_of_plain_descent(stopped):
    """Two hundred explicit steps of f ← f - (η/N) K (f - y), at the first recorded time above."""
    config, result = stopped
    instance = member(config, seed=1)
    train, test = instance.train, instance.test
    K, across = np.asarray(gram(train.z)), np.asarray(kernel(test.z, train.z))
    eta = 1 / np.mean(np.diag(K))
    times = result.coords["time"].values
    index = int(np.searchsorted(times, 200))
    alpha = np.zeros_like(train.noisy)
    for _ in range(int(times[index])):
        alpha = alpha - eta / len(K) * (K @ alpha - train.noisy)
    risk = np.mean(np.sum((across @ alpha - test.clean) ** 2, axis=-1))
    # Hundreds of steps of rounding each, on numbers of order 1.
    np.testing.assert_allclose(result.arrays["risk"].values[1, index], risk, rtol=1e-9)


@pytest.mark.slow
def test_no_rule_beats_the_oracle(stopped):
    _, result = stopped
    stopped_risk, time = (result.arrays[name].values for name in ("stopped", "stopping_time"))
    oracle = list(RULES).index("oracle")
    assert np.all(stopped_risk >= stopped_risk[:, oracle, None])
    np.testing.assert_array_equal(
        stopped_risk[:, oracle], result.arrays["risk"].values.min(axis=-1)
    )
    # A larger radius lets the local rule run longer: B is measured above 1 here.
    assert np.all(result.arrays["radius"].values > 1)
    unit, measured = (list(RULES).index(name) for name in ("unit", "measured"))
    assert np.all(time[:, measured] >= time[:, unit])


def test_rows_say_of_how_many_seeds_they_are(stopped):
    _, result = stopped
    assert all("3 seeds" in claim.instance for claim in result.claims)
    judged = [claim for claim in result.claims if claim.verdict is not None]
    # Three seeds cannot carry a verdict.
    assert {claim.verdict for claim in judged} == {"inconclusive"}
    assert all("6 seeds decide" in c.reason or "descent.last" in c.reason for c in judged)


def test_members_of_which_nothing_came_out_have_diverged():
    diverged = np.array([[False, True, False], [False, False, False]])
    risk = np.ones((2, 3, 4))
    risk[0, 2] = np.nan
    risk[1, 0, 1:] = np.inf  # known at one time
    found = all_lost(diverged, risk)
    np.testing.assert_array_equal(found, [[False, True, True], [False, False, False]])
    assert status_of(found) == "partly_diverged"


def test_what_is_not_overfitted_yet_refutes_no_stopping():
    def why(risk):
        risk = np.array(risk)
        coords = {"time": np.array([1.0, 10.0, 100.0])}
        return not_overfitted(view_of({"risk": risk}, [RISK], coords, risk[:, 0] < 0, NAMES))

    assert "larger descent.last decides" in why([[3.0, 2.0, 1.0], [3.0, 2.0, np.nan]])
    assert why([[3.0, 1.0, 2.0]]) == ""


@pytest.mark.slow
def test_clean_labels_have_no_noise_to_overfit():
    """Points at one place: f* is constant, labels are clean, and long training does not hurt."""
    config, result = run_small(
        "early_stopping", "target.name=boxes", "target.d=1", "target.num_components=1",
        "target.size=1e-6",
    )  # fmt: skip
    risk = result.arrays["risk"].values
    assert np.all(risk[:, -1] <= risk[:, 0])
    assert np.all(result.arrays["noise"].values < 1e-6)
    del config


@pytest.mark.slow
def test_assumptions_are_those_of_the_gram_matrix():
    config, result = run_small("assumptions", "++sweep.process.T0=[0.1]", "data.num_test=64")
    num = int(config.assumptions.sizes[0])
    words = [f"data.num={num}", "++sweep.process.T0=[0.1]", "data.num_test=64"]
    z = member(small("early_stopping", *words)).train.z
    values = np.linalg.eigvalsh(np.asarray(gram(z)) / num)
    found = {name: result.arrays[name].values[0, 0, 0] for name in ("smallest", "largest", "trace")}
    np.testing.assert_allclose(found["smallest"], values[0], rtol=1e-8, atol=1e-15)
    np.testing.assert_allclose(found["largest"], values[-1], rtol=1e-12)
    np.testing.assert_allclose(found["trace"], np.mean(np.sum(np.asarray(z) ** 2, -1)) / 2)
    noise, signal = (result.arrays[name].values for name in ("noise", "signal"))
    # Three points are exact at every t: to the error of quadrature, not that of 64 draws.
    spread = float(noise_and_signal(load(config).given.target.law))
    np.testing.assert_allclose(noise**2 + signal**2, spread, rtol=1e-6)
    outside = result.arrays["outside"].values
    assert np.all(np.diff(outside, axis=-2) <= 0)  # larger balls leave less out


@pytest.mark.slow
def test_interpolants_with_and_without_the_constant_are_those_of_a_linear_solver():
    config, result = run_small("inputs", "generalisation.sizes=[8, 12]", "data.num_test=32")
    for i, constant in enumerate(result.coords["constant"].values):
        words = ("data.num=12", f"data.constant={str(bool(constant)).lower()}", "data.num_test=32")
        instance = member(small("early_stopping", *words), seed=1)
        train, test = instance.train, instance.test
        assert train.z.shape[1] == 2 + constant
        alpha = np.linalg.solve(np.asarray(gram(train.z)), np.asarray(train.clean))
        norm = np.sqrt(np.sum(alpha * np.asarray(train.clean)))
        apart = np.asarray(kernel(test.z, train.z)) @ alpha - test.clean
        found = {name: result.arrays[name].values[i, 1, 1] for name in ("norm", "interpolant")}
        # The condition number of 12 points is below 1e7.
        np.testing.assert_allclose(found["norm"], norm, rtol=1e-7)
        np.testing.assert_allclose(found["interpolant"], np.mean(np.sum(apart**2, -1)), rtol=1e-7)
    assert config.study == "inputs"


@pytest.mark.slow
def test_kernels_of_wide_networks_are_closer():
    _, result = run_small("kernel_limit", "network.widths=[16, 4096]")
    typical = result.arrays["typical"].values
    # Sixteen times on average; an average of 16 neurons scatters by a factor of a few.
    assert np.all(typical[0] > 4 * typical[1])


@pytest.mark.slow
def test_networks_from_zero_approach_the_kernel_and_plain_ones_do_not():
    _, result = run_small("coupling", "network.widths=[64, 4096]", "seeds=8", "network.num_steps=6")
    gap = result.arrays["gap"].values
    # 64 times the width: a factor 8. The gap of one seed scatters by about a third, so the
    # exponent of the median of 8 by about 0.2 / log 64 = 0.05.
    assert abs(next(iter(result.rates)).slope + 0.5) < 0.15
    # f_0 of a plain network has variance |z|²/2 per output at every width, and stays.
    assert np.median(gap[1, 1]) > 10 * np.median(gap[0, 1])
    assert list(result.coords["start"].values) == ["symmetric", "plain"]


@pytest.mark.slow
def test_samples_of_the_exact_score_are_data():
    words = ("sampling.num_samples=400", "sampling.num_steps=60", "target.name=three_points")
    _, result = run_small("sampling", *words, "descent.last=10", "sampling.num_times=3")
    exact, data, learned = (
        result.arrays[name].values for name in ("exact_distance", "data_distance", "distance")
    )
    # Distances of two samples of 400: both are scatter; ten steps of training are not enough.
    assert np.all(exact < 3 * data.max())
    assert np.all(learned > exact[:, None])


def test_seeds_that_diverged_are_losses_in_errors_and_named_where_they_have_no_number():
    """Six seeds at three training times, of which two diverged."""
    lost = np.arange(6) >= 4
    errors = np.where(lost[:, None], np.nan, np.array([[3.0, 1.0, 2.0]]))
    alone = ("exact_distance", "exact_discrepancy", "data_distance")
    values = dict.fromkeys(("distance", "discrepancy", "risk", "score"), errors)
    values |= dict.fromkeys(alone, errors[:, 0])
    measured = Found(values, coords={"time": [1.0, 2.0, 3.0]}, lost=lost)
    config = small("sampling", "seeds=6", "target.name=three_points")
    given = load(config).given
    recipe = replace(sampling.run, measure=lambda study: measured, figures=())
    found = recipe(config, given, Stages()).claims
    assert found
    for claim in found:
        if "discrepancy of samples to data, last" in claim.statement:
            # Four of 2 and two infinite: the range of six has no upper end.
            assert (claim.measured.value, claim.measured.low, claim.measured.high) == (2, 2, None)
            assert claim.instance.endswith("6 seeds")
        elif not claim.statement.endswith("best τ") or "discrepancy" not in claim.statement:
            assert claim.instance.endswith("4 of 6 seeds, those that did not diverge")
            assert claim.measured.high is not None


def test_keys_of_members_do_not_depend_on_the_others():
    config = small("early_stopping")
    given = load(config).given

    def noisy(seed):
        return make_instance(config, given)({"seed": seed}).train.noisy

    seeds = jnp.arange(2)
    alone = jnp.stack([jax.jit(noisy)(seed) for seed in seeds])
    np.testing.assert_allclose(jax.jit(jax.vmap(noisy))(seeds), alone, rtol=1e-12)


def test_what_a_study_varies_itself_is_not_swept():
    with pytest.raises(InputError, match=r"network\.widths"):
        run_small("kernel_limit", "++sweep.network.widths=[16, 32]")


@pytest.mark.slow
def test_a_krylov_path_ends_where_it_is_not_known_and_agrees_before():
    words = ("seeds=1", "data.num=200", "descent.last=1e6", "data.num_test=32")
    _, truth = run_small("early_stopping", *words)
    _, found = run_small(
        "early_stopping", *words, "descent.method=stored", "descent.num_products=9"
    )
    risk, exact = (x.arrays["risk"].values[0] for x in (found, truth))
    known = np.isfinite(risk)
    assert known[0]
    assert not known[-1]
    # Predictions are known to 1e-6 of the labels, of order 1; the risk is their square mean.
    np.testing.assert_allclose(risk[known], exact[known], rtol=1e-4)
    assert "Krylov" in found.notes


@pytest.mark.slow
def test_a_step_that_is_not_stable_for_some_member_is_refused():
    with pytest.raises(InputError, match="the limit of stability"):
        run_small("early_stopping", "descent.step=1.6", "data.num=16")
