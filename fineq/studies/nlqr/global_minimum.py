"""Do all stabilising starts lead to one minimum? With the true cost, and with a truncated one.

Newton's method goes to the nearest minimum, so many starts show how many there are, as far as was
looked (`nlqr/global`). The T-step cost is finite for loops that never come to rest, and has minima
among them that the infinite-horizon cost does not have (`nlqr/truncation`).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq.claims import Claim, Theory
from fineq.claims.counting import counted, share, share_tried
from fineq.figures import Figure, Line, Panel
from fineq.nlqr.cost import CostStatus, infinite_cost
from fineq.nlqr.minima import distinct_minima, stabilising_starts
from fineq.results import Arrays, StudyResult, status_of
from fineq.studies.common import on, small_multiples, titled
from fineq.studies.nlqr.arrays import Slice, coords_of, dims_of, named_arrays, slices
from fineq.studies.nlqr.claims import claim
from fineq.studies.nlqr.common import Optimum, Study, exact_horizon, make_study, newton
from fineq.studies.nlqr.config import NlqrConfig
from fineq.studies.nlqr.instances import Given, Instance
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
        distance: |K* - K_lin| of the lowest, `[*axes]`.
    """

    settled: np.ndarray
    same: np.ndarray
    stable: np.ndarray
    number: np.ndarray
    distance: np.ndarray


def run(config: NlqrConfig, given: Given, stages: Stages) -> StudyResult:
    """Minimise from many stabilising starts: the infinite-horizon cost, then the T-step cost."""
    study = make_study(config, given, stages)
    axis = Axis("start", list(range(config.reference.num_starts)))
    starts = find_starts(study, axis)
    ends = follow(study, axis, starts)
    lost = np.all(ends["infinite"].settled == 0, axis=0)
    return StudyResult(
        _arrays(study, axis, ends),
        coords_of([axis, *study.axes], config),
        tuple(_claims(study, ends)),
        (),
        _figures(study),
        status_of(np.asarray(lost)),
        {"starts": _note(study, starts, ends)},
    )


def find_starts(study: Study, axis: Axis) -> Starts:
    """Random policies within `reference.start_radius` of K_lin; the first is K_lin itself.

    Those that do not stabilise are drawn towards K_lin until they do. Where K_lin does not either,
    that may fail.
    """

    def look(member: Member) -> Starts:
        instance = study.instance(member)
        key = jax.random.fold_in(instance.key, member["start"])
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
    labels, number = _labels(star, settled)
    return Ends(
        np.where(usable, settled, np.nan),
        np.where(settled, labels == 0, np.nan),
        np.where(settled, stable, np.nan),
        number,
        _distance(study, star, labels),
    )


def _labels(star: Optimum, settled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which minimum each start reached `[start, *axes]` (0 the lowest), and how many there are."""
    labels = np.full(settled.shape, -1)
    number = np.full(settled.shape[1:], np.nan)
    for index in np.ndindex(*settled.shape[1:]):
        at = (slice(None), *index)
        found = distinct_minima(np.asarray(star.cost)[at], np.asarray(star.K)[at], settled[at])
        labels[at] = found.labels
        number[index] = found.number or np.nan
    return labels, number


def _distance(study: Study, star: Optimum, labels: np.ndarray) -> np.ndarray:
    """|K* - K_lin| of the lowest minimum; NaN where nothing settled."""
    first = np.argmax(labels == 0, axis=0)
    K = np.take_along_axis(np.asarray(star.K), first[None, ..., None, None], axis=0)[0]
    apart = np.linalg.norm(K - study.screen.plant.K_lin, axis=(-2, -1))
    return np.where(np.any(labels == 0, axis=0), apart, np.nan)


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


def _claims(study: Study, ends: dict[str, Ends]) -> list[Claim]:
    found = [
        _one_minimum(study, piece, ends["infinite"])
        for piece in slices(study.axes)
        if np.any(np.isfinite(ends["infinite"].number[piece.index]))
    ]
    T = study.config.descent.horizon
    number, stable = ends["truncated"].number, ends["truncated"].stable
    unstable = np.any(stable == 0, axis=0)
    for piece in slices(study.axes):
        judged = np.isfinite(number[piece.index])
        if not judged.any():
            continue
        words = on(piece, f"T = {T}", counted(int(judged.sum()), "instance"))
        for what, mask in (
            ("Instances whose T-step cost shows more than one minimum (share)", number > 1),
            ("Instances with a T-step minimum that does not stabilise (share)", unstable),
        ):
            counts = share(mask[piece.index][judged])
            found.append(claim("nlqr/truncation", counts, instance=words, what=what))
    return found


def _one_minimum(study: Study, piece: Slice, found: Ends) -> Claim:
    """Share of instances with one minimum."""
    number = found.number[piece.index]
    known = np.isfinite(number)
    same = found.same[(slice(None), *piece.index)]
    runs = np.isfinite(same)
    what = f"{int(np.nansum(same))} of {int(runs.sum())} starts"
    return claim(
        "nlqr/global",
        share_tried(number[known] == 1),
        Theory(1.0, ">=", "every instance"),
        instance=on(piece, counted(int(known.sum()), "instance"), what),
        what="All stabilising starts reach the same minimum (share of instances)",
        sampled=True,
    )


def _arrays(study: Study, axis: Axis, ends: dict[str, Ends]) -> Arrays:
    dims = dims_of(study.axes)
    about = {
        "settled": "ended at a strict minimum",
        "same": "of those, reached the lowest minimum found",
        "stable": "of those, the minimum stabilises",
    }
    once = {"number": "distinct minima found", "distance": "|K* − K_lin| of the lowest minimum"}
    arrays: Arrays = {}
    for name, found in ends.items():
        values = found._asdict()
        arrays |= named_arrays(values, (*dims_of([axis]), *dims), about, prefix=f"{name}_")
        arrays |= named_arrays(values, dims, once, prefix=f"{name}_")
        single = np.where(np.isfinite(found.number), found.number == 1, np.nan)
        text = {"single": "instances with one minimum found"}
        arrays |= named_arrays({"single": single}, dims, text, prefix=f"{name}_")
    return arrays


def _figures(study: Study) -> tuple[Figure, ...]:
    names = [axis.name for axis in study.axes]
    if "system.lipschitz" not in names:
        return ()
    rest = slices([axis for axis in study.axes if axis.name != "system.lipschitz"])
    texts = {"infinite": "infinite horizon", "truncated": f"T = {study.config.descent.horizon}"}

    def panel(piece: Slice, quantity: str, text: str, over: tuple[str, ...]) -> Panel:
        lines = tuple(Line(f"{name}_{quantity}", text, piece.at) for name, text in texts.items())
        title = titled(text, piece)
        return Panel("fractions", "lipschitz", lines, over=over, title=title, ylabel="share")

    def panels(piece: Slice) -> list[Panel]:
        starts = ("start", "seed")
        return [
            panel(piece, "same", "Starts reaching the lowest minimum", starts),
            panel(piece, "single", "Instances with one minimum", ("seed",)),
            panel(piece, "stable", "Minima that stabilise", starts),
        ]

    return small_multiples("global", rest, panels, "Where many stabilising starts lead.")
