"""A recipe on numbers in closed form: y = c_s a m^p for seed s, swept value a and width m."""

from dataclasses import replace

import numpy as np
import pytest

from fineq.claims import Entry, Measured, Theory, register
from fineq.figures import Panel
from fineq.rates import power_law
from fineq.settings.config import RunConfig
from fineq.studies.common import Names, Study, seed_axis
from fineq.studies.found import Found, Quantity
from fineq.studies.recipe import Draw, Recipe, Row
from fineq.studies.statistics import Exact, Exponent, Got, Last, Median, Share
from fineq.sweep import Axis
from fineq.sweep.stages import Stages
from tests.studies.said import said

SEEDS, WIDTHS, VALUES, POWER = 7, [1, 2, 4, 8], [0.5, 3.0], -0.5
FACTORS = 1.0 + np.arange(SEEDS)
register(Entry("test/recipe", "y falls with m", "fineq", "exponent"))
SLOPE = Exponent("y", "width", 0.05, "larger m")


def bind(config, given, stages):
    axes = [Axis("system.a", VALUES), seed_axis(config)]
    own = (Axis("width", WIDTHS, static=True),)
    return Study(config, given, stages, lambda member: member, axes, own)


def measured(lost=None):
    grid = np.einsum("m,a,s->mas", np.array(WIDTHS, float) ** POWER, VALUES, FACTORS)
    path = grid[..., None] * np.array([1.0, 0.1])
    values = {"y": grid, "path": path, "c": np.broadcast_to(FACTORS, (2, SEEDS))}
    values |= {"trail": np.moveaxis(grid, 0, -1), "grid": grid[..., 0]}
    return lambda study: Found(
        values, study.own, {"time": [1, 2], "m": WIDTHS}, lost, {"note": "said"}
    )


def recipe(measure, *, claims=(), figures=(), bind=bind, rates=lambda view: ()):
    return Recipe(
        bind=bind,
        measure=measure,
        names=Names({"width": "width m"}, {"a": "a", "width": "m"}),
        words=lambda study, piece: piece.label,
        quantities=(
            Quantity("y", "size of y [J]"),
            Quantity("path", "y over time", ("time",)),
            Quantity("c", "factor", own=()),
            Quantity("trail", "y, widths last", ("m",), own=()),
            Quantity("grid", "y of the first seed", seeds=False),
            Quantity("other", "what this problem does not have"),
        ),
        claims=claims,
        figures=figures,
        rates=rates,
    )


def run(*rows, lost=None, figures=(), **more):
    made = recipe(measured(lost), claims=rows, figures=figures, **more)
    return made(RunConfig(seeds=SEEDS), None, Stages())


def test_arrays_have_the_axes_units_and_words_of_the_table():
    found = run()
    y, path, c = (found.arrays[name] for name in ("y", "path", "c"))
    assert (y.dims, y.units, y.long_name) == (("width", "a", "seed"), "J", "size of y")
    assert path.dims == ("width", "a", "seed", "time")
    assert c.dims == ("a", "seed")
    assert found.arrays["trail"].dims == ("a", "seed", "m")
    assert found.arrays["grid"].dims == ("width", "a")
    assert "other" not in found.arrays
    assert found.coords["width"].long_name == "width m"
    np.testing.assert_array_equal(found.coords["time"].values, [1, 2])
    assert (found.status, found.notes) == ("complete", {"note": "said"})


def test_a_row_gives_one_claim_for_every_combination_and_value_of_an_own_axis():
    row = Row("test/recipe", "y at m = {width}", Median("y"), each=("width",), where="tried")
    found = run(row).claims
    assert len(found) == len(VALUES) * len(WIDTHS)
    middle = np.median(FACTORS)
    want = [a * m**POWER * middle for a in VALUES for m in WIDTHS]
    np.testing.assert_allclose([claim.measured.value for claim in found], want, rtol=1e-14)
    assert found[0].instance == "a = 0.5, tried, 7 seeds"
    assert "y at m = 1" in found[0].statement


