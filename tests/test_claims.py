"""Verdicts follow from numbers; plain data is read back or refused with the field's name."""

import json
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fineq.studies.nlqr.claims  # noqa: F401  (registers its claims)
from fineq.claims import REGISTRY, Claim, Entry, Measured, Theory, judge, register
from fineq.claims import claim as registered_claim
from fineq.rates import linear_rate, median_interval, proportion

NAN, INF = float("nan"), float("inf")


def claim(**changes) -> Claim:
    fields = {
        "id": "test/some-claim",
        "statement": "The ratio is small.",
        "source": "fineq",
        "instance": "n=3",
        "measured": Measured(0.5, 0.4, 0.6, "1/iteration", 0.95),
        "theory": Theory(0.7, "<=", "1 - eta mu", note="far from K*"),
    }
    return Claim(**{**fields, **changes})


@pytest.mark.parametrize(
    ("relation", "margin", "value", "verdict"),
    [
        ("<=", 0.0, 0.6, "holds"),
        ("<=", 0.0, 0.59, "inconclusive"),
        ("<=", 0.0, 0.4, "inconclusive"),
        ("<=", 0.0, 0.39, "fails"),
        ("<=", 0.05, 0.55, "holds"),
        ("<=", 0.05, 0.36, "inconclusive"),
        (">=", 0.0, 0.4, "holds"),
        (">=", 0.0, 0.41, "inconclusive"),
        (">=", 0.0, 0.61, "fails"),
        (">=", 0.05, 0.45, "holds"),
        ("~", 0.1, 0.5, "holds"),
        ("~", 0.2, 0.45, "holds"),
        ("~", 0.05, 0.5, "inconclusive"),
        ("~", 0.1, 0.65, "inconclusive"),
        ("~", 0.1, 0.71, "fails"),
        ("~", 0.1, 0.29, "fails"),
    ],
)
def test_verdict_on_the_interval(relation, margin, value, verdict):
    measured = Measured(0.5, 0.4, 0.6, confidence=0.95)
    # Sums like 0.45 + 0.05 are off by a rounding, which a margin a little wider takes up.
    theory = Theory(value, relation, "f", margin=margin + 1e-12)
    assert judge(measured, theory).verdict == verdict
    sampled = "fails" if verdict == "fails" else "not refuted"
    assert judge(measured, theory, sampled=True).verdict == sampled


@pytest.mark.parametrize(
    ("low", "high", "relation", "verdict"),
    [
        (None, 0.5, "<=", "holds"),
        (0.5, None, "<=", "inconclusive"),
        (0.8, None, "<=", "fails"),
        (None, 0.5, ">=", "fails"),
        (0.8, None, ">=", "holds"),
        (None, None, ">=", "inconclusive"),
        (None, None, "~", "inconclusive"),
        (None, 0.5, "~", "fails"),
    ],
)
def test_an_unknown_end_reaches_to_infinity(low, high, relation, verdict):
    measured = Measured(0.6, low, high, confidence=0.95)
    assert judge(measured, Theory(0.7, relation, "f", margin=0.1)).verdict == verdict


@pytest.mark.parametrize(
    ("values", "verdict", "words"),
    [
        # 1 - 2^(1-n): five seeds reach 94%, six 97%.
        ([1.0, 1.1, 1.2], "inconclusive", "of 3 seeds covers with 75% only .* 6 seeds decide"),
        ([9.0, 9.1, 9.2, 9.3, 9.4], "inconclusive", "of 5 seeds covers with 94% only"),
        ([1.0, 1.1, 1.2, 1.0, 1.1, 1.2], "holds", "1 to 1.2 against at most 2"),
        ([9.0, 9.1, 9.2, 9.0, 9.1, 9.2], "fails", "9 to 9.2 against at most 2"),
        ([1.0, 1.1, 1.2, 9.0, 9.1, 9.2], "inconclusive", "part of what .* more seeds narrow it"),
        ([1.0], "inconclusive", "one seed gives no interval: 6 seeds"),
        ([], "inconclusive", "nothing could be measured"),
        ([INF, INF, 1.0, INF, INF, INF], "inconclusive", "at least 1 against at most 2"),
        ([INF] * 6, "inconclusive", "the median seed diverged"),
    ],
)
def test_a_verdict_rests_on_95_percent(values, verdict, words):
    measured = Measured.of(median_interval(np.array(values)))
    found = judge(measured, Theory(2.0, "<=", "bound"))
    assert found.verdict == verdict
    assert re.search(words, found.reason)


def test_exact_numbers_need_no_seeds():
    assert judge(Measured.exact(1.0), Theory(2.0, "<=", "bound")).verdict == "holds"
    assert judge(Measured.exact(3.0), Theory(2.0, "<=", "bound")).verdict == "fails"
    found = judge(Measured.between(2.0, 1.9, 2.1), Theory(2.0, "<=", "b"), decides="halving")
    assert found == ("inconclusive", found.reason)
    assert found.reason.endswith("halving")


