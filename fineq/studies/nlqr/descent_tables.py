"""How descents are counted, named and drawn: entries of the tables of their studies."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fineq.claims import Claim, counting
from fineq.figures import Line, Panel
from fineq.rates import Rate, linear_rate
from fineq.settings.fields import flatten
from fineq.studies.common import Slice, listed
from fineq.studies.nlqr import common
from fineq.studies.nlqr.claims import claim
from fineq.studies.nlqr.suboptimality import rounding
from fineq.studies.recipe import Quantity, Row, View
from fineq.studies.statistics import Share

PUBLISHED_STEPS = 200  # iterations of Fig. 1 and 2
ABOVE = "that start above the optimum"
ERRORS = {"gap": "suboptimality", "left": "gap left"}  # the titles of their panels
QUANTITIES = (
    Quantity("cost", "T-step cost", ("iteration",)),
    Quantity("gap", "relative suboptimality $(C - C^*)/C^*$", ("iteration",)),
    Quantity("left", "gap left $(C - C^*)/(C_0 - C^*)$", ("iteration",)),
    Quantity("unstable", "loop not stable, or diverged", ("moment",)),
    Quantity("infinite_cost", "infinite-horizon cost", ("moment",)),
    Quantity("diverged", "descent diverged"),
    Quantity("diverged_at", "iteration at which the descent diverged; 0: never"),
    Quantity("unstable_start", "loop not stable at the start"),
    Quantity("unstable_end", "loop not stable at the end, or diverged"),
    Quantity("policy", "policy $K$ after the last iteration", common.GAINS),
)


def named(study: common.Study, piece: Slice) -> str:
    """The setting and the values of one combination, in words."""
    config = study.config
    told = "ℓ" in piece.label or "system.lipschitz" in flatten(config.sweep)
    fixed = "" if told else f"ℓ = {config.system.lipschitz:g}"
    return listed(config.setting, fixed, piece.label)


def last_iteration(view: View) -> int:
    """The last recorded iteration."""
    return int(view.values_of("iteration")[-1])


def at_iteration(view: View, name: str, iteration: int) -> np.ndarray:
    """The last record `[...]` of `[..., iteration]` at or before an iteration.

    Infinite where the descent has diverged by then; NaN where there is no such value.
    """
    index = int(np.searchsorted(view.values_of("iteration"), iteration, side="right")) - 1
    return np.where(np.isnan(view("gap")[..., index]), np.inf, view(name)[..., index])


def lowered(view: View) -> np.ndarray:
    """Whether the T-step cost ends below that of the start; not where the descent diverged."""
    return at_iteration(view, "left", last_iteration(view)) < 1


def above_optimum(view: View) -> np.ndarray:
    """Whether the cost of the start can be lowered: it is not the optimal one to rounding."""
    return view("gap")[..., 0] > rounding(view.study.config)


def unfinished(view: View) -> str:
    """Why descents shorter than those of the paper's figures decide nothing; empty for others."""
    steps = view.study.config.descent.num_steps
    if steps >= PUBLISHED_STEPS:
        return ""
    return (
        f"{steps} iterations were made and the paper's figures show {PUBLISHED_STEPS}: "
        f"descent.num_steps={PUBLISHED_STEPS} decides"
    )


def nothing_to_lower(view: View) -> str:
    """Why no start shows a descent, where none lies above the optimum, or all are too short."""
    if np.any(above_optimum(view)):
        return unfinished(view)
    return (
        "the start is the optimum to rounding on every system, and nothing can be lowered: another "
        "kernel or start decides"
    )


def rates(view: View, words: str = "") -> Iterable[Rate]:
    """The linear rate of the relative suboptimality."""
    gap = view("gap")
    where = listed(words, view.piece.label)
    yield linear_rate(
        view.values_of("iteration"),
        gap,
        valid=np.isfinite(gap),
        diverged=view("diverged"),
        quantity=f"relative suboptimality (C − C*)/C* ({where})",
    )


def hidden(when: str, unstable: Any) -> Row:
    """The share of loops that are not stable while their T-step cost is finite."""
    return Row("nlqr/truncation", _HIDDEN.format(when), Share(unstable))


_HIDDEN = "Loops not stable though their T-step cost is finite: {} (share)"


def hidden_at_star(views: Sequence[View]) -> Iterable[Claim]:
    """The share of instances whose K* is not stable."""
    study, found = views[0].study, views[0].found
    for piece in common.slices(found.more.instances.axes):
        mask = found.arrays["star_unstable"].values[piece.index]
        yield _of_instances(study, piece, "K*", mask)


def hidden_at_start(views: Sequence[View]) -> Iterable[Claim]:
    """The share of all seeds, those left out included, whose K_lin is not stable.

    Loops too slow to be judged are not counted: their cost is finite as far as it is known.
    """
    study, found = views[0].study, views[0].found
    for piece in common.slices(found.more.instances.axes):
        mask = ~np.isfinite(study.screen.cost[piece.index])
        yield _of_instances(study, piece, "K_lin", mask)


def _of_instances(study: common.Study, piece: Slice, when: str, mask: np.ndarray) -> Claim:
    alike = study.screen.alike
    said = counting.seeds_words(mask.size, mask.size, alike=alike)
    instance = f"{named(study, piece)}, {said}"
    return claim(
        "nlqr/truncation", counting.share(mask, alike), instance=instance, what=_HIDDEN.format(when)
    )


def error_panel(
    view: View, name: str, lines: Mapping[str, Mapping[str, Any]], **more: Any
) -> Panel:
    """An error against iteration; each line is a label and the own axes' values it is at."""
    drawn = tuple(
        replace(view.line(name, label, **at), diverged_at="diverged_at")
        for label, at in lines.items()
    )
    title = f"{named(view.study, view.piece)}: {ERRORS[name]}"
    return Panel("convergence", "iteration", drawn, title=title, **more)


def loops_panel(view: View, x: str, lines: Sequence[Line]) -> Panel:
    """The share of loops that are not stable."""
    title = f"{named(view.study, view.piece)}: loops not stable"
    return Panel("fractions", x, tuple(lines), title=title, ylabel="share of loops")
