"""Two runs beside each other: what is within chance or rounding agrees, and what is not differs."""

from pathlib import Path

import numpy as np
import pytest

from fineq.confidence import LARGEST
from fineq.results import Array
from fineq.runs import load
from fineq.runs.array_pairs import ArrayPair, interval_depths
from fineq.runs.compare import compare
from fineq.runs.folders import LoadedRun
from fineq.runs.partners import partners
from tests.shell.made import make_run, result, undrawn

pytestmark = pytest.mark.usefixtures("drawn_plainly")


@pytest.fixture
def drawn_plainly():
    with undrawn(png=b"png", pdf=b"%PDF"):
        yield


def made(folder: Path, *args, **changes) -> LoadedRun:
    return load(make_run(folder, made=result(*args), **changes))


def kinds(found) -> dict[str, str]:
    return {array.name: array.kind for array in found.arrays}


def test_a_run_and_its_copy_do_not_differ(tmp_path):
    run = made(tmp_path)
    found = compare(run, made(tmp_path / "again"))
    assert not found.differs
    assert (found.settings, found.made_with) == ((), ())
    assert kinds(found) == {"gap": "equal", "optimum": "equal"}
    assert all(pair.first == pair.second for pair in found.claims)


def test_rounding_is_no_difference_and_a_thousandth_is_one_where_nothing_is_drawn(tmp_path):
    a, b, c = (made(tmp_path / name) for name in "abc")
    b.dataset["gap"] *= 1 + 1e-12
    b.dataset["optimum"] *= 1 + 1e-12
    assert kinds(compare(a, b)) == {"gap": "rounding", "optimum": "rounding"}
    assert not compare(a, b).differs
    alone = c.dataset["optimum"].isel(seed=0, drop=True)
    a.dataset["optimum"], c.dataset["optimum"] = alone, alone * 1.001
    (pair,) = (array for array in compare(a, c).arrays if array.differs)
    assert pair == ArrayPair("optimum", "apart", pytest.approx(1e-3 / 1.001))


def test_the_rounding_is_that_of_the_coarser_precision(tmp_path):
    a, b = made(tmp_path), made(tmp_path, precision="float32")
    b.dataset["optimum"] *= 1 + 1e-5
    assert kinds(compare(a, b))["optimum"] == "rounding"
    assert kinds(compare(a, a))["optimum"] == "equal"
    c = made(tmp_path / "c")
    c.dataset["optimum"] *= 1 + 1e-5
    assert kinds(compare(a, c))["optimum"] != "rounding"


def test_medians_over_seeds_that_are_apart_differ_and_those_that_are_not_agree(tmp_path):
    a = made(tmp_path / "a", 0.5, 0.01)
    near, far = made(tmp_path / "b", 0.5, 0.012), made(tmp_path / "c", 0.7, 0.01)
    assert kinds(compare(a, near))["gap"] == "within"
    found = compare(a, far)
    (gap,) = (array for array in found.arrays if array.name == "gap")
    # At the first iteration all gaps are the same, at the three others they are not.
    assert (gap.kind, gap.entries, gap.apart) == ("apart", 4, 3)
    assert [pair.differs for pair in found.claims] == [True]
    assert found.claims[0].apart


def draws(run: LoadedRun, values: np.ndarray, dims=("seed", "iteration"), **coords) -> LoadedRun:
    """A run of one array of these values."""
    coords = {d: np.arange(n) for d, n in zip(dims, values.shape, strict=True)} | coords
    array = type(run.dataset["gap"])(values, dims=dims, coords=coords)
    return LoadedRun(run.path, run.config, array.to_dataset(name="gap"), run.summary)


