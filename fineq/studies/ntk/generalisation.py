"""Error at the stopping time against the number of data (`ntk/generalisation`)."""

from dataclasses import replace

import numpy as np

from fineq import figures
from fineq.claims import Theory
from fineq.ntk.rules import RULES
from fineq.studies import statistics
from fineq.studies.ntk import common, early_stopping
from fineq.studies.recipe import Draw, Found, Recipe, Row, View

DRAWN = ("oracle", "gcv", "unit")  # lines of four rules with slopes would hide each other
SLOPE = statistics.Exponent("stopped", "num", lost=False, words="risk")
PREDICTED = "exponent in N that the eigenvalues' decay predicts, -b/(b + 1)"


def measure(study: common.Study) -> Found:
    """Stop by every rule at every N; a member that diverged at any N has no risk at all."""
    found = early_stopping.measure(study)
    lost = np.any(found.lost, axis=0)
    stopped = np.where(lost[None, ..., None], np.nan, found.values["stopped"])
    return replace(found, values={**found.values, "stopped": stopped})


def predicted(view: View) -> np.ndarray:
    """The exponent in N that the decay at the largest N predicts, `[seed]`."""
    decay = view("decay", lost=False)[-1]
    return -decay / (decay + 1)


def _at_an_end(view: View) -> bool:
    sizes = view.values_of("num")
    return early_stopping.of_data(view) and view.at["num"] in (sizes[0], sizes[-1])


def _panels(view: View) -> list[figures.Panel]:
    slope = float(np.median(predicted(view))) if common.any_kept(view) else np.nan
    risk = view.panel(
        "powerlaw",
        "num",
        [view.line("stopped", RULES[rule], fit=SLOPE, rule=rule) for rule in DRAWN],
        figures.Theory(r"$\propto N^{-b/(b+1)}$, slope only", exponent=slope, line=0),
        title="Risk at the stopping time",
        ylabel=r"$\mathrm{E}\,w\,|f - f^*|^2$",
    )
    times = view.panel(
        "curves",
        "num",
        [view.line("stopping_time", RULES[rule], rule=rule) for rule in DRAWN],
        title="Stopping time",
        log="xy",
        ylabel="steps τ",
    )
    return [risk, times]


run = Recipe(
    bind=common.bind_sizes,
    measure=measure,
    names=common.NAMES,
    words=common.unsized_instance,
    quantities=(early_stopping.RISK, *early_stopping.STOPPED),
    claims=(
        Row(
            "ntk/generalisation",
            "exponent in N of the risk E w|f - f*|², {rule}",
            SLOPE,
            Theory(0.0, "<=", "the risk falls with N"),
            each=("rule",),
            where=common.sizes_in_words,
            # The score's own oracle stops for another loss.
            when=lambda view: view.at["rule"] != "score",
        ),
        Row(
            *("ntk/generalisation", PREDICTED, statistics.Median(predicted)),
            where=lambda view: (
                f"{common.sizes_in_words(view)}; b at {common.largest_in_words(view)}"
            ),
        ),
        Row(
            *("ntk/early-stopping", "{rule}: risk over the oracle's"),
            statistics.Median(early_stopping.OVER_ORACLE),
            each=("rule", "num"),
            where=lambda view: f"N = {view.at['num']:g}",
            when=_at_an_end,
        ),
    ),
    figures=(Draw("generalisation", _panels, "Kernel descent on noisy labels, stopped."),),
    when=common.any_kept,
)