def test_an_exponent_is_fitted_once_for_claims_rates_and_figures():
    row = Row("test/recipe", "exponent", SLOPE, Theory(POWER, "~", "m^-½", margin=0.01))
    draw = Draw("y", lambda view: [Panel("powerlaw", "width", (view.line("y", fit=SLOPE),))])
    found = run(row, figures=(draw,))
    assert [claim.verdict for claim in found.claims] == ["holds", "holds"]
    assert len(found.rates) == len(VALUES)
    (figure,) = found.figures
    fits = [panel.lines[0].fit for panel in figure.panels]
    np.testing.assert_allclose([fit.exponent for fit in fits if fit], [POWER] * 2, rtol=1e-12)
    assert [panel.lines[0].at for panel in figure.panels] == [{"a": a} for a in VALUES]


@pytest.mark.parametrize(("name", "over"), [("trail", "m"), ("grid", "width")])
def test_an_exponent_is_fitted_along_any_dimension(name, over):
    found = run(Row("test/recipe", "exponent", Exponent(name, over, 0.05, "larger m"))).claims
    np.testing.assert_allclose([claim.measured.value for claim in found], POWER, rtol=1e-12)


@pytest.mark.parametrize("alike", [False, True])
def test_a_fit_to_a_problem_that_is_given_has_no_interval(alike):
    """y = 1/m + 1/m²: one exponent misses it, which is scatter only where seeds are drawn."""
    m = np.array(WIDTHS, float)
    y = np.broadcast_to((1 / m + 1 / m**2)[:, None, None], (len(WIDTHS), len(VALUES), 1))

    def one(config, given, stages):
        study = bind(config, given, stages)
        return study._replace(axes=[study.axes[0], Axis("seed", [0])], alike=alike)

    draw = Draw("y", lambda view: [Panel("powerlaw", "width", (view.line("y", fit=SLOPE),))])
    made = recipe(
        lambda study: Found({"y": y}, study.own),
        claims=(Row("test/recipe", "exponent", SLOPE),),
        figures=(draw,),
    )
    found = replace(made, bind=one)(RunConfig(seeds=1), None, Stages())
    assert all((c.measured.low == c.measured.high) is alike for c in found.claims)
    fits = [panel.lines[0].fit for panel in found.figures[0].panels]
    assert all((fit.low is None) is alike for fit in fits if fit)


def test_the_last_iteration_counts_what_diverged_and_says_so():
    errors = np.broadcast_to([1.0, 0.5, 0.25], (len(VALUES), SEEDS, 3)).copy()
    errors[0, :2, 2] = np.inf
    rows = [Row("test/recipe", "last", Last("path", longer=more)) for more in ("", "more steps")]
    rows = [replace(row, theory=Theory(0.1, "<=", "a tenth")) for row in rows]
    made = recipe(lambda study: Found({"path": errors}, (), {"time": [0, 1, 2]}), claims=rows)
    made = replace(made, quantities=(Quantity("path", "error", ("time",)),))
    found = made(RunConfig(seeds=SEEDS), None, Stages()).claims
    assert [claim.measured.value for claim in found] == [0.25] * 4
    assert found[0].instance == "a = 0.5, 7 seeds, 2 diverged"
    assert [claim.verdict for claim in found[2:]] == ["fails", "inconclusive"]


def test_words_may_take_the_place_of_how_many_seeds():
    found = run(Row("test/recipe", "n", Exact(lambda view: 1.0, "of no seed"))).claims
    assert [claim.instance for claim in found] == [f"a = {a:g}, of no seed" for a in VALUES]


def test_a_share_of_all_that_was_tried_counts_seeds_once():
    tried = Share(lambda view: view("y") > 0, tried=True)
    found = {
        (c.measured.value, c.instance) for c in run(Row("test/recipe", "positive", tried)).claims
    }
    assert found == {(1.0, f"a = {a:g}, 7 seeds") for a in VALUES}


def test_seeds_that_diverged_are_left_out_and_said_so():
    lost = np.zeros((len(WIDTHS), len(VALUES), SEEDS), bool)
    lost[2, 1, 0] = True
    row = Row("test/recipe", "c", Median("c"), who="that did not diverge")
    found = run(row, lost=lost)
    assert found.status == "partly_diverged"
    assert [claim.instance for claim in found.claims] == [
        "a = 0.5, 7 seeds",
        "a = 3, 6 of 7 seeds, those that did not diverge",
    ]
    assert said(found.claims, "a = 3").measured.value == np.median(FACTORS[1:])


