"""What the constant coordinate of the inputs is for (`ntk/assumptions`).

The paper's inputs are (x, t - T0). A two-layer ReLU network without bias is 1-homogeneous in them,
and so is every function of its tangent kernel; f* is not. Descent on f* itself, without noise, then
keeps an error however long and on however many points, and its interpolants grow in norm and fit
what no such function can be; with a constant coordinate, (x, t - T0, 1), they do not.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq.claims import Claim, Theory
from fineq.figures import Figure, Line, Panel
from fineq.ntk.spectral import descend, predict, rounding, spectrum
from fineq.ntk.stopping import oracle, radius
from fineq.ntk.tangent import gram
from fineq.rates import PowerLaw, power_law
from fineq.results import StudyResult, status_of
from fineq.studies.common import Slice, dims_of, drawn_fit, named_arrays, small_multiples, titled
from fineq.studies.ntk.common import (
    Study,
    coords_of,
    counting,
    divergence_note,
    make_study,
    median,
    named_instance,
    over,
    slices,
    target_notes,
    times_of,
    with_losses,
)
from fineq.studies.ntk.config import NtkConfig
from fineq.studies.ntk.instances import Given
from fineq.studies.ntk.paths import error, step_of
from fineq.sweep import Axis
from fineq.sweep.stages import Member, Stages

INPUTS = {1: "(x, t - T0, 1)", 0: "(x, t - T0)"}
ABOUT = {
    "norm": "RKHS norm per output of the interpolant of f*",
    "interpolant": "risk of the interpolant of f*",
    "clean": "least risk of descent on clean labels f*",
    "noisy": "least risk of descent on noisy labels",
}


class Inputs(NamedTuple):
    """One member, with one kind of inputs.

    Attributes:
        norm: RKHS norm per output of the interpolant of clean labels.
        interpolant: its risk E w|f - f*|² on fresh points.
        clean: least risk of descent on clean labels over the training times.
        noisy: the same on noisy labels.
        seen: share of the eigenvalues of K/N above rounding: what is interpolated.
        diverged: whether η is above the stability limit.
    """

    norm: Array
    interpolant: Array
    clean: Array
    noisy: Array
    seen: Array
    diverged: Array


def run(config: NtkConfig, given: Given, stages: Stages) -> StudyResult:
    """Descend on clean and on noisy labels, at every N, with both kinds of inputs."""
    sizes = Axis("data.num", [int(n) for n in config.generalisation.sizes], static=True)
    kinds = Axis("data.constant", list(INPUTS), static=True)
    study = make_study(config, given, stages, kinds, sizes)
    times = times_of(config)

    def look(member: Member) -> Inputs:
        instance = study.instance(member)
        train, test = instance.train, instance.test
        pairs = spectrum(gram(train.z))
        eta = step_of(study.config_at(member), train.z)
        at = jnp.append(jnp.asarray(times, train.z.dtype), jnp.inf)
        paths = [descend(pairs, y, eta, at, force=True) for y in (train.clean, train.noisy)]
        both = jnp.concatenate([path.coefficients for path in paths])
        risk = error(test, predict(test.z, train.z, both) - test.clean[None]) ** 2
        clean, noisy = risk.reshape(2, -1)
        first, second = (oracle(curve[:-1], at[:-1]).value for curve in (clean, noisy))
        seen = jnp.mean(pairs.values > rounding(pairs.values), dtype=train.z.dtype)
        norm = radius(paths[0].norm[-1])
        return Inputs(norm, clean[-1], first, second, seen, paths[0].diverged)

    axes = [kinds, sizes, *study.axes]
    found: Inputs = stages.measure("inputs", look, axes)
    values = {name: np.asarray(x) for name, x in found._asdict().items()}
    values = with_losses(values, "noisy")
    # A member that diverged at any N is a loss at all.
    lost = np.any(values["diverged"], axis=(0, 1))
    values |= {name: np.where(lost, np.inf, values[name]) for name in ABOUT}
    laws = _laws(study, values)
    return StudyResult(
        named_arrays(values, dims_of(axes), ABOUT),
        coords_of(axes, config),
        tuple(_claims(study, values, laws)),
        tuple(law for by in laws for law in by.values()),
        _figures(study, laws),
        status=status_of(values["diverged"]),
        notes={
            **target_notes(given),
            **divergence_note(values["diverged"]),
            **_rounding_note(values["seen"]),
        },
    )


def _laws(study: Study, values: dict[str, np.ndarray]) -> list[dict[tuple[int, str], PowerLaw]]:
    """Exponents in N by kind of inputs and quantity, for every slice."""
    sizes = np.asarray(study.config.generalisation.sizes, float)
    return [
        {
            (kind, name): power_law(
                sizes,
                np.moveaxis(values[name][(i, slice(None), *piece.index)], 0, -1),
                quantity=f"{text} in N, {written}, {piece.label}".removesuffix(", "),
            )
            for i, (kind, written) in enumerate(INPUTS.items())
            for name, text in ABOUT.items()
        }
        for piece in slices(study.axes)
    ]


def _claims(
    study: Study,
    values: dict[str, np.ndarray],
    laws: list[dict[tuple[int, str], PowerLaw]],
) -> list[Claim]:
    claims, about = [], counting(study)
    sizes = study.config.generalisation.sizes
    for piece, by in zip(slices(study.axes), laws, strict=True):
        span = named_instance(study, piece, f"N = {sizes[0]:g} to {sizes[-1]:g}")
        most = named_instance(study, piece, f"N = {sizes[-1]:g}")
        for i, (kind, written) in enumerate(INPUTS.items()):
            claims += [
                about(
                    "ntk/assumptions",
                    by[kind, name],
                    instance=f"{span}, z = {written}",
                    what=f"exponent in N of the {text}",
                )
                for name, text in ABOUT.items()
            ]
            claims += [
                about(
                    "ntk/assumptions",
                    median(values[name][(i, -1, *piece.index)]),
                    instance=f"{most}, z = {written}",
                    what=text,
                )
                for name, text in ABOUT.items()
            ]
        known = values["clean"][(slice(None), -1, *piece.index)]
        claims.append(
            about(
                "ntk/assumptions",
                median(over(*known)),
                Theory(1.0, "<=", "a universal kernel comes closer"),
                instance=most,
                what="least risk on clean labels, inputs with over without the constant",
            )
        )
    return claims


def _rounding_note(seen: np.ndarray) -> dict[str, str]:
    if np.all(seen == 1):
        return {}
    return {
        "rounding": f"up to {1 - float(seen.min()):.2g} of the eigenvalues of K/N are below "
        "rounding: interpolants leave these directions out, and their norms are lower bounds"
    }


def _figures(study: Study, laws: list[dict[tuple[int, str], PowerLaw]]) -> tuple[Figure, ...]:
    of = {piece.index: by for piece, by in zip(slices(study.axes), laws, strict=True)}
    return small_multiples(
        "inputs",
        slices(study.axes),
        lambda piece: _panels(study, piece, of[piece.index]),
        "What the constant coordinate of the inputs is for.",
    )


def _panels(study: Study, piece: Slice, by: dict[tuple[int, str], PowerLaw]) -> list[Panel]:
    sizes = study.config.generalisation.sizes
    return [
        Panel(
            "powerlaw",
            "num",
            tuple(
                Line(
                    name,
                    f"z = {written}",
                    {**piece.at, "constant": kind},
                    fit=drawn_fit(by[kind, name], sizes),
                )
                for kind, written in INPUTS.items()
            ),
            title=titled(title, piece),
            ylabel=label,
        )
        for name, title, label in (
            ("norm", "Interpolant of f*", "RKHS norm per output"),
            ("clean", "Clean labels, best time", "E w|f - f*|²"),
            ("noisy", "Noisy labels, best time", "E w|f - f*|²"),
        )
    ]
