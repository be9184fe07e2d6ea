"""How fast the tangent kernel of a finite network tends to κ I (`ntk/kernel-limit`)."""

import jax
import numpy as np

from fineq import figures, sweep
from fineq.claims import Theory
from fineq.keys import key_for
from fineq.ntk.limit import Distances, kernel_distances
from fineq.studies.ntk import common
from fineq.studies.recipe import Draw, Found, Quantity, Recipe, Row, View
from fineq.studies.statistics import Exponent
from fineq.sweep.stages import Member

MARGIN = 0.05  # on the exponent -1/2
LABELS = {
    "typical": "root mean square",
    "operator": "operator norm",
    "largest": "largest entry",
}
QUANTITIES = (
    Quantity("typical", "distance of kernels, root mean square over entries"),
    Quantity("largest", "distance of kernels, largest entry"),
    Quantity("operator", "distance of kernels, operator norm over N"),
)
SLOPES = {
    quantity.name: Exponent(quantity.name, "width", MARGIN, "larger network.widths", limit=-0.5)
    for quantity in QUANTITIES
}


def measure(study: common.Study) -> Found:
    """Draw a network of every width for every seed, at initialisation."""
    widths = study.own[0]
    # Drawn once: programs of different widths compile faster without it.
    z = study.stages.measure("points", lambda member: study.instance(member).train.z, study.axes)
    inputs = {"z": sweep.Table(study.axes, z)}
    found: Distances = study.stages.measure(
        "kernels", lambda member: _drawn(study.d, member), [widths, *study.axes], inputs
    )
    lost = ~np.isfinite(found.typical)
    return Found(found._asdict(), [widths], lost=lost, notes=common.target_notes(study.given))


def _drawn(d: int, member: Member) -> Distances:
    width, z = int(member["width"]), member["z"]
    key_w = jax.random.fold_in(key_for(member["seed"], "input weights"), width)
    key_a = jax.random.fold_in(key_for(member["seed"], "output signs"), width)
    W = jax.random.normal(key_w, (width, z.shape[1]), z.dtype)
    return kernel_distances(W, jax.random.rademacher(key_a, (width, d), z.dtype), z)


def _panels(view: View) -> list[figures.Panel]:
    lines = tuple(view.line(name, label, fit=SLOPES[name]) for name, label in LABELS.items())
    return [
        view.panel(
            "powerlaw",
            "width",
            lines,
            figures.Theory(r"$\propto m^{-1/2}$, slope only", exponent=-0.5, line=0),
            title="Tangent kernel of width m and its limit",
            ylabel="distance, relative",
        )
    ]


run = Recipe(
    bind=common.bind_widths,
    measure=measure,
    names=common.NAMES,
    words=common.named_instance,
    quantities=QUANTITIES,
    claims=tuple(
        Row(
            id="ntk/kernel-limit",
            what=f"exponent in m of the {quantity.text}",
            statistic=SLOPES[quantity.name],
            theory=Theory(-0.5, "~", "an average of m independent terms", margin=MARGIN),
            where=common.widths_in_words,
        )
        for quantity in QUANTITIES
    ),
    figures=(Draw("kernel_limit", _panels, "Relative distance of the tangent kernel from κ I."),),
)
