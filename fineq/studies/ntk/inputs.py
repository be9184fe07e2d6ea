"""What the constant coordinate of the inputs is for (`ntk/assumptions`).

The paper's inputs are (x, t - T0). A two-layer ReLU network without bias is 1-homogeneous in them,
and so is every function of its tangent kernel; f* is not. Descent on f* itself, without noise, then
keeps an error however long and on however many points, and its interpolants grow in norm and fit
what no such function can be; with a constant coordinate, (x, t - T0, 1), they do not.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq.claims import Theory
from fineq.figures import Panel
from fineq.ntk import spectral
from fineq.ntk.instance import weighted_error
from fineq.ntk.stopping import oracle, radius
from fineq.ntk.tangent import gram
from fineq.studies import statistics
from fineq.studies.ntk import common
from fineq.studies.ntk.config import NtkConfig
from fineq.studies.ntk.paths import step_of
from fineq.studies.numbers import ratio
from fineq.studies.recipe import Draw, Found, Quantity, Recipe, Row, View
from fineq.sweep import Axis
from fineq.sweep.stages import Member, Stages

QUANTITIES = (
    Quantity("norm", "RKHS norm per output of the interpolant of f*"),
    Quantity("interpolant", "risk of the interpolant of f*"),
    Quantity("clean", "least risk of descent on clean labels f*"),
    Quantity("noisy", "least risk of descent on noisy labels"),
)
SLOPES = {quantity.name: statistics.Exponent(quantity.name, "num") for quantity in QUANTITIES}
RISK = r"$\mathrm{E}\,w\,|f - f^*|^2$"
# Quantity, title and vertical axis of each panel.
PANELS = (
    ("norm", "Interpolant of $f^*$", "RKHS norm per output"),
    ("clean", "Clean labels, best time", RISK),
    ("noisy", "Noisy labels, best time", RISK),
)
LABELS = {1: "$z = (x, t - T_0, 1)$", 0: "$z = (x, t - T_0)$"}


def bind(config: NtkConfig, given: Any, stages: Stages) -> common.Study:
    """A study along the kind of inputs, and N.

    Raises:
        InputError: as `make_study`.
    """
    kinds = Axis("data.constant", list(common.INPUTS), static=True)
    return common.make_study(config, given, stages, kinds, common.sizes_of(config))


def measure(study: common.Study) -> Found:
    """Descend on clean and on noisy labels, at every N, with both kinds of inputs."""
    times = common.times_of(study.config)
    found = study.stages.measure(
        "inputs", lambda member: _descended(study, times, member), [*study.own, *study.axes]
    )
    values = dict(zip((*SLOPES, "seen", "diverged"), found, strict=True))
    lost = common.all_lost(values["diverged"], values["noisy"][..., None])
    # A member that diverged at any N is a loss at all.
    losses = np.any(lost, axis=(0, 1))
    return Found(
        {name: np.where(losses, np.inf, values[name]) for name in SLOPES},
        study.own,
        lost=lost,
        notes={
            **common.target_notes(study.given),
            **common.divergence_note(lost),
            **_rounding_note(values["seen"]),
        },
    )


def _descended(study: common.Study, times: np.ndarray, member: Member) -> tuple[Array, ...]:
    """The quantities, the share of eigenvalues that is interpolated, and whether it diverged."""
    train, test = study.instance(member)[2:4]
    pairs = spectral.spectrum(gram(train.z))
    eta = step_of(study.config_at(member), train.z)
    at = jnp.append(jnp.asarray(times, train.z.dtype), jnp.inf)
    paths = [spectral.descend(pairs, y, eta, at, force=True) for y in (train.clean, train.noisy)]
    both = jnp.concatenate([path.coefficients for path in paths])
    risk = weighted_error(test, spectral.predict(test.z, train.z, both) - test.clean[None]) ** 2
    clean, noisy = risk.reshape(2, -1)
    best = (oracle(curve[:-1], at[:-1]).value for curve in (clean, noisy))
    seen = jnp.mean(pairs.values > spectral.rounding(pairs.values), dtype=train.z.dtype)
    return radius(paths[0].norm[-1]), clean[-1], *best, seen, paths[0].diverged


def _rounding_note(seen: np.ndarray) -> dict[str, str]:
    if np.all(seen == 1):
        return {}
    return {
        "rounding": f"up to {1 - float(seen.min()):.2g} of the eigenvalues of K/N are below "
        "rounding: interpolants leave these directions out, and their norms are lower bounds"
    }


def _panels(view: View) -> list[Panel]:
    return [
        view.panel(
            "powerlaw",
            "num",
            [view.line(name, LABELS[k], fit=SLOPES[name], constant=k) for k in common.INPUTS],
            title=title,
            ylabel=label,
        )
        for name, title, label in PANELS
    ]


def _kind(view: View) -> str:
    return f"z = {view.word('constant')}"


def _rows(quantity: Quantity) -> tuple[Row, Row]:
    name, text = quantity.name, quantity.text
    return (
        Row(
            *("ntk/assumptions", f"exponent in N of the {text}", SLOPES[name]),
            each=("constant",),
            where=lambda view: f"{common.sizes_in_words(view)}, {_kind(view)}",
        ),
        Row(
            *("ntk/assumptions", text, statistics.Median(lambda view: view(name)[-1])),
            each=("constant",),
            where=lambda view: f"{common.largest_in_words(view)}, {_kind(view)}",
        ),
    )


run = Recipe(
    bind=bind,
    measure=measure,
    names=common.NAMES,
    words=common.unsized_instance,
    quantities=QUANTITIES,
    claims=(
        *(row for quantity in QUANTITIES for row in _rows(quantity)),
        Row(
            "ntk/assumptions",
            "least risk on clean labels, inputs with over without the constant",
            statistics.Median(
                ratio(*(lambda view, i=i: view("clean", lost=False)[i, -1] for i in (0, 1)))
            ),
            Theory(1.0, "<=", "a universal kernel comes closer"),
            where=common.largest_in_words,
        ),
    ),
    figures=(Draw("inputs", _panels, "What the constant coordinate of the inputs is for."),),
)
