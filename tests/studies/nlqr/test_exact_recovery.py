"""Exact recovery: against the binomial law of the inputs, and SciPy's Riccati solver."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.stats

from fineq.claims import Measured, judge
from fineq.errors import InputError
from fineq.nlqr.features import Sine
from fineq.nlqr.problem import System
from fineq.nlqr.random_systems import random_system
from fineq.nlqr.recovery import Recovery
from fineq.rates import proportion
from fineq.settings.fields import replace_at, validate
from fineq.studies.nlqr.config import NlqrConfig
from fineq.studies.nlqr.exact_recovery import (
    Size,
    as_predicted,
    policy_errors,
    run,
    trials_for,
)
from fineq.studies.nlqr.instances import Given
from fineq.sweep import Axis
from fineq.sweep.stages import Stages
from tests.studies.said import said

NUM = 120
BELOW, ABOVE = 2, 4


@pytest.fixture(scope="module")
def result():
    config = replace_at(
        NlqrConfig(),
        {
            "seeds": NUM,
            "law.name": "sphere",
            "recovery.sizes": [[2, 3]],
            "recovery.below": BELOW,
            "recovery.above": ABOVE,
        },
    )
    validate(config)
    return run(config, Given(), Stages())


def values(result, name):
    return result.arrays[name].values[0]


@pytest.mark.slow
def test_recovery_follows_the_number_of_inputs_that_are_not_zero(result):
    exact = values(result, "exact")
    assert not exact[:BELOW].any()
    # n = d = 2, p = 3: m = 7. Two-sided, one in 10^4 per N: a wrong law of the inputs is far off.
    for row, num in zip(exact[BELOW:], range(7, 7 + ABOVE + 1), strict=True):
        expected = scipy.stats.binom.sf(2, num, 0.5)
        assert scipy.stats.binomtest(int(row.sum()), NUM, expected).pvalue > 1e-4
        index = BELOW + num - 7
        np.testing.assert_allclose(values(result, "prediction")[index], expected, rtol=1e-12)


def test_more_samples_never_lose_a_recovery(result):
    exact = values(result, "exact").astype(int)
    assert np.all(np.diff(exact, axis=0) >= 0)


def test_exact_means_full_rank_and_an_error_of_rounding(result):
    rank, error = values(result, "rank"), values(result, "error")
    num = np.arange(7 - BELOW, 7 + ABOVE + 1)[:, None]
    assert np.all(rank <= np.minimum(num, 7))
    np.testing.assert_array_equal(values(result, "exact"), rank == 7)
    # Undetermined parts are of order one; a draw within 1e-6 of the truth would be a freak.
    assert error[rank < 7].min() > 1e-6
    assert np.all(error[rank == 7] <= 1e-16 * 1e3 * values(result, "condition")[rank == 7])


def test_policy_is_known_exactly_where_the_system_is(result):
    policy_error, exact = values(result, "policy_error"), values(result, "exact")
    assert np.all(np.isnan(policy_error[~exact]))
    assert np.nanmedian(policy_error) < 1e-12


def recoveries(result):
    return [said(result.claims, f"from N = {num} samples") for num in ("m", f"m + {last(result)}")]


def last(result):
    return int(result.coords["offset"].values[-1])


def test_claims_carry_their_verdicts(result):
    below, policy = (said(result.claims, words) for words in ("fewer than m", "error of K_lin"))
    at, last = recoveries(result)
    assert (below.verdict, below.measured.value) == ("not refuted", 0.0)
    # 120 trials have an interval of about ± 0.08 around 0.77.
    assert at.verdict == "inconclusive"
    assert at.reason.endswith(f"seeds={trials_for(at.theory.value)} decides")
    assert "one size, 120 trials" in policy.instance
    np.testing.assert_allclose(at.theory.value, scipy.stats.binom.sf(2, 7, 0.5), rtol=1e-12)
    np.testing.assert_allclose(last.theory.value, scipy.stats.binom.sf(2, 11, 0.5), rtol=1e-12)
    assert policy.verdict is None


@pytest.mark.parametrize(
    ("successes", "trials", "verdict"),
    [
        (1, 1, "inconclusive"),  # [0.025, 1] confirms nothing
        (38, 100, "inconclusive"),
        (3770, 10_000, "holds"),  # ± 0.0095
        (3900, 10_000, "fails"),  # [0.380, 0.400]: near, and without 0.377
        (5, 5, "fails"),  # 0.377^5 = 0.008
    ],
)
def test_a_predicted_probability_is_judged_by_the_exact_test(successes, trials, verdict):
    value = scipy.stats.binom.sf(5, 10, 0.5)
    counts = proportion(successes, trials)
    theory = as_predicted(counts, "P(Bin(10, 1/2) >= 6)", value)
    assert judge(Measured.of(counts), theory).verdict == verdict
    pvalue = scipy.stats.binomtest(successes, trials, value).pvalue
    assert verdict != "fails" or pvalue < 0.05


def test_so_many_trials_decide():
    """With them the verdict is `holds` unless chance alone refutes: 95% of the time at least."""
    for value in (0.377, 0.9, 0.999):
        trials = trials_for(value)
        counts = np.arange(trials + 1)
        held = [
            judge(Measured.of(c), as_predicted(c, "", value)).verdict == "holds"
            for c in (proportion(int(k), trials) for k in counts)
        ]
        # The normal law that gives the number is good to a percent or two at such counts.
        assert scipy.stats.binom.pmf(counts, trials, value)[held].sum() > 0.9


def test_dependent_states_bound_the_probability():
    counts = proportion(0, 10)
    theory = as_predicted(counts, "P", 0.9, exact=False)
    assert judge(Measured.of(counts), theory).verdict == "holds"


@pytest.mark.slow
def test_what_no_sample_identifies_is_not_refuted():
    """φ = 0: the columns of C do not appear in the dynamics, and the regressors miss their rank."""
    settings = {"seeds": 12, "kernel.name": "zero", "law.name": "sphere"}
    sizes = {"recovery.sizes": [[2, 1]], "recovery.below": 1, "recovery.above": 2}
    found = run(replace_at(NlqrConfig(), {**settings, **sizes}), Given(), Stages())
    for claim in recoveries(found):
        assert claim.measured.value == 0
        assert claim.verdict == "inconclusive"
        # n + p of the m = n + p + d = 5 unknowns.
        assert "C is not identifiable: the regressors have rank 3 of 5 at most" in claim.reason


def linear_gain(system):
    A, B, C, Q, R = (np.asarray(getattr(system, name)) for name in "ABCQR")
    P = scipy.linalg.solve_discrete_are(A, B, Q, R)
    return np.linalg.solve(R + B.T @ P @ B, B.T @ P @ np.hstack([A, C]))


@pytest.mark.slow
def test_policy_errors_of_all_sizes_in_one_program_are_those_of_each():
    trials, expected = {}, []
    for n, p in ((2, 1), (3, 2)):
        true = random_system(jax.random.key(n), Sine(), n=n, p=p, normalisation="joint")
        found = dataclasses.replace(true, A=1.01 * true.A, C=true.C + 0.1)
        spread = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None, None], (true, found))
        nothing = np.zeros((1, 1))
        trials[Size(n, p, n)] = Recovery(*spread, nothing, nothing, nothing, nothing)
        K, K_found = linear_gain(true), linear_gain(found)
        expected.append(np.linalg.norm(K_found - K) / np.linalg.norm(K))
    got = policy_errors(Stages(), trials, [Axis("seed", [0])])
    assert got.shape == (2, 1, 1)
    # Differences of about 1%: relative accuracy of the gains 1e-12 leaves 1e-10.
    np.testing.assert_allclose(got[:, 0, 0], expected, rtol=1e-9)


@pytest.mark.parametrize("sizes", [[[2]], [[0, 1]], [[2, 1.5]], [[2, 1], [2, 1]], [], [3, 3]])
def test_sizes_that_are_no_pairs_are_refused(sizes):
    with pytest.raises(InputError, match=r"recovery\.sizes must"):
        validate(replace_at(NlqrConfig(), {"recovery.sizes": sizes}))


@pytest.mark.slow
def test_a_system_of_the_user_has_its_own_size():
    A, B = 0.5 * np.eye(2), np.eye(2)[:, :1]
    system = System(*map(jnp.asarray, (A, B, np.eye(2), np.eye(2), np.eye(1), 1.0)), phi=Sine())
    config = replace_at(
        NlqrConfig(), {"seeds": 3, "law.name": "sphere", "recovery.above": 2, "recovery.below": 1}
    )
    result = run(config, Given(system), Stages())
    assert list(result.coords["size"].values) == ["n = 2, p = 1, d = 2"]


@pytest.mark.slow
def test_a_kernel_of_ones_own_has_the_features_it_returns():
    """d = 2n features that are independent on the sphere: m = n + p + 2n columns to find."""
    sizes = {"recovery.sizes": [[2, 1], [3, 2]], "recovery.below": 1, "recovery.above": 12}
    config = replace_at(NlqrConfig(), {"seeds": 4, "law.name": "gaussian", **sizes})
    config = replace_at(config, {"kernel.name": "python", "kernel.target": "mine:phi"})
    given = Given(function=lambda x: jnp.concatenate([jnp.sin(x), x**2]))
    found = run(config, given, Stages())
    assert list(found.coords["size"].values) == ["n = 2, p = 1, d = 4", "n = 3, p = 2, d = 6"]
    np.testing.assert_array_equal(found.arrays["unknowns"].values, [7, 11])
    # Too few non-zero inputs among m + 12 fair ones has probability below 1e-4 for either size.
    rank = found.arrays["rank"].values[:, -1]
    np.testing.assert_array_equal(rank, [[7] * 4, [11] * 4])