@pytest.mark.parametrize(("first", "second", "chance"), [(6, 6, 0.01), (7, 12, 0.2), (30, 9, 0.5)])
def test_intervals_of_one_law_fail_to_meet_as_rarely_as_is_said(first, second, chance):
    """Against draws: the depths keep the chance, and one deeper does not, or is not of 95%."""
    from scipy.stats import binom

    rng, many = np.random.default_rng(0), 40_000
    x = np.sort(rng.exponential(size=(many, first)))
    y = np.sort(rng.exponential(size=(many, second)))
    depths = interval_depths(first, second, chance)
    assert depths is not None

    def share(k: int, j: int) -> float:
        return float(np.mean((x[:, -k] < y[:, j - 1]) | (y[:, -j] < x[:, k - 1])))

    error = 4 * np.sqrt(chance / many)
    assert share(*depths) <= chance + error
    k, j = depths
    unsure = max(binom.cdf(k, first, 0.5), binom.cdf(j, second, 0.5)) > 0.025
    assert unsure or share(k + 1, j + 1) > chance - error
    assert interval_depths(second, first, chance) == (j, k)


@pytest.mark.parametrize("seeds", [6, 64])
def test_arrays_of_one_law_differ_in_at_most_a_twentieth_of_comparisons(tmp_path, seeds):
    """100 entries, independent and one and the same: neither passes the share."""
    run, rng, many = made(tmp_path), np.random.default_rng(1), 200
    for entries in (100, 1):
        apart = 0
        for _ in range(many):
            values = np.broadcast_to(rng.normal(size=(2, seeds, entries)), (2, seeds, 100))
            (gap,) = compare(*(draws(run, one) for one in values)).arrays
            apart += gap.differs
        # A binomial number of share 0.05 is above 20 of 200 in one case of a thousand.
        assert apart <= 20


def test_six_seeds_tell_whatever_the_number_of_entries(tmp_path):
    run = made(tmp_path)
    for entries in (23, 24, 5000):
        values = np.random.default_rng(0).random((2, 6, entries))
        assert kinds(compare(*(draws(run, one) for one in values))) == {"gap": "within"}
        values[1, :, 3] += 9
        (gap,) = compare(*(draws(run, one) for one in values)).arrays
        assert (gap.kind, gap.entries, gap.apart) == ("apart", entries, 1)


def test_axes_of_seeds_share_the_false_alarms(tmp_path):
    """Two arrays, each along seeds of its own: together they differ as rarely as one."""
    run, rng, many = made(tmp_path), np.random.default_rng(2), 200
    apart = 0
    for _ in range(many):
        sides = []
        for _ in range(2):
            one = draws(run, rng.normal(size=(6, 30)))
            other = draws(run, rng.normal(size=(6, 30)), ("instance", "x"))
            both = one.dataset.assign(probe=other.dataset["gap"])
            sides.append(LoadedRun(run.path, run.config, both, run.summary))
        apart += compare(*sides).differs
    assert apart <= 20


def test_each_entry_is_rounded_by_its_own_digits(tmp_path):
    """A floor far below the largest number is none of its rounding; its last digits are."""
    run, curve = made(tmp_path, precision="float32"), 8e-10 ** np.linspace(0, 1, 20)
    curve = np.tile(curve, (6, 1)) * (1 + np.arange(6)[:, None] / 100)
    found = compare(draws(run, curve), draws(run, np.maximum(curve, 2.2e-4)))
    assert kinds(found) == {"gap": "apart"}
    assert kinds(compare(draws(run, curve), draws(run, curve + 4e-7))) == {"gap": "rounding"}


def test_coordinates_are_the_same_to_their_last_digit_and_instances_are_seeds(tmp_path):
    run, x = made(tmp_path), np.arange(1.0, 4.0)
    values = np.random.default_rng(0).random((2, 12, 3))
    one = draws(run, values[0], ("instance", "x"), x=x)
    assert kinds(compare(one, draws(run, values[0], ("instance", "x"), x=np.nextafter(x, 9)))) == {
        "gap": "equal"
    }
    assert kinds(compare(one, draws(run, values[0], ("instance", "x"), x=x + 1e-6))) == {
        "gap": "shape"
    }
    assert kinds(compare(one, draws(run, values[1, :9], ("instance", "x"), x=x))) == {
        "gap": "within"
    }
    assert kinds(compare(one, draws(run, values[1, :4], ("instance", "x"), x=x))) == {"gap": "few"}