def test_few_seeds_refute_no_universal_claim_either():
    theory = Theory(1.0, "<=", "for all x")
    few, enough = (Measured.of(median_interval(np.full(n, 2.0))) for n in (3, 6))
    assert judge(few, theory, sampled=True).verdict == "inconclusive"
    assert judge(enough, theory, sampled=True).verdict == "fails"
    assert judge(Measured(None, None, None), theory, sampled=True).verdict == "inconclusive"


def test_what_the_numbers_cannot_say_is_inconclusive():
    words = "the run ends before the predicted 16647 steps: descent.num_steps=20000 decides"
    for theory in (Theory(0.7, "<=", "f"), Theory(0.1, "<=", "f")):
        made = claim(theory=theory, undecided=words)
        assert (made.verdict, made.reason) == ("inconclusive", words)
    made = registered_claim(
        "nlqr/landscape", Measured.exact(1.0), None, instance="", undecided="said for nothing"
    )
    assert (made.verdict, made.reason, made.undecided) == (None, "", "")


def test_an_interval_says_its_confidence():
    with pytest.raises(ValueError, match="an interval needs its confidence"):
        Measured(0.5, 0.4, 0.6)
    with pytest.raises(ValueError, match=r"confidence must lie in \(0, 1\], got 95"):
        Measured(0.5, 0.4, 0.6, confidence=95)
    assert Measured.of(median_interval(np.arange(3.0))).confidence == 0.75
    assert Measured.of(median_interval(np.arange(6.0))).confidence == 0.95
    assert Measured.exact(2.0).confidence == 1.0
    assert Measured.exact(NAN) == Measured(None, None, None)


def test_an_infinite_number_exceeds_every_bound():
    infinite = Measured.exact(INF)
    assert infinite.value is None
    found = judge(infinite, Theory(1e300, "<=", "bound"))
    assert (found.verdict, "an infinite number against" in found.reason) == ("fails", True)
    assert judge(infinite, Theory(1e300, ">=", "bound")).verdict == "holds"


def test_without_theory_or_without_its_value():
    assert claim(theory=None).verdict is None
    assert claim(theory=Theory(INF, "<=", "1/0")).verdict == "inconclusive"
    made = claim(theory=Theory(NAN, "<=", "0/0"), sampled=True)
    assert (made.verdict, "0/0" in made.reason) == ("inconclusive", True)


@given(
    st.lists(st.floats(-10, 10), min_size=3, max_size=3),
    st.floats(-10, 10),
    st.sampled_from(["<=", ">=", "~"]),
    st.floats(0.01, 5),
)
def test_verdict_is_what_points_of_the_interval_say(numbers, value, relation, margin):
    low, middle, high = sorted(numbers)
    theory = Theory(value, relation, "f", margin=margin)
    satisfied = {
        "<=": lambda x: x <= value + margin,
        ">=": lambda x: x >= value - margin,
        "~": lambda x: value - margin <= x <= value + margin,
    }[relation]
    points = [satisfied(x) for x in (low, middle, high)]
    verdict, reason = judge(Measured.between(middle, low, high), theory)
    assert reason
    assert verdict != "holds" or all(points)
    assert verdict != "fails" or not any(points)
    assert verdict != "inconclusive" or not all(points)


def test_numbers_that_are_not_finite_are_none():
    measured = Measured(NAN, -INF, INF, confidence=0.95)
    assert (measured.value, measured.low, measured.high) == (None, None, None)
    assert Measured.between(np.float64(1), 1, 2) == Measured.between(1.0, 1.0, 2.0)
    assert type(Measured.exact(3).low) is float


def test_measured_of_rates_and_proportions():
    rate = linear_rate(np.arange(50.0), 0.9 ** np.arange(50.0))
    assert Measured.of(rate).value == pytest.approx(math.log(0.9))
    assert Measured.of(rate.exponent, "1/iteration").low == -rate.high
    assert Measured.of(proportion(3, 4)).value == 0.75
    lost = Measured.of(linear_rate(np.arange(50.0), np.full(50, NAN)))
    assert lost == Measured(None, None, None)


@pytest.mark.parametrize(
    "sent",
    [
        claim(),
        claim(theory=None),
        claim(measured=Measured(NAN, NAN, INF)),
        claim(measured=Measured.of(median_interval(np.arange(3.0)))),
        claim(measured=Measured.between(0.7, 0.6, 0.8)),
        claim(undecided="no such number exists here: another plant decides"),
        claim(theory=Theory(0.5, "~", "f", margin=0.1), sampled=True),
        claim(theory=Theory(NAN, ">=", "f")),
        claim(measured=Measured.exact(INF)),
        claim(measured=Measured.exact(5, "orders of magnitude")),
    ],
)
def test_round_trip(sent):
    text = json.dumps(sent.to_dict(), allow_nan=False)
    assert Claim.from_dict(json.loads(text)) == sent


