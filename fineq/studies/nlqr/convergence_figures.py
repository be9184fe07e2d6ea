"""The figures of linear convergence: errors against the iteration, floors against J and r."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from fineq import figures
from fineq.studies.nlqr.arrival import ESTIMATES, NEAR
from fineq.studies.nlqr.common import Study
from fineq.studies.view import View


def _near(view: View) -> float | None:
    """The first record that is near K*, in the median: theory speaks of what follows."""
    distance = np.median(view("exact_distance"), axis=0)
    near = np.flatnonzero(distance <= NEAR * distance[0])
    return float(view.values_of("exact_iteration")[near[0]]) if near.size else None


def _over_time(
    views: Sequence[View], what: str, title: str, theory: tuple[figures.Theory, ...] = (), **at: Any
) -> figures.Panel:
    """An error against the iteration, a line for every combination of swept values."""
    x = f"{what.rpartition('_')[0]}_iteration"
    lines = tuple(view.line(what, view.piece.label, **at) for view in views)
    return figures.Panel(
        "convergence", x, lines, theory, title=title, ordered=True, xlabel="iteration"
    )


def _alone(study: Study) -> dict[str, int]:
    """Without chance there are no seeds to draw a band of."""
    return {"seed": study.config.first_seed} if study.alike else {}


def exact_figure(views: Sequence[View]) -> Iterable[figures.Figure]:
    """Exact descent against theory."""
    study = views[0].study
    label = "theory, slope only"

    def theory(power: int) -> tuple[figures.Theory, ...]:
        starts = [(i, view, _near(view)) for i, view in enumerate(views)]
        known = [(i, view, start) for i, view, start in starts if start is not None]
        ratios = [float(np.exp(-power * np.median(view("exponent")))) for _, view, _ in known]
        return tuple(
            figures.Theory("" if number else label, ratio=ratio, line=i, start=start)
            for number, ((i, _, start), ratio) in enumerate(zip(known, ratios, strict=True))
        )

    step = rf"exact gradient, $\eta = {study.config.descent.step_size:g}/h$"
    alone = _alone(study)
    panels = (
        _over_time(views, "exact_distance", f"Distance, {step}", theory(1), **alone),
        _over_time(views, "exact_gap", f"Cost gap, {step}", theory(2), **alone),
    )
    caption = (
        r"Exact descent; theory's rate near $K^*$, $1 - \eta\mu$ and its square, from where it is "
        "near."
    )
    yield figures.Figure("linear_convergence", panels, caption)


def other_gradients(views: Sequence[View]) -> Iterable[figures.Figure]:
    """Natural and zeroth-order descents."""
    study = views[0].study
    floors, others = study.config.floors, study.config.descent.others
    many = floors.num_rollouts[-1]
    shown = {
        "natural": ("Natural gradient", _alone(study)),
        "two_point": (
            f"Antithetic pairs, $J = {many}$",
            {"num_rollouts": many, "radius": floors.radii[0]},
        ),
        "one_point": (
            f"One-point, $J = {many}$",
            {"num_rollouts": many, "radius": floors.radii[-1]},
        ),
    }
    panels = tuple(
        _over_time(views, f"{name}_gap", title, **at)
        for name, (title, at) in shown.items()
        if name in others
    )
    if panels:
        yield figures.Figure("estimators", panels, "Other gradients on the same instances.")


def floor_panels(view: View) -> list[figures.Panel]:
    """The floor against J and against r, where there are several values of them."""
    floors = view.study.config.floors
    names = [name for name in ESTIMATES if f"{name}_floor" in view.found.values]
    many, least = floors.num_rollouts[-1], floors.radii[0]
    against = [
        ("num_rollouts", f"Floor, $r = {least:g}$", {"radius": least}, floors.num_rollouts),
        ("radius", f"Floor, $J = {many}$", {"num_rollouts": many}, floors.radii),
    ]
    return [
        view.panel(
            "powerlaw",
            x,
            [view.line(f"{name}_floor", ESTIMATES[name], **at) for name in names],
            title=title,
        )
        for x, title, at, values in against
        if names and len(values) > 1
    ]