def test_rows_may_be_silent_exact_sampled_and_of_their_own_theory():
    one = Theory(1.0, ">=", "all")
    found = run(
        Row("test/recipe", "never", Median("c"), when=lambda view: False),
        Row("test/recipe", "exact", Exact(lambda view: view("c").max())),
        Row(
            *("test/recipe", "share", Share(lambda view: view("c") < SEEDS, tried=True)),
            theory=lambda view: one if view.piece.at["a"] == VALUES[0] else None,
            sampled=True,
        ),
    ).claims
    assert [claim.verdict for claim in found] == [None, "fails", None, None]
    share = said(found, "share", "a = 0.5").measured
    exact = said(found, "exact", "a = 0.5").measured
    assert exact.low == exact.high == SEEDS
    assert share.value == pytest.approx((SEEDS - 1) / SEEDS)


def test_what_decides_is_asked_only_where_the_number_does_not_hold():
    def why(view, got):
        return "too short"

    rows = [
        Row("test/recipe", "c", Median("c"), Theory(bound, "<=", "b"), undecided=why)
        for bound in (100.0, 0.0)
    ]
    verdicts = [claim.verdict for claim in run(*rows).claims]
    assert verdicts == ["holds", "inconclusive"] * len(VALUES)


def test_what_is_premature_says_nothing_even_where_it_holds():
    row = Row(
        "test/recipe", "c", Median("c"), Theory(100.0, "<=", "b"), premature=lambda view: "early"
    )
    assert {(claim.verdict, claim.reason) for claim in run(row).claims} == {
        ("inconclusive", "early")
    }


def test_seeds_that_are_alike_have_no_interval_unless_there_is_chance_in_the_number():
    rows = [Row("test/recipe", f"{x}", Median("c"), chance=x) for x in (False, True)]
    found = run(*rows, bind=lambda *given: bind(*given)._replace(alike=True)).claims
    exact, drawn = (said(found, f"{x}", "a = 0.5") for x in (False, True))
    assert exact.instance == "a = 0.5, one instance, nothing random"
    assert exact.measured.low == exact.measured.high
    assert drawn.instance == "a = 0.5, 7 seeds"
    assert drawn.measured.low < drawn.measured.high


def test_a_share_may_be_among_some_seeds():
    few = Share(lambda view: view("c") > 2, among=lambda view: view("c") < 4)
    claim = said(run(Row("test/recipe", "c", few, who="below 4")).claims, "a = 0.5")
    assert claim.measured.value == pytest.approx(1 / 3)
    assert claim.instance == "a = 0.5, 3 of 7 seeds, those below 4"


def test_rates_that_no_claim_needs_are_told():
    found = run(rates=lambda view: [power_law(np.array(WIDTHS, float), view("y").T)])
    assert [rate.slope for rate in found.rates] == pytest.approx([POWER] * 2)


def test_a_figure_of_what_is_no_array_is_refused():
    draw = Draw("y", lambda view: [Panel("powerlaw", "width", (view.line("z"),))])
    with pytest.raises(ValueError, match=r"figure y draws \['z'\], which is no array"):
        run(figures=(draw,))
    shown = Draw("y", lambda view: [Panel("powerlaw", "width", ())], claims=("test/nothing",))
    with pytest.raises(ValueError, match=r"figure y shows \['test/nothing'\], which are no claims"):
        run(figures=(shown,))
    with pytest.raises(KeyError, match="z"):
        run(Row("test/recipe", "z", Median("z")))


def test_seeds_that_are_left_out_are_told_where_the_number_is_of_all_others():
    lost = np.zeros((len(WIDTHS), len(VALUES), SEEDS), bool)
    lost[:, :, 0] = True

    def some(view):
        return np.where(np.arange(SEEDS - 1) > 0, view("c", lost=False), np.nan)

    made = recipe(
        measured(lost),
        claims=(
            Row("test/recipe", "c", Median("c")),
            Row("test/recipe", "some", Median(some)),
            Row("test/recipe", "none", lambda view: Got(Measured.exact(1.0), said="")),
        ),
    )
    found = replace(made, when=lambda view: view.piece.at["a"] == VALUES[1])(
        RunConfig(seeds=SEEDS), None, Stages()
    )
    assert [claim.instance for claim in found.claims] == [
        "a = 3, 6 of 7 seeds, those that did not diverge",
        "a = 3, 5 of 7 seeds",
        "a = 3",
    ]