def test_plain_data_has_the_fields_of_the_schema():
    data = claim().to_dict()
    about = {"id", "statement", "source", "instance", "measured", "theory"}
    assert set(data) == about | {"margin", "sampled", "confidence", "verdict", "reason"}
    assert set(data["measured"]) == {"value", "low", "high", "unit"}
    assert set(data["theory"]) == {"value", "relation", "formula", "note"}
    assert (data["verdict"], data["confidence"], data["margin"]) == ("holds", 0.95, 0.0)
    assert claim(theory=None).to_dict()["margin"] is None


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("id", 3, "claim.id is of the wrong type, int"),
        ("id", "no-area", "must have the form area/claim, got 'no-area'"),
        ("id", "a/b\n", "must have the form area/claim"),
        ("sampled", 1, "claim.sampled is of the wrong type"),
        ("verdict", "fails", "is 'fails', but its numbers say 'holds'"),
        ("verdict", None, "is None, but its numbers say 'holds'"),
        ("measured", None, "claim.measured is of the wrong type"),
        ("measured.value", "0.5", "claim.measured.value is of the wrong type, str"),
        ("measured.value", True, "claim.measured.value is of the wrong type, bool"),
        ("measured.low", NAN, "claim.measured.low must be a finite number"),
        ("measured.high", 10**400, "claim.measured.high must be a finite number"),
        ("measured.low", 0.7, r"low must not exceed high, got \[0.7, 0.6\]"),
        ("measured.more", 1, "claim.measured.more is unknown"),
        ("theory", [], "claim.theory is of the wrong type, list"),
        ("theory.relation", "<", "relation must be one of <=, >=, ~, got '<'"),
        ("theory.relation", "~", "needs a margin"),
        ("margin", -1, "margin must be finite and at least 0, got -1"),
        ("margin", None, "claim.margin is missing though there is a theory"),
        ("margin", "0", "claim.margin is of the wrong type, str"),
        ("confidence", None, "an interval needs its confidence"),
        ("confidence", 0.0, "confidence must lie in"),
        ("confidence", 0.75, "is 'holds', but its numbers say 'inconclusive'"),
        ("reason", "", "claim.reason of test/some-claim is '', but its numbers say 'all"),
        ("surprise", 1, "claim.surprise is unknown"),
    ],
)
def test_untrusted_data_is_refused(path, value, words):
    data = claim().to_dict()
    *outer, last = path.split(".")
    (data[outer[0]] if outer else data)[last] = value
    with pytest.raises(ValueError, match=words):
        Claim.from_dict(data)


@pytest.mark.parametrize("data", [None, [], "claim", 3])
def test_what_is_not_an_object_is_refused(data):
    with pytest.raises(ValueError, match="claim must be an object"):
        Claim.from_dict(data)


def test_missing_fields_are_named():
    data = claim().to_dict()
    del data["measured"]["low"]
    with pytest.raises(ValueError, match=r"claim.measured.low is missing"):
        Claim.from_dict(data)


def test_registry_gives_statement_and_source():
    made = registered_claim(
        "nlqr/initialisation", Measured.exact(1.0), instance={"lipschitz": 1, "seeds": 64}
    )
    assert made.source == "arXiv 2303.08431, Fig. 1a"
    assert made.instance == "lipschitz=1, seeds=64"
    assert made.statement == REGISTRY["nlqr/initialisation"].statement
    with pytest.raises(ValueError, match="claim 'nlqr/nothing' is not registered"):
        registered_claim("nlqr/nothing", Measured.exact(1.0), instance="")


def test_an_id_is_registered_once():
    entry = REGISTRY["nlqr/landscape"]
    register(entry)
    with pytest.raises(ValueError, match="'nlqr/landscape' is already registered otherwise"):
        register(entry._replace(statement="Something else."))
    with pytest.raises(ValueError, match="area/claim"):
        register(Entry("Landscape", "", "", ""))
    assert REGISTRY["nlqr/landscape"] is entry
    assert "Landscape" not in REGISTRY


def test_all_claims_of_the_paper_on_nlqr_are_registered():
    own = {e for e in REGISTRY.values() if e.id.startswith("nlqr/")}
    paper = {e.id for e in own if e.source.startswith("arXiv 2303.08431")}
    assert paper == {
        "nlqr/exact-recovery",
        "nlqr/landscape",
        "nlqr/linear-convergence",
        "nlqr/initialisation",
        "nlqr/lipschitz-sweep",
        "nlqr/robustness",
        "nlqr/sample-complexity",
    }
    assert {e.source for e in own if e.id not in paper} <= {"fineq"}
    assert all(e.statement and e.relation for e in own)