def test_a_seed_that_diverged_is_larger_than_all_others(tmp_path):
    a, b = made(tmp_path / "a"), made(tmp_path / "b")
    b.dataset["gap"][0, 1:] = np.nan
    found = compare(a, b)
    assert kinds(found)["gap"] == "within"
    b.dataset["gap"][:, 1:] = np.nan
    assert kinds(compare(a, b))["gap"] == "apart"
    assert kinds(compare(b, b))["gap"] == "equal"


def test_the_median_of_seeds_of_which_one_diverged_has_no_upper_end(tmp_path):
    a, b = made(tmp_path / "a"), made(tmp_path / "b")
    b.dataset["gap"] *= 10
    assert kinds(compare(a, b))["gap"] == "apart"
    a.dataset["gap"][0] = np.nan
    assert kinds(compare(a, b))["gap"] == "within"


def test_exact_claims_agree_to_rounding_and_no_further(tmp_path):
    a, near, far = (made(tmp_path / name) for name in "abc")
    for run, value in ((a, 0.5), (near, 0.5 * (1 + 1e-9)), (far, 0.5 * (1 + 1e-7))):
        run.summary["claims"][0]["measured"].update(value=value, low=value, high=value)
    assert not compare(a, near).claims[0].apart
    assert compare(a, far).claims[0].apart


def test_other_seeds_are_compared_by_their_medians_and_few_by_nothing(tmp_path):
    a, b = made(tmp_path / "a"), made(tmp_path / "b", 0.5, 0.01, seeds=12)
    b = LoadedRun(b.path, b.config, b.dataset.assign_coords(seed=np.arange(6, 12)), b.summary)
    found = compare(a, b)
    assert kinds(found)["gap"] == "within"
    assert [change.name for change in found.settings] == ["seeds"]
    few = LoadedRun(b.path, b.config, b.dataset.isel(seed=slice(5)), b.summary)
    assert kinds(compare(a, few))["gap"] == "few"
    assert not compare(a, few).differs


def test_claims_meet_on_their_instance_whatever_the_number_of_seeds(tmp_path):
    a, b, c = (made(tmp_path / name) for name in "abc")
    b.summary["claims"][0]["instance"] = "ℓ = 0.3, 12 seeds"
    assert not compare(a, b).differs
    c.summary["claims"][0]["instance"] = "ℓ = 0.5, 6 seeds"
    pairs = [(pair.first is None, pair.second is None) for pair in compare(a, c).claims]
    assert pairs == [(False, True), (True, False)]
    assert compare(a, c).differs


@pytest.mark.parametrize(
    ("change", "apart", "differs"),
    [
        ({"value": 0.52, "low": 0.505, "high": 0.53}, False, False),
        ({"value": 0.52, "low": 0.511, "high": 0.53}, True, True),
        ({"value": 0.52, "low": 0.52, "high": 0.52}, True, True),
        ({"value": 0.3, "low": None, "high": None}, False, False),
        ({"value": 6.0, "low": 5.0, "high": None}, True, True),
        ({"value": None, "low": LARGEST, "high": None}, True, True),  # infinite, and exactly so
        ({"value": 0.3, "low": None, "high": 0.5}, False, False),
        ({"value": None, "low": None, "high": None}, True, True),
    ],
)
def test_claims_differ_when_their_intervals_do_not_meet(tmp_path, change, apart, differs):
    a, b = made(tmp_path / "a"), made(tmp_path / "b")
    b.summary["claims"][0]["measured"].update(change)
    (pair,) = compare(a, b).claims
    assert (pair.apart, pair.differs) == (apart, differs)
    assert compare(b, a).claims[0].apart == apart


