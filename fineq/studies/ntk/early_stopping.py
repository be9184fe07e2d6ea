"""Overfitting to noisy labels, and what each stopping rule costs (`ntk/early-stopping`)."""

from collections.abc import Callable, Mapping
from functools import partial

import jax.numpy as jnp
import numpy as np

from fineq.claims import Claim, Theory
from fineq.claims.counting import unless_holds
from fineq.figures import Figure, Line, Panel
from fineq.figures import Theory as Drawn
from fineq.ntk.rules import RULES, Rules
from fineq.results import Array as Named
from fineq.results import Arrays, StudyResult, status_of
from fineq.studies.common import Slice, dims_of, named_arrays, small_multiples, titled
from fineq.studies.ntk.common import (
    Study,
    coords_of,
    counting,
    divergence_note,
    kept,
    make_study,
    median,
    named_instance,
    over,
    ratio_interval,
    slices,
    target_notes,
    times_of,
    with_losses,
)
from fineq.studies.ntk.config import NtkConfig
from fineq.studies.ntk.instances import Given
from fineq.studies.ntk.paths import stop_by_rules
from fineq.sweep import Axis
from fineq.sweep.stages import Member, Stages

OVER_TIME = {"risk": "E w|f - f*|²", "score": "E (a/h)²|f - f*|²"}
AVOIDS = Theory(1.0, "<=", "stopping avoids overfitting")
ORACLES = ("oracle", "score")
ABOUT = {
    "noise": "label noise per output, root mean square over t",
    "estimate": "label noise estimated from residuals",
    "radius": "RKHS norm per output of clean labels",
    "decay": "exponent b of λ_i ∝ i^-b",
    "floor": "risk of the interpolant of clean labels",
}
DRAWN = {
    "oracle": "oracle",
    "gcv": "GCV",
    "unit": "B = 1",
    "measured": "B measured",
}


def stops(study: Study, times: np.ndarray) -> Callable[[Member], Rules]:
    """The function that stops a member by every rule, looked at after each of `times`."""

    def look(member: Member) -> Rules:
        at = study.config_at(member)
        return stop_by_rules(at, study.instance(member), jnp.asarray(times, at.precision))

    return look


def run(config: NtkConfig, given: Given, stages: Stages) -> StudyResult:
    """Descend on noisy labels, stop by every rule."""
    study = make_study(config, given, stages)
    times = times_of(config)

    found: Rules = stages.measure("rules", stops(study, times), study.axes)
    values = {name: np.asarray(x) for name, x in found._asdict().items()}
    values = with_losses(values, "risk")
    return StudyResult(
        *arrays_of(study, study.axes, times, values),
        tuple(_claims(study, times, values)),
        (),
        _figures(study, values),
        status=status_of(values["diverged"]),
        notes={
            **target_notes(given),
            **divergence_note(values["diverged"]),
            **clipped_note(values),
            **ending_note(times, values["risk"], values["diverged"]),
        },
    )


def _claims(study: Study, times: np.ndarray, values: dict[str, np.ndarray]) -> list[Claim]:
    claims = []
    for piece, own in kept(study, values):
        about = partial(counting(study), kept=len(own["diverged"]))
        instance = named_instance(study, piece)
        early = not_overfitted(own["risk"], times)
        oracle = list(RULES).index("oracle")
        claims.append(
            about(
                "ntk/early-stopping",
                median(over(last_known(own["risk"]), np.nanmin(own["risk"], axis=-1))),
                instance=f"{instance}, τ = {times[-1]:g}",
                what="risk at the last time over the least risk",
            )
        )
        for i, (name, text) in enumerate(RULES.items()):
            ratio = own["time"][:, i] / own["time"][:, oracle]
            late = over(own["stopped"][:, i], last_known(own["risk"]))
            if name not in ORACLES and np.isfinite(late).any():
                claims.append(
                    about(
                        "ntk/early-stopping",
                        median(late),
                        AVOIDS,
                        instance=f"{instance}, τ = {times[-1]:g}",
                        what=f"{text}: risk over that at the last time",
                        undecided=unless_holds(median(late), AVOIDS, early),
                    )
                )
            if name != "oracle":
                claims.append(
                    about(
                        "ntk/early-stopping",
                        ratio_interval(ratio),
                        instance=instance,
                        what=f"{text}: stopping time over the oracle's",
                    )
                )
                claims.append(
                    about(
                        "ntk/early-stopping",
                        median(over(own["stopped"][:, i], own["stopped"][:, oracle])),
                        instance=instance,
                        what=f"{text}: risk over the oracle's",
                    )
                )
        if np.isfinite(own["floor"]).any():
            claims.append(
                about(
                    "ntk/error-decomposition",
                    median(own["floor"]),
                    instance=instance,
                    what="risk of the interpolant of clean labels",
                )
            )
        claims.append(
            about(
                "ntk/early-stopping",
                median(own["radius"]),
                instance=instance,
                what="RKHS norm per output of descent on clean labels at the last time",
            )
        )
        claims.append(
            about(
                "ntk/early-stopping",
                median(over(own["estimate"], own["noise"])),
                instance=instance,
                what="label noise estimated from residuals over the true one",
            )
        )
    return claims


