"""Do all stabilising starts lead to one minimum? With the true cost, and with a truncated one.

Newton's method goes to the nearest minimum, so many starts show how many there are, as far as was
looked (`nlqr/global`). The T-step cost is finite for loops that never come to rest, and has minima
among them that the infinite-horizon cost does not have (`nlqr/truncation`).
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq import figures
from fineq.claims import Theory, counting
from fineq.keys import key_for
from fineq.nlqr.costs import CostStatus, infinite_cost
from fineq.nlqr.minima import label_minima, stabilising_starts
from fineq.studies import common
from fineq.studies.nlqr.common import (
    GAINS,
    NAMES,
    POLICIES,
    Optimum,
    Study,
    exact_horizon,
    kept,
    make_study,
    newton,
    slices,
)
from fineq.studies.nlqr.config import NlqrConfig
from fineq.studies.nlqr.instances import Given, Instance
from fineq.studies.recipe import Found, Quantity, Recipe, Row, View
from fineq.studies.statistics import Got
from fineq.sweep import Axis
from fineq.sweep.stages import Member, Stages


class Starts(NamedTuple):
    """First policies `[start, *axes, p, n+d]`.

    Attributes:
        stable: they stabilise; NaN where none was found.
        free: the same directions without regard to stability, which the T-step cost does not see.
        usable: whether `stable` holds one, `[start, *axes]`.
    """

    stable: Any
    free: Any
    usable: Any


class Ends(NamedTuple):
    """Where the starts led, `[start, *axes]` in floats, NaN where there was no start to judge.

    Attributes:
        settled: Newton's method ended at a strict minimum.
        same: of those settled, whether it is the lowest minimum of the instance.
        stable: of those settled, whether its loop brings every initial state to rest.
        number: distinct minima of the instance, `[*axes]`; NaN where nothing settled.
        policy: K* of the lowest, `[*axes, p, n+d]`; NaN likewise.
        distance: |K* - K_lin| of the lowest, `[*axes]`.
    """

    settled: np.ndarray
    same: np.ndarray
    stable: np.ndarray
    number: np.ndarray
    policy: np.ndarray
    distance: np.ndarray


def bind(config: NlqrConfig, given: Given, stages: Stages) -> Study:
    """A study along starts."""
    starts = Axis("start", list(range(config.reference.num_starts)))
    return make_study(config, given, stages)._replace(own=(starts,))


def measure(study: Study) -> Found:
    """Minimise from many stabilising starts: the infinite-horizon cost, then the T-step cost."""
    axis = study.own[0]
    starts = find_starts(study, axis)
    ends = follow(study, axis, starts)
    values = {
        f"{kind}_{name}": x for kind, found in ends.items() for name, x in found._asdict().items()
    }
    for kind, found in ends.items():
        single = np.where(np.isfinite(found.number), found.number == 1, np.nan)
        values[f"{kind}_single"] = single
    values["K_lin"] = kept(study, study.screen.plant.K_lin)
    lost = np.asarray(np.all(ends["infinite"].settled == 0, axis=0))
    return Found(values, study.own, lost=lost, notes={"starts": _note(study, starts, ends)})


def find_starts(study: Study, axis: Axis) -> Starts:
    """Random policies within `reference.start_radius` of K_lin; the first is K_lin itself.

    Those that do not stabilise are drawn towards K_lin until they do. Where K_lin does not either,
    that may fail.
    """

    def look(member: Member) -> Starts:
        instance = study.instance(member)
        key = jax.random.fold_in(key_for(instance.key, "many starts"), member["start"])
        radius = jnp.asarray(study.config.reference.start_radius, instance.K_lin.dtype)
        radius = jnp.where(member["start"] == 0, 0.0, radius)

        def draw(stabilises: Callable[[Array], Array]) -> tuple[Array, Array]:
            found, good = stabilising_starts(key, instance.K_lin, radius, 1, stabilises)
            return found[0], good[0]

        stable, usable = draw(lambda K: _stabilises(study, K, instance))
        free, _ = draw(lambda K: jnp.asarray(True))
        return Starts(jnp.where(usable, stable, jnp.nan), free, usable)

    return study.stages.measure("starts", look, [axis, *study.axes])


def _stabilises(study: Study, K: Array, instance: Instance) -> Array:
    limits = study.config.reference
    found = infinite_cost(
        K,
        instance.problem.system,
        instance.points,
        tolerance=limits.tail,
        max_horizon=limits.max_horizon,
    )
    return found.status == CostStatus.STABLE


def follow(study: Study, axis: Axis, starts: Starts) -> dict[str, Ends]:
    """Minimise both costs from every start, and compare where the starts of an instance led.

    Returns:
        `infinite`: the cost of a horizon that leaves nothing out, from the stabilising starts;
        `truncated`: that of `descent.horizon` steps, from all.
    """
    begin = {
        "infinite": (exact_horizon(study), starts.stable),
        "truncated": (study.config.descent.horizon, starts.free),
    }
    found = {
        name: newton(study, T, lambda m, _: m["K0"], name, [axis], inputs={"K0": K0})
        for name, (T, K0) in begin.items()
    }

    def look(member: Member) -> dict[str, Array]:
        instance = study.instance(member)
        # One program for both kinds of ends.
        K = jnp.stack([member["K"][name] for name in begin])
        stable = jax.vmap(lambda K: _stabilises(study, K, instance))(K)
        return dict(zip(begin, stable, strict=True))

    policies = {name: star.K for name, star in found.items()}
    axes = [axis, *study.axes]
    stable = study.stages.measure("ends", look, axes, inputs={"K": policies})
    usable = {name: np.isfinite(K0).all(axis=(-2, -1)) for name, (_, K0) in begin.items()}
    return {name: _compare(study, usable[name], found[name], stable[name]) for name in begin}


def _compare(study: Study, usable: np.ndarray, star: Optimum, stable: np.ndarray) -> Ends:
    settled = usable & np.asarray(star.converged)
    labels, number = label_minima(np.asarray(star.cost), np.asarray(star.K), settled)
    lowest = _lowest(star, labels)
    return Ends(
        np.where(usable, settled, np.nan),
        np.where(settled, labels == 0, np.nan),
        np.where(settled, stable, np.nan),
        number,
        lowest,
        np.linalg.norm(lowest - study.screen.plant.K_lin, axis=(-2, -1)),
    )


def _lowest(star: Optimum, labels: np.ndarray) -> np.ndarray:
    """K of the lowest minimum; NaN where nothing settled."""
    first = np.argmax(labels == 0, axis=0)
    K = np.take_along_axis(np.asarray(star.K), first[None, ..., None, None], axis=0)[0]
    return np.where(np.any(labels == 0, axis=0)[..., None, None], K, np.nan)


def _note(study: Study, starts: Starts, ends: dict[str, Ends]) -> str:
    empty = ~np.any(starts.usable, axis=0)
    begun, total = int(np.sum(starts.usable)), int(np.size(starts.usable))
    left = {name: int(np.sum(found.settled == 0)) for name, found in ends.items()}
    return (
        f"{int(np.sum(empty))} of {empty.size} instances have no stabilising start (K_lin is not "
        f"one in {int(np.sum(~study.screen.stable))}); {begun} of {total} starts stabilise; "
        f"{left['infinite']} of them, and {left['truncated']} of {total} with the truncated cost, "
        "ended without a strict minimum"
    )


def _one_minimum(view: View) -> Got:
    """The share of instances with one minimum, of those with a start that settled."""
    number, same = view("infinite_number"), view("infinite_same")
    known, runs = np.isfinite(number), int(np.isfinite(same).sum())
    said = (
        f"{counting.counted(int(known.sum()), 'instance')}, {int(np.nansum(same))} of {runs} starts"
    )
    return Got(counting.share_tried(number[known] == 1), said=said)


def _of_truncated(holds: Callable[[View], np.ndarray]) -> Callable[[View], Got]:
    def found(view: View) -> Got:
        judged = np.isfinite(view("truncated_number"))
        said = counting.counted(int(judged.sum()), "instance")
        return Got(counting.share(holds(view)[judged]), said=said)

    return found


def _truncated(what: str, holds: Callable[[View], np.ndarray]) -> Row:
    return Row(
        "nlqr/truncation",
        what,
        _of_truncated(holds),
        where=lambda view: f"T = {view.study.config.descent.horizon}",
        when=lambda view: bool(np.isfinite(view("truncated_number")).any()),
    )


def _figures(views: Sequence[View]) -> Iterable[figures.Figure]:
    """Against ℓ, where it is swept: over starts and seeds, or over instances alone."""
    study, path = views[0].study, "system.lipschitz"
    if path not in [axis.name for axis in study.axes]:
        return ()
    kinds = {"infinite": "infinite horizon", "truncated": f"$T = {study.config.descent.horizon}$"}

    def panel(piece: common.Slice, name: str, title: str, *over: str) -> figures.Panel:
        lines = tuple(
            figures.Line(f"{kind}_{name}", text, piece.at, missing="without a minimum")
            for kind, text in kinds.items()
        )
        title = common.listed(title, piece.label)
        return figures.Panel(
            "fractions", "lipschitz", lines, over=over, title=title, ylabel="share"
        )

    def panels(piece: common.Slice) -> list[figures.Panel]:
        return [
            panel(piece, "same", "Starts reaching the lowest minimum", "start", "seed"),
            panel(piece, "single", "Instances with one minimum", "seed"),
            panel(piece, "stable", "Minima that stabilise", "start", "seed"),
        ]

    rest = slices([axis for axis in study.axes if axis.name != path])
    return common.small_multiples("global", rest, panels, "Where many stabilising starts lead.")


OF_STARTS = {
    "settled": "ended at a strict minimum",
    "same": "of those, reached the lowest minimum found",
    "stable": "of those, the minimum stabilises",
}
OF_INSTANCES = {
    "number": "distinct minima found",
    "distance": "$|K^* - K_\\mathrm{lin}|$ of the lowest minimum",
    "single": "instances with one minimum found",
}
KINDS = ("infinite", "truncated")

run = Recipe(
    bind=bind,
    measure=measure,
    names=NAMES,
    quantities=(
        *(Quantity(f"{kind}_{name}", t) for kind in KINDS for name, t in OF_STARTS.items()),
        *(
            Quantity(f"{kind}_{name}", t, own=())
            for kind in KINDS
            for name, t in OF_INSTANCES.items()
        ),
        *(Quantity(f"{kind}_policy", "$K^*$ of the lowest minimum", GAINS, ()) for kind in KINDS),
        POLICIES[0],
    ),
    claims=(
        Row(
            "nlqr/global",
            "All stabilising starts reach the same minimum (share of instances)",
            _one_minimum,
            Theory(1.0, ">=", "every instance"),
            sampled=True,
            when=lambda view: bool(np.isfinite(view("infinite_number")).any()),
        ),
        _truncated(
            "Instances whose T-step cost shows more than one minimum (share)",
            lambda view: view("truncated_number") > 1,
        ),
        _truncated(
            "Instances with a T-step minimum that does not stabilise (share)",
            lambda view: np.any(view("truncated_stable") == 0, axis=0),
        ),
    ),
    figures=(_figures,),
)
