"""How the descents of the paper's figures are counted, named and drawn."""

from collections.abc import Mapping, Sequence

import numpy as np

from fineq.claims import Claim
from fineq.claims.counting import seeds_words, share
from fineq.figures import Line, Panel
from fineq.rates import Rate, linear_rate
from fineq.results import Arrays
from fineq.settings.fields import flatten
from fineq.studies.nlqr.arrays import Slice, coords_of, dims_of, named_arrays, slices
from fineq.studies.nlqr.claims import claim
from fineq.studies.nlqr.common import Study, independent
from fineq.studies.nlqr.config import NlqrConfig
from fineq.studies.nlqr.paper import Descents, rounding

PUBLISHED_STEPS = 200  # iterations of Fig. 1 and 2
START_LABELS = {"linear": "$K_{lin}$", "random": "random $K$", "zero": "$K = 0$"}
OVER_TIME = {
    "cost": "T-step cost",
    "gap": "relative suboptimality (C − C*)/C*",
    "left": "gap left (C − C*)/(C₀ − C*)",
}
AT_MOMENTS = {
    "unstable": "loop not stable, or diverged",
    "infinite_cost": "infinite-horizon cost",
}
AT_ENDS = {
    "diverged": "descent diverged",
    "diverged_at": "iteration at which the descent diverged; 0: never",
    "unstable_start": "loop not stable at the start",
    "unstable_end": "loop not stable at the end, or diverged",
}
OF_STAR = {
    "optimum": "lowest T-step cost C* found",
    "mu": "smallest Hessian eigenvalue μ at K*",
    "h": "largest Hessian eigenvalue h at K*",
    "converged": "Newton's method converged to K*",
    "star_unstable": "K* of the T-step cost is not stable",
}


def pieces_of(descents: Descents, *without: str) -> list[Slice]:
    """Every combination of swept values, leaving out `start` and the axes named."""
    left_out = ("start", *without)
    return slices([axis for axis in descents.axes if axis.name not in left_out])


def at_iteration(descents: Descents, values: np.ndarray, iteration: int) -> np.ndarray:
    """The last record `[...]` of `values [..., iteration]` at or before an iteration.

    Infinite where the descent has diverged by then; NaN where there is no such value.
    """
    index = int(np.searchsorted(descents.result.iterations, iteration, side="right")) - 1
    return np.where(np.isnan(descents.gap[..., index]), np.inf, values[..., index])


def named(config: NlqrConfig, label: str) -> str:
    """The setting and the values of one combination, in words."""
    swept = flatten(config.sweep)
    fixed = (
        "" if "ℓ" in label or "system.lipschitz" in swept else f"ℓ = {config.system.lipschitz:g}"
    )
    return ", ".join(part for part in (config.setting, fixed, label) if part)


def where(config: NlqrConfig, label: str, used: int, seeds: int | None = None) -> str:
    """The instances of a claim in words: setting, values, seeds used of those there are."""
    words = seeds_words(used, used if seeds is None else seeds, "that start above the optimum")
    return f"{named(config, label)}, {words}"


def unfinished(config: NlqrConfig) -> str:
    """Why descents shorter than those of the paper's figures decide nothing; empty for others."""
    steps = config.descent.num_steps
    if steps >= PUBLISHED_STEPS:
        return ""
    return (
        f"{steps} iterations were made and the paper's figures show {PUBLISHED_STEPS}: "
        f"descent.num_steps={PUBLISHED_STEPS} decides"
    )


def lowered(descents: Descents) -> np.ndarray:
    """Whether the T-step cost ends below that of the start; not where the descent diverged."""
    return at_iteration(descents, descents.left, descents.result.iterations[-1]) < 1


def above_optimum(descents: Descents) -> np.ndarray:
    """Whether the cost of the start can be lowered: it is not the optimal one to rounding."""
    return descents.gap[..., 0] > rounding(descents.study.config)


def nothing_to_lower(above: np.ndarray) -> str:
    """Why starts show no descent, where none of them lies above the optimum; else empty."""
    if np.any(above):
        return ""
    return (
        "the start is the optimum to rounding on every system, and nothing can be lowered: another "
        "kernel or start decides"
    )


def rates_of(descents: Descents, name: str, pieces: Sequence[Slice]) -> tuple[Rate, ...]:
    """The linear rate of the relative suboptimality, one per combination."""
    result = descents.result
    return tuple(
        linear_rate(
            result.iterations,
            descents.gap[piece.index],
            valid=result.valid[piece.index],
            diverged=result.diverged[piece.index],
            quantity=f"{OVER_TIME['gap']} ({name}{piece.label})",
        )
        for piece in pieces
    )


def arrays_of(descents: Descents) -> tuple[Arrays, Arrays]:
    """Everything measured as named arrays, and their coordinates."""
    dims, own = dims_of(descents.axes), dims_of(descents.study.axes)
    result, star = descents.result, descents.star
    over_time = {"cost": result.metrics["cost"], "gap": descents.gap, "left": descents.left}
    at_moments = {"unstable": descents.unstable, "infinite_cost": descents.infinite_cost}
    ends = {
        "diverged": result.diverged,
        "diverged_at": result.diverged_at,
        "unstable_start": descents.unstable[..., 0],
        "unstable_end": descents.unstable[..., -1],
    }
    of_star = {
        **star._asdict(),
        "converged": star.converged,
        "optimum": star.cost,
        "star_unstable": descents.star_unstable,
    }
    arrays = {
        **named_arrays(over_time, dims, OVER_TIME, last=("iteration",)),
        **named_arrays(at_moments, dims, AT_MOMENTS, last=("moment",)),
        **named_arrays(ends, dims, AT_ENDS),
        **named_arrays(of_star, own, OF_STAR),
    }
    coords = coords_of(
        descents.axes,
        descents.study.config,
        iteration=result.iterations,
        moment=descents.moments,
    )
    return arrays, coords


def error_panel(name: str, lines: Sequence[tuple[str, Mapping]], title: str, **more) -> Panel:
    """An error against iteration; each line is a label and the values that select it."""
    return Panel(
        "convergence",
        "iteration",
        tuple(Line(name, label, at, diverged_at="diverged_at") for label, at in lines),
        title=title,
        **more,
    )


def share_panel(
    x: str, lines: Sequence[tuple[str, str, Mapping]], title: str, ylabel: str, **more
) -> Panel:
    """The share of members for which a variable holds; a line is variable, label, selection."""
    drawn = tuple(Line(name, label, at) for name, label, at in lines)
    return Panel("fractions", x, drawn, title=title, ylabel=ylabel, **more)


def hidden(mask: np.ndarray, when: str, instance: str, alike: bool = False) -> Claim:
    """The share of loops that are not stable while their T-step cost is finite."""
    what = f"Loops not stable though their T-step cost is finite: {when} (share)"
    return claim("nlqr/truncation", share(mask, alike), instance=instance, what=what)


def hidden_at_start(study: Study, piece: Slice) -> Claim:
    """The share of all seeds, those left out included, whose K_lin is not stable.

    Loops too slow to be judged are not counted: their cost is finite as far as it is known.
    """
    unstable = ~np.isfinite(study.screen.cost[piece.index])
    unstable = unstable[independent(study)]
    about = where(study.config, piece.label, unstable.size)
    return hidden(unstable, "K_lin", about, study.alike)
