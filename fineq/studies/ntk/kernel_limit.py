"""How fast the tangent kernel of a finite network tends to κ I (`ntk/kernel-limit`).

At standard normal weights the kernel of width m is an average of m independent terms, so its
distance from κ I falls as m^{-1/2}: root mean square and largest over entries, and in operator norm
over N, which bounds what the dynamics of training can feel.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq.claims import Claim, Theory
from fineq.claims.counting import curved, unless_holds
from fineq.errors import InputError
from fineq.figures import Figure, Line, Panel
from fineq.figures import Theory as Drawn
from fineq.ntk.empirical import two_layer_kernel
from fineq.ntk.tangent import gram
from fineq.rates import PowerLaw, power_law
from fineq.results import StudyResult, status_of
from fineq.studies.common import Slice, dims_of, drawn_fit, named_arrays, small_multiples, titled
from fineq.studies.ntk.common import (
    Study,
    coords_of,
    counting,
    make_study,
    named_instance,
    slices,
    target_notes,
    widths_of,
)
from fineq.studies.ntk.config import NtkConfig
from fineq.studies.ntk.instances import Given
from fineq.sweep import Axis
from fineq.sweep.stages import Member, Stages

MARGIN = 0.05  # on the exponent -1/2
ABOUT = {
    "typical": "distance of kernels, root mean square over entries",
    "largest": "distance of kernels, largest entry",
    "operator": "distance of kernels, operator norm over N",
}


class Distances(NamedTuple):
    """Of the kernel of one network from κ I, relative to root mean square, largest, norm of κ I."""

    typical: Array
    largest: Array
    operator: Array


def run(config: NtkConfig, given: Given, stages: Stages) -> StudyResult:
    """Draw a network of every width for every seed, at initialisation.

    Raises:
        InputError: for fewer than two widths.
    """
    study = make_study(config, given, stages)
    widths = Axis("width", widths_of(config), static=True)
    if len(widths) < 2:
        raise InputError(f"kernel_limit needs 2 widths or more, got {config.network.widths}")
    axes = [widths, *study.axes]
    # Drawn once: programs of different widths compile faster without it.
    z = stages.measure("points", lambda member: study.instance(member).train.z, study.axes)
    z = np.broadcast_to(z, (len(widths), *z.shape))
    found: Distances = stages.measure(
        "kernels", lambda member: _look(study.d, member), axes, {"z": z}
    )
    values = {name: np.asarray(x) for name, x in found._asdict().items()}
    laws = _laws(study, values)
    return StudyResult(
        named_arrays(values, dims_of(axes), ABOUT),
        coords_of(axes, config),
        tuple(_claims(study, laws)),
        tuple(law for by in laws for law in by.values()),
        _figures(study, laws),
        status_of(~np.isfinite(values["typical"])),
        target_notes(given),
    )


def _look(d: int, member: Member) -> Distances:
    width, z = int(member["width"]), member["z"]
    N, D = z.shape
    key_w, key_a = jax.random.split(jax.random.fold_in(jax.random.key(member["seed"]), width))
    W = jax.random.normal(key_w, (width, D), z.dtype)
    A = jax.random.rademacher(key_a, (width, d), z.dtype)
    limit = gram(z)
    eye = jnp.eye(d, dtype=z.dtype)[:, :, None, None]
    apart = two_layer_kernel(W, A, z, z) - eye * limit[None, None]
    whole = apart.transpose(0, 2, 1, 3).reshape(d * N, d * N)
    # Relative to κ I, whose d diagonal blocks carry all of it.
    size = jnp.sqrt(jnp.mean(limit**2) / d)
    apart_norm = jnp.max(jnp.abs(jnp.linalg.eigvalsh((whole + whole.T) / 2)))
    limit, apart_norm = jax.lax.optimization_barrier((limit, apart_norm))
    return Distances(
        jnp.sqrt(jnp.mean(whole**2)) / size,
        jnp.max(jnp.abs(whole)) / jnp.max(jnp.abs(limit)),
        apart_norm / jnp.max(jnp.linalg.eigvalsh(limit)),
    )


def _laws(study: Study, values: dict[str, np.ndarray]) -> list[dict[str, PowerLaw]]:
    widths = np.asarray(widths_of(study.config), float)
    return [
        {
            name: power_law(
                widths,
                np.moveaxis(values[name][(slice(None), *piece.index)], 0, -1),
                quantity=f"{text} in m, {piece.label}".removesuffix(", "),
            )
            for name, text in ABOUT.items()
        }
        for piece in slices(study.axes)
    ]


def _claims(study: Study, laws: list[dict[str, PowerLaw]]) -> list[Claim]:
    widths, about = widths_of(study.config), counting(study)
    theory = Theory(-0.5, "~", "an average of m independent terms", margin=MARGIN)
    return [
        about(
            "ntk/kernel-limit",
            law,
            theory,
            undecided=unless_holds(law, theory, curved(law, MARGIN, "larger network.widths")),
            instance=f"{named_instance(study, piece)}, m = {widths[0]} to {widths[-1]}",
            what=f"exponent in m of the {ABOUT[name]}",
        )
        for piece, by in zip(slices(study.axes), laws, strict=True)
        for name, law in by.items()
    ]


def _figures(study: Study, laws: list[dict[str, PowerLaw]]) -> tuple[Figure, ...]:
    of = {piece.index: by for piece, by in zip(slices(study.axes), laws, strict=True)}
    return small_multiples(
        "kernel_limit",
        slices(study.axes),
        lambda piece: [_panel(study, piece, of[piece.index])],
        "Relative distance of the tangent kernel from κ I.",
    )


def _panel(study: Study, piece: Slice, by: dict[str, PowerLaw]) -> Panel:
    lines = tuple(
        Line(name, label, piece.at, fit=drawn_fit(by[name], study.config.network.widths))
        for name, label in (
            ("typical", "root mean square"),
            ("operator", "operator norm"),
            ("largest", "largest entry"),
        )
    )
    return Panel(
        "powerlaw",
        "width",
        lines,
        (Drawn("∝ m^-½", exponent=-0.5, line=0),),
        title=titled("Tangent kernel of width m and its limit", piece),
        ylabel="distance, relative",
    )
