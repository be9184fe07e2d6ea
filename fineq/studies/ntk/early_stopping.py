"""Overfitting to noisy labels, and what each stopping rule costs (`ntk/early-stopping`)."""

from itertools import groupby
from typing import Any

import jax.numpy as jnp
import numpy as np

from fineq import figures
from fineq.claims import Theory
from fineq.ntk.rules import RULES, Rules
from fineq.studies import numbers
from fineq.studies.ntk import common
from fineq.studies.ntk.paths import stop_by_rules
from fineq.studies.recipe import Draw, Found, Quantity, Recipe, Row, View
from fineq.studies.statistics import Median
from fineq.sweep.stages import Member

ID = "ntk/early-stopping"
AVOIDS = Theory(1.0, "<=", "stopping avoids overfitting")
DRAWN = ("oracle", "gcv", "holdout", "unit", "measured")
ORACLES = ("oracle", "score")
RISK = Quantity("risk", "E w|f - f*|²", ("time",))
STOPPED = (
    Quantity("noise", "label noise per output, root mean square over t"),
    Quantity("estimate", "label noise estimated from residuals"),
    Quantity("radius", "RKHS norm per output of clean labels"),
    Quantity("decay", "exponent b of λ_i ∝ i^-b"),
    Quantity("floor", "risk of the interpolant of clean labels"),
    Quantity("stopping_time", "stopping time τ", ("rule",)),
    Quantity("stopped", "risk at the stopping time", ("rule",)),
)
OVERFITTED = numbers.ratio(numbers.last("risk"), numbers.least("risk"))
LATE = numbers.ratio("stopped", numbers.last("risk"))
OVER_ORACLE = numbers.ratio("stopped", numbers.at("stopped", rule="oracle"))


def measure(study: common.Study) -> Found:
    """Descend on noisy labels, stop by every rule: at every value of the study's own axes."""
    times = common.times_of(study.config)

    def look(member: Member) -> Rules:
        config = study.config_at(member)
        times_then = jnp.asarray(times, config.precision)
        return stop_by_rules(config, study.instance(member), times_then)

    found: Rules = study.stages.measure("rules", look, [*study.own, *study.axes])
    values = {name: np.asarray(x) for name, x in found._asdict().items()}
    lost = common.all_lost(values["diverged"], values["risk"])
    notes = (
        common.target_notes(study.given),
        common.divergence_note(lost),
        _clipped_note(values["inside"][~lost]),
        _ending_note(times, values["risk"][~lost]),
    )
    return Found(
        {**values, "stopping_time": values["time"]},
        study.own,
        {"time": times, "rule": list(RULES)},
        lost,
        {word: text for note in notes for word, text in note.items()},
    )


def _ending_note(times: np.ndarray, risk: np.ndarray) -> dict[str, str]:
    """Where paths in a Krylov space end: risks `[..., S]` are NaN from there on."""
    known = np.isfinite(risk)
    if known.all():
        return {}
    ends = times[known.sum(axis=-1) - 1]
    return {
        "Krylov": f"paths are known to 1e-6 until τ = {ends.min():g} to {ends.max():g}: raise "
        "descent.num_products, or take descent.method=spectral"
    }


def _clipped_note(inside: np.ndarray) -> dict[str, str]:
    """Rules that stop at an end of the times, and may want to stop beyond."""
    if inside.all():
        return {}
    counts = zip(RULES.values(), (~inside).sum(axis=0), strict=True)
    listed = "; ".join(f"{text}: {count}" for text, count in counts if count)
    return {"ends": f"stops at the first or last training time, of {len(inside)}: {listed}"}


def not_overfitted(view: View, got: Any = None) -> str:
    """Why stopping has nothing to avoid, where risks are least at their last time."""
    if np.median(OVERFITTED(view)) > 1:
        return ""
    return (
        f"the risk is least at the last time, {common.horizon_in_words(view)}: nothing is "
        "overfitted yet, and a larger descent.last decides"
    )


def of_data(view: View) -> bool:
    """Whether the chosen rule is one that data decide."""
    return view.at["rule"] not in ORACLES


def _known(name: str) -> Any:
    return lambda view: bool(np.isfinite(view(name, lost=False)).any())


def _panels(view: View) -> list[figures.Panel]:
    """Where rules stop, medians over seeds; those that stop together share a mark."""
    stops = {rule: float(np.median(view.chosen(rule=rule)("stopping_time"))) for rule in RULES}
    together = groupby(sorted(DRAWN, key=stops.__getitem__), key=stops.__getitem__)
    marks = [
        figures.Theory("\n".join(RULES[rule] for rule in rules), threshold=time, line=0)
        for time, rules in together
    ]
    return [
        view.panel(
            "curves",
            "time",
            {"risk": "regression", "score": "score"},
            *marks,
            figures.Theory("oracle", threshold=stops["score"], line=1),
            title="Risk, and where rules stop",
            log="xy",
            ylabel="mean square error",
        )
    ]


run = Recipe(
    bind=common.make_study,
    measure=measure,
    names=common.NAMES,
    words=common.named_instance,
    quantities=(RISK, Quantity("score", "E (a/h)²|f - f*|²", ("time",)), *STOPPED),
    claims=(
        Row(
            *(ID, "risk at the last time over the least risk", Median(OVERFITTED)),
            where=common.horizon_in_words,
        ),
        Row(
            *(ID, "{rule}: risk over that at the last time", Median(LATE), AVOIDS, ("rule",)),
            where=common.horizon_in_words,
            when=lambda view: of_data(view) and bool(np.isfinite(LATE(view)).any()),
            undecided=not_overfitted,
        ),
        Row(
            ID,
            "{rule}: stopping time over the oracle's",
            Median(
                numbers.ratio("stopping_time", numbers.at("stopping_time", rule="oracle")), log=True
            ),
            each=("rule",),
            when=lambda view: view.at["rule"] != "oracle",
        ),
        Row(
            *(ID, "{rule}: risk over the oracle's", Median(OVER_ORACLE), None, ("rule",)),
            when=lambda view: view.at["rule"] != "oracle",
        ),
        Row(
            "ntk/error-decomposition",
            "risk of the interpolant of clean labels",
            Median("floor"),
            when=_known("floor"),
        ),
        Row(
            ID,
            "RKHS norm per output of descent on clean labels at the last time",
            Median("radius"),
        ),
        Row(
            ID,
            "label noise estimated from residuals over the true one",
            Median(numbers.ratio("estimate", "noise")),
        ),
    ),
    figures=(
        Draw(
            "early_stopping",
            _panels,
            "Risk of kernel descent on noisy labels against training time; marks: where rules "
            "stop, median over seeds; B: radius of the Rademacher rule.",
        ),
    ),
    when=common.any_kept,
)
