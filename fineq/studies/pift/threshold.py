"""Which β is large enough: for the paper's step, for damped and Newton steps, for an optimum.

For concave rewards the plain step's threshold binds and that of well-posedness never does; for
convex rewards they coincide. On linear-quadratic instances both are exact (`pift/threshold`), and
beside them PI-FT is run at multiples of the plain one (`pift/damping`).
"""

from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq import figures
from fineq.claims import Theory
from fineq.fast.lapack import after
from fineq.pift import lq
from fineq.pift.problem import with_beta
from fineq.pift.rule import Rule
from fineq.pift.thresholds import thresholds
from fineq.settings.fields import replace_at
from fineq.studies import statistics
from fineq.studies.common import listed
from fineq.studies.pift import common
from fineq.studies.pift.config import PiftConfig
from fineq.studies.recipe import Draw, Found, Quantity, Recipe, Row, View
from fineq.sweep import Axis, Table
from fineq.sweep.stages import Member, Stages

RULES: tuple[Rule, ...] = get_args(Rule)
SIDES = {"concave": -1.0, "convex": 1.0}  # factors of a convex reward
CLOSE = 1e-6  # error after the inner iterations, over the first, that counts as converged
EQUAL = 1e-9  # on a threshold over its formula
QUANTITIES = (
    Quantity("plain", "smallest contracting β", own=("side",)),
    Quantity("posed", "smallest well-posed β", own=("side",)),
    Quantity("step", "step that binds, over T - 1", own=("side",)),
    Quantity("conditional", "largest eigenvalue of Cov(Y_T | Y_0) P", own=("side",)),
    Quantity("error", "final over first error"),
    Quantity("converged", "share of instances that converge"),
)


def bind(config: PiftConfig, given: Any, stages: Stages) -> common.Study:
    """Rewards are drawn convex, and turned around for the concave side."""
    study = common.make_study(replace_at(config, {"reward.curvature": "convex"}), given, stages)
    rules, sides = Axis("rule", RULES, static=True), Axis("side", list(SIDES), static=True)
    return study._replace(own=(rules, sides, Axis("times", config.threshold.multiples)))


def measure(study: common.Study) -> Found:
    """Find the thresholds, then run every rule at multiples of the plain one."""
    sides, times = Axis("side", list(SIDES.values())), study.own[-1]
    edges = study.stages.measure(
        "edges", lambda member: thresholds(_quadratic(study, member)), [sides, *study.axes]
    )
    axes = [sides, times, *study.axes]
    inputs = {"edge": Table([sides, *study.axes], edges.plain)}
    found = study.stages.measure("rules", lambda member: _errors(study, member), axes, inputs)
    errors = np.moveaxis(np.where(np.isfinite(found), found, np.inf), -1, 0)
    said = (
        f"error after {study.config.inner.num_inner} inner iterations below {CLOSE:g} of the "
        "first, at every step of the chain"
    )
    values = {**edges._asdict(), "error": errors, "converged": errors < CLOSE}
    return Found(values, study.own, notes={"converged": said}, status="complete")


def _quadratic(study: common.Study, member: Member) -> lq.LinearQuadratic:
    """The member's problem, its convex reward times the factor of its side."""
    arrays = lq.linear_quadratic(study.instance(member).problem)
    return arrays._replace(terminal=jax.tree.map(lambda x: member["side"] * x, arrays.terminal))


def _errors(study: common.Study, member: Member) -> Array:
    """Largest final over first error of nested PI-FT, `[rule]`."""
    arrays = with_beta(_quadratic(study, member), member["edge"] * member["times"])
    star = lq.optimum(arrays).policy
    arrays = after(star, arrays)
    one = jnp.ones((), arrays.betas.dtype)
    first = lq.distance(lq.pretrained(arrays), star, one)
    errors = []
    for rule in RULES:
        found = lq.nested(arrays, study.config.inner.num_inner, rule)
        errors.append(lq.distance(found.policy, star, one) / first)
        arrays = after(errors, arrays)
    return jnp.stack(errors)