def test_claims_of_too_few_seeds_do_not_differ(tmp_path):
    a, b = made(tmp_path / "a"), made(tmp_path / "b", 0.7)
    assert compare(a, b).claims[0].differs
    b.summary["claims"][0].update(confidence=0.5, verdict="inconclusive")
    (pair,) = compare(a, b).claims
    assert (pair.apart, pair.few, pair.differs) == (False, True, False)


def test_a_verdict_that_differs_is_a_difference(tmp_path):
    a, b = made(tmp_path / "a"), made(tmp_path / "b")
    b.summary["claims"][0]["verdict"] = "inconclusive"
    (pair,) = compare(a, b).claims
    assert (pair.apart, pair.differs) == (False, True)


def test_what_they_were_told_and_made_with_is_named(tmp_path):
    a = made(tmp_path / "a", law={"radius": 1.0}, save_every=1.0)
    b = made(tmp_path / "b", law={"radius": 3.0}, save_every=2.0, sources="c")
    b.summary["environment"]["versions"]["jax"] = "0"
    b.summary["environment"]["platform"] = "gpu"
    found = compare(a, b)
    assert [tuple(change) for change in found.settings] == [("law.radius", 1.0, 3.0)]
    assert {change.name for change in found.made_with} == {"jax", "platform", "sources"}
    assert not found.differs


def test_arrays_of_other_shape_and_of_one_run_are_named(tmp_path):
    a, b = made(tmp_path / "a"), made(tmp_path / "b")
    object.__setattr__(b, "dataset", b.dataset.isel(iteration=slice(3)).drop_vars("optimum"))
    assert kinds(compare(a, b)) == {"gap": "shape", "optimum": "first"}
    assert kinds(compare(b, a)) == {"gap": "shape", "optimum": "second"}


def test_runs_of_folders_are_paired_by_what_they_were_told_then_by_name(tmp_path):
    before = [made(tmp_path / "a", seeds=n, sources=s) for s, n in (("o", 6), ("m", 6), ("m", 8))]
    before.append(made(tmp_path / "a", study="pift/beta"))
    after = [made(tmp_path / "b", seeds=n) for n in (8, 6)]
    after.append(made(tmp_path / "b", name="clear"))
    found = partners(before, after)
    assert {(a.path, b.path) for a, b in found.pairs} == {
        (before[1].path, after[1].path),  # the newer of two alike
        (before[2].path, after[0].path),
    }
    assert found.first == [before[3]]
    assert found.second == [after[2]]
    assert found.repeated == [before[0]]


def test_other_configurations_are_partners_where_few_settings_differ(tmp_path):
    laws = [{f"x{n}": 0.0 for n in range(6)} | {f"x{n}": 1.0 for n in range(k)} for k in range(6)]
    before = [made(tmp_path / "a", law=laws[k]) for k in (0, 5)]
    after = [made(tmp_path / "b", law=laws[k]) for k in (3, 1)]
    after.append(made(tmp_path / "b", law=laws[0], sweep={"eta": [1.0]}))
    found = partners(before, after)
    # The nearest is the partner, whichever is newer; four settings, or other axes, are too many.
    assert {(a.path, b.path) for a, b in found.pairs} == {
        (before[0].path, after[1].path),
        (before[1].path, after[0].path),
    }
    assert found.second == [after[2]]
    alone = partners([before[0]], [made(tmp_path / "c", law=laws[4])])
    assert (alone.pairs, len(alone.first), len(alone.second)) == ([], 1, 1)


def test_arrays_of_words_are_equal_or_not(tmp_path):
    words = Array(np.array(["a", "b"]), ("word",), "1", "words")
    one = result()
    one.arrays["words"] = words
    a = load(make_run(tmp_path, made=one))
    b = LoadedRun(a.path, a.config, a.dataset.copy(deep=True), a.summary)
    assert kinds(compare(a, b))["words"] == "equal"
    b.dataset["words"][0] = "c"
    assert kinds(compare(a, b))["words"] == "words"
    assert compare(a, b).differs