def not_overfitted(risk: np.ndarray, times: np.ndarray) -> str:
    """Why stopping has nothing to avoid, where risks `[seed, S]` are least at their last time."""
    if np.median(last_known(risk) / np.nanmin(risk, axis=-1)) > 1:
        return ""
    return (
        f"the risk is least at the last time, τ = {times[-1]:g}: nothing is overfitted yet, and a "
        "larger descent.last decides"
    )


def last_known(risk: np.ndarray) -> np.ndarray:
    """The last finite of risks `[seed, S]`: paths in a Krylov space end before the last time."""
    place = np.isfinite(risk).shape[-1] - 1 - np.argmax(np.isfinite(risk)[:, ::-1], axis=-1)
    return np.take_along_axis(risk, place[:, None], axis=-1)[:, 0]


def ending_note(times: np.ndarray, risk: np.ndarray, diverged: np.ndarray) -> dict[str, str]:
    """Where paths in a Krylov space end: risks `[..., S]` are NaN from there on."""
    known = np.isfinite(risk[~diverged])
    if known.all():
        return {}
    last = times[known.sum(axis=-1) - 1]
    return {
        "Krylov": f"paths are known to 1e-6 until τ = {last.min():g} to {last.max():g}: raise "
        "descent.num_products, or take descent.method=spectral"
    }


def clipped_note(values: dict[str, np.ndarray]) -> dict[str, str]:
    """Rules that stop at an end of the times, and may want to stop beyond."""
    inside = values["inside"][~values["diverged"]]
    if inside.all():
        return {}
    counts = zip(RULES.values(), (~inside).sum(axis=0), strict=True)
    listed = "; ".join(f"{text}: {count}" for text, count in counts if count)
    return {"ends": f"stops at the first or last training time, of {len(inside)}: {listed}"}


def arrays_of(
    study: Study,
    axes: list[Axis],
    times: np.ndarray,
    values: dict[str, np.ndarray],
    over_time: Mapping[str, str] = OVER_TIME,
) -> tuple[Arrays, Arrays]:
    """`Rules` of all members by name as arrays and coordinates; `over_time` has those `[S]`."""
    dims = dims_of(axes)
    arrays = named_arrays(values, dims, over_time, last=("time",))
    arrays |= named_arrays(values, dims, ABOUT)
    arrays["stopping_time"] = Named(values["time"], (*dims, "rule"), "1", "stopping time τ")
    arrays["stopped"] = Named(values["stopped"], (*dims, "rule"), "1", "risk at the stopping time")
    coords = coords_of(axes, study.config, time=times)
    coords["rule"] = Named(np.array(list(RULES)), ("rule",), "1", "stopping rule")
    return arrays, coords


def _figures(study: Study, values: dict[str, np.ndarray]) -> tuple[Figure, ...]:
    def panel(piece: Slice) -> Panel:
        stops = np.median(values["time"][piece.index], axis=0)
        marks = tuple(
            Drawn(text, threshold=float(stops[list(RULES).index(name)]))
            for name, text in DRAWN.items()
        )
        return Panel(
            "curves",
            "time",
            (Line("risk", "regression", piece.at), Line("score", "score", piece.at)),
            marks,
            title=titled("Risk", piece),
            ylabel="mean square error",
            xscale="log",
            yscale="log",
        )

    return small_multiples(
        "early_stopping",
        slices(study.axes),
        lambda piece: [panel(piece)],
        "Risk of kernel descent on noisy labels against training time; "
        "vertical lines: where rules stop, median over seeds; B: radius of the Rademacher rule.",
    )