def too_few(config: PiftConfig) -> str:
    """Why iterations just above the threshold cannot have converged; empty where they can.

    There the step that binds contracts at the inverse of β over the threshold.
    """
    least = min((x for x in config.threshold.multiples if x > 1), default=np.inf)
    needed = float(np.log(1 / CLOSE) / np.log(least))
    if config.inner.num_inner >= needed:
        return ""
    return (
        f"at {least:g} times the threshold {needed:.0f} inner iterations are needed and "
        f"{config.inner.num_inner} were made: inner.num_inner={2 * needed:.0f} decides"
    )


def _words(study: common.Study, piece: Any) -> str:
    return listed(piece.label, study.config.schedule.name, study.config.schedule.variance)


def _rescued(side: str, rule: str) -> bool:
    return side == "concave" and rule != "plain"


def _share(side: str, rule: str, place: str, theory: Theory) -> Row:
    """The share of runs above or below the plain threshold that converge."""

    def chosen(view: View) -> np.ndarray:
        times = view.values_of("times")
        return times > 1 if place == "above" else times < 1

    def undecided(view: View, got: statistics.Got) -> str:
        decided = rule != "plain" or place == "below" or got.measured.value == 1
        return "" if decided else too_few(view.study.config)

    return Row(
        "pift/damping" if _rescued(side, rule) else "pift/threshold",
        f"{side} rewards, {rule} steps: share that converges {place} the plain threshold",
        statistics.Share(
            lambda view: view.chosen(side=side, rule=rule)("converged")[chosen(view)], True
        ),
        theory,
        sampled=True,
        when=lambda view: bool(chosen(view).any()),
        undecided=undecided,
    )


def _below(rule: str) -> Theory:
    if _rescued("concave", rule):
        return Theory(1.0, ">=", "well posed")
    return Theory(0.0, "<=", "no contraction")


def _over_formula(view: View) -> np.ndarray:
    convex = view.chosen(side="convex")
    return convex("posed") / convex("conditional")


def _panel(view: View) -> figures.Panel:
    """Rules that converge on the same instances share a line."""
    groups: dict[bytes, list[str]] = {}
    for rule, shares in zip(RULES, view("converged"), strict=True):
        groups.setdefault(shares.tobytes(), []).append(rule)
    return view.panel(
        "fractions",
        "times",
        [view.line("converged", ", ".join(alike), rule=alike[0]) for alike in groups.values()],
        figures.Theory("predicted", threshold=1.0),
        title=f"{view.at['side'].capitalize()} rewards",
        ylabel="share that converges",
        xscale="linear",
    )


run = Recipe(
    bind=bind,
    measure=measure,
    names=common.NAMES,
    words=_words,
    quantities=QUANTITIES,
    claims=(
        Row(
            "pift/threshold",
            "convex rewards: smallest well-posed β over its formula",
            statistics.Median(_over_formula),
            Theory(1.0, "~", "λ_max(Cov(Y_T | Y_0) P)", margin=EQUAL),
        ),
        Row(
            "pift/threshold",
            "concave rewards: step that binds, over T - 1 (1: the last)",
            statistics.Median(lambda view: view.chosen(side="concave")("step")),
        ),
        *(
            _share(side, rule, "above", Theory(1.0, ">=", "contraction"))
            for side in SIDES
            for rule in RULES
        ),
        # Below the convex threshold there is no optimum to converge to, and nothing to judge.
        *(_share("concave", rule, "below", _below(rule)) for rule in RULES),
    ),
    figures=(
        Draw(
            "threshold",
            lambda view: [_panel(view.chosen(side=side)) for side in SIDES],
            "Share of instances on which PI-FT converges, against β over the smallest β for which "
            "the paper's step contracts.",
        ),
    ),
)
