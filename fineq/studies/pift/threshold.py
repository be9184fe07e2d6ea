"""Which β is large enough: for the paper's step, for damped and Newton steps, for an optimum.

The plain inner step contracts where the largest |eigenvalue| of L'∇²V̄ L, L L' = S_t, is below β_t;
a unique maximiser needs only the largest positive one to be. For concave rewards the first binds
and the second never does; for convex rewards they coincide. On linear-quadratic instances both
thresholds are exact (`pift/threshold`), and beside them PI-FT is run at multiples of each
(`pift/damping`).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from fineq.claims import Claim, Theory
from fineq.claims.counting import over_seeds, share_tried
from fineq.figures import Figure, Line, Panel
from fineq.figures import Theory as Drawn
from fineq.pift import lq
from fineq.pift.lq import LinearQuadratic, Solution
from fineq.pift.problem import with_beta
from fineq.pift.tilting import chain_bridge
from fineq.results import Array as Named
from fineq.results import Arrays, StudyResult
from fineq.settings.fields import replace_at
from fineq.studies.common import Slice, dims_of, named_arrays, small_multiples, titled
from fineq.studies.pift.affine import distance
from fineq.studies.pift.claims import claim
from fineq.studies.pift.common import (
    Study,
    alike,
    coords_of,
    instances_words,
    make_study,
    slices,
)
from fineq.studies.pift.config import PiftConfig
from fineq.studies.pift.instances import Given
from fineq.sweep import Axis
from fineq.sweep.stages import Member, Stages

RULES: tuple[lq.Rule, ...] = ("plain", "damped", "newton")
SIDES = {"concave": -1.0, "convex": 1.0}  # factors of a convex reward
LOW, HIGH, HALVINGS = 1e-8, 1e8, 80  # a factor 1e16 halved 80 times on a log scale: to rounding
CLOSE = 1e-6  # error after the inner iterations, over the first, that counts as converged
EQUAL = 1e-9  # on a threshold over its formula
ABOUT = {
    "plain": "smallest contracting β",
    "posed": "smallest well-posed β",
    "step": "step that binds, over T - 1",
    "conditional": "largest eigenvalue of Cov(Y_T | Y_0) P",
}


class Edges(NamedTuple):
    """The exact thresholds of one instance.

    Attributes:
        plain: β above which max_t |λ|(L'P_{t+1}L) < β.
        posed: β above which max_t λ(L'P_{t+1}L) < β; `LOW` or less where nothing curves up.
        step: the t that binds at `plain`, over T - 1.
        conditional: largest eigenvalue of Cov(Y_T | Y_0)^{1/2} P Cov(Y_T | Y_0)^{1/2} for the
            pre-trained chain.
    """

    plain: Array
    posed: Array
    step: Array
    conditional: Array


def run(config: PiftConfig, given: Given, stages: Stages) -> StudyResult:
    """Find the thresholds, then run every rule at multiples of the plain one.

    Rewards are drawn convex, and turned around for the concave side.
    """
    study = make_study(replace_at(config, {"reward.curvature": "convex"}), given, stages)
    sides = Axis("side", list(SIDES.values()))
    edges = stages.measure("edges", lambda member: _edges(study, member), [sides, *study.axes])
    times = Axis("times", config.threshold.multiples)
    errors = _errors(study, edges, [sides, times, *study.axes])
    converged = errors < CLOSE
    shown = [Axis("rule", RULES, static=True), Axis("side", list(SIDES), static=True), times]
    return StudyResult(
        _arrays(study, edges, errors, converged),
        coords_of([*shown, *study.axes], config),
        tuple(_claims(study, edges, converged)),
        figures=_figures(study, converged),
        notes={
            "converged": f"error after {config.inner.num_inner} inner iterations below "
            f"{CLOSE:g} of the first, at every step of the chain"
        },
    )


def exact_threshold(arrays: LinearQuadratic, holds: Callable[[Solution], Array]) -> Array:
    """Where a property of the optimum that holds for all large β begins to, by bisection."""

    def halve(_: Array, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) / 2
        good = holds(lq.optimum(with_beta(arrays, jnp.exp(middle))))
        return jnp.where(good, low, middle), jnp.where(good, middle, high)

    dtype = arrays.betas.dtype
    ends = (jnp.asarray(np.log(LOW), dtype), jnp.asarray(np.log(HIGH), dtype))
    return jnp.exp(lax.fori_loop(0, HALVINGS, halve, ends)[1])


def _arrays_of(study: Study, member: Member) -> LinearQuadratic:
    """The member's problem, its convex reward times the factor of its side."""
    arrays = lq.linear_quadratic(study.instance(member).problem)
    return arrays._replace(terminal=jax.tree.map(lambda x: member["side"] * x, arrays.terminal))


def _edges(study: Study, member: Member) -> Edges:
    arrays = _arrays_of(study, member)

    def contracts(found: Solution) -> Array:
        # Below well-posedness there is no optimum, and nothing to contract to.
        return found.well_posed & jnp.all(found.ratios < 1)

    plain = exact_threshold(arrays, contracts)
    arrays, plain = lax.optimization_barrier((arrays, plain))
    posed = exact_threshold(arrays, lambda found: found.well_posed)
    arrays, posed = lax.optimization_barrier((arrays, posed))
    at = lq.optimum(with_beta(arrays, plain))
    arrays, at = lax.optimization_barrier((arrays, at))
    bridge = chain_bridge(arrays.A, arrays.b, arrays.L @ jnp.swapaxes(arrays.L, -1, -2))
    half = jnp.linalg.cholesky(bridge.C)
    conditional = jnp.linalg.eigvalsh(half.T @ arrays.terminal.P @ half)[-1]
    step = jnp.argmax(at.ratios) / max(arrays.betas.shape[0] - 1, 1)
    return Edges(plain, posed, step, conditional)


def _errors(study: Study, edges: Edges, axes: list[Axis]) -> np.ndarray:
    """Largest final over first error of nested PI-FT, `[rule, side, times, *axes]`."""
    shape = tuple(len(axis) for axis in axes)
    betas = np.broadcast_to(np.asarray(edges.plain)[:, None], shape)

    def look(member: Member) -> Array:
        arrays = with_beta(_arrays_of(study, member), member["edge"] * member["times"])
        star = lq.optimum(arrays).policy
        star, arrays = lax.optimization_barrier((star, arrays))
        one = jnp.ones((), arrays.betas.dtype)
        first = distance(lq.pretrained(arrays), star, one)
        errors = []
        for rule in RULES:
            found = lq.nested(arrays, study.config.inner.num_inner, rule)
            errors.append(distance(found.policy, star, one) / first)
            errors, arrays = lax.optimization_barrier((errors, arrays))
        return jnp.stack(errors)

    errors = np.moveaxis(study.stages.measure("rules", look, axes, {"edge": betas}), -1, 0)
    return np.where(np.isfinite(errors), errors, np.inf)


def _arrays(study: Study, edges: Edges, errors: np.ndarray, converged: np.ndarray) -> Arrays:
    dims = ("side", *dims_of(study.axes))
    arrays = named_arrays({k: np.asarray(v) for k, v in edges._asdict().items()}, dims, ABOUT)
    everything = ("rule", "side", "times", *dims[1:])
    arrays["error"] = Named(errors, everything, "1", "final over first error")
    arrays["converged"] = Named(converged, everything, "1", "share of instances that converge")
    return arrays


def _claims(study: Study, edges: Edges, converged: np.ndarray) -> list[Claim]:
    found: list[Claim] = []
    times = np.asarray(study.config.threshold.multiples)
    schedule = f"{study.config.schedule.name}, {study.config.schedule.variance}"
    for piece in slices(study.axes):
        posed = np.asarray(edges.posed)[(1, *piece.index)]
        bound = np.asarray(edges.conditional)[(1, *piece.index)]
        step = np.asarray(edges.step)[(0, *piece.index)]
        instance = ", ".join(filter(None, (piece.label, schedule, instances_words(study))))
        found += [
            claim(
                "pift/threshold",
                over_seeds(posed / bound, alike(study)),
                Theory(1.0, "~", "λ_max(Cov(Y_T | Y_0) P)", margin=EQUAL),
                instance=instance,
                what="convex rewards: smallest well-posed β over its formula",
            ),
            claim(
                "pift/threshold",
                over_seeds(step, alike(study)),
                instance=instance,
                what="concave rewards: step that binds, over T - 1 (1: the last)",
            ),
        ]
        for side, name in enumerate(SIDES):
            for rule, steps in enumerate(RULES):
                shares = converged[(rule, side, slice(None), *piece.index)]
                few = _too_few(study.config) if steps == "plain" else ""
                found += _about(shares, times, (name, rule, steps), instance, few)
    return found


def _too_few(config: PiftConfig) -> str:
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


def _about(
    shares: np.ndarray,
    times: np.ndarray,
    case: tuple[str, int, str],
    instance: str,
    few: str,
) -> list[Claim]:
    """Whether a (side, rule, its name) converges on both sides of the plain threshold.

    `shares` are `[times, seed]`; `few` is why those above may need more iterations.
    """
    side, rule, steps = case
    what = f"{side} rewards, {steps} steps"
    rescued = side == "concave" and RULES[rule] != "plain"
    below, above = shares[times < 1], shares[times > 1]
    found = []
    if above.size:
        found.append(
            claim(
                "pift/damping" if rescued else "pift/threshold",
                share_tried(above),
                Theory(1.0, ">=", "contraction"),
                instance=instance,
                what=f"{what}: share that converges above the plain threshold",
                sampled=True,
                undecided="" if above.all() else few,
            )
        )
    # Below the convex threshold there is no optimum to converge to, and nothing to judge.
    if below.size and side == "concave":
        expected = (
            Theory(1.0, ">=", "well posed") if rescued else Theory(0.0, "<=", "no contraction")
        )
        found.append(
            claim(
                "pift/damping" if rescued else "pift/threshold",
                share_tried(below),
                expected,
                instance=instance,
                what=f"{what}: share that converges below the plain threshold",
                sampled=True,
            )
        )
    return found


def _figures(study: Study, converged: np.ndarray) -> tuple[Figure, ...]:
    def panels(piece: Slice) -> list[Panel]:
        return [
            _panel(piece, side, converged[(slice(None), i, slice(None), *piece.index)])
            for i, side in enumerate(SIDES)
        ]

    return small_multiples("threshold", slices(study.axes), panels, CAPTION)


CAPTION = (
    "Share of instances on which PI-FT converges, against β over the smallest β for which the "
    "paper's step contracts."
)


def _panel(piece: Slice, side: str, converged: np.ndarray) -> Panel:
    """Rules that converge on the same instances share a line; `converged [rule, times, seed]`."""
    groups: dict[bytes, list[str]] = {}
    for rule, shares in zip(RULES, converged, strict=True):
        groups.setdefault(shares.tobytes(), []).append(rule)
    lines = tuple(
        Line("converged", ", ".join(rules), {**piece.at, "rule": rules[0], "side": side})
        for rules in groups.values()
    )
    return Panel(
        "fractions",
        "times",
        lines,
        (Drawn("predicted", threshold=1.0),),
        title=titled(f"{side.capitalize()} rewards", piece),
        xlabel="β over the plain threshold",
        ylabel="share that converges",
        xscale="log",
    )
