"""What the theory assumes, measured (`ntk/assumptions`).

The smallest eigenvalue of the Gram matrix and the decay of the others, the noise of the labels, the
Lipschitz constant of f*(t, ·), and the mass outside a ball with what cutting it off costs: over the
diffusion time, over the number of points, and over whatever is swept, T0 above all.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq.claims import Claim, Measured, Theory
from fineq.figures import Figure, Line, Panel
from fineq.figures import Theory as Drawn
from fineq.ntk import forward, targets
from fineq.ntk.claims import claim
from fineq.ntk.config import NtkConfig
from fineq.ntk.label_noise import Levels, levels
from fineq.ntk.study.common import (
    Study,
    coords_of,
    make_study,
    slices,
    target_notes,
)
from fineq.ntk.study.instances import Given, Instance, Member, process_of
from fineq.ntk.study.rules import decay_of
from fineq.ntk.tangent import gram
from fineq.rates import PowerLaw, median_interval, power_law
from fineq.results import Array as Named
from fineq.results import Arrays, StudyResult
from fineq.studies import Slice, dims_of, drawn_fit, named_arrays
from fineq.sweep import Axis
from fineq.sweep.stages import Stages

SHOWN = 16  # eigenvalues that every N has
ABOUT = {
    "smallest": "smallest eigenvalue of K/N",
    "largest": "largest eigenvalue of K/N",
    "trace": "trace of K/N",
    "decay": "exponent b of λ_i ∝ i^-b",
}
OVER_TIME = {
    "noise": "label noise, root mean square per output",
    "signal": "signal f*, root mean square per output",
    "lipschitz": "largest slope of f*(t, ·) found",
    "bound": "bound (a/h) diameter²/4",
}
ROUNDING = 1e-6
IDENTITY = 0.01  # on the difference of losses over their constant
NUM_DRAWS = 2**14  # of triples, behind losses and, in many dimensions, label noise
DIAGONAL = 2.0  # of the cube [-1, 1]^d over √d


class Spectrum(NamedTuple):
    """Eigenvalues of K/N: ends, sum, exponent of the decay, and the largest, falling."""

    smallest: Array
    largest: Array
    trace: Array
    decay: Array
    values: Array


class OverTime(NamedTuple):
    """Of the target at each diffusion time `[K]`; `outside` and `cost` are `[R, K]`.

    Attributes:
        noise: √(E tr Cov(X_0 | X_t)/d).
        signal: √(E |f* - E X_0|²/d).
        lipschitz: largest slope of f*(t, ·) among states.
        bound: what it cannot exceed in the cube.
        outside: P(|X_t| > R).
        cost: E |f*|² 1{|X_t| > R} over E |f*|².
        identity: denoising less explicit loss over the constant between them, less 1, for the
            predictor f(t, x) = a x, and the variance of this mean: `[2]`.
    """

    noise: Array
    signal: Array
    lipschitz: Array
    bound: Array
    outside: Array
    cost: Array
    identity: Array


def run(config: NtkConfig, given: Given, stages: Stages) -> StudyResult:
    """Spectra against N, the target against t."""
    sizes = Axis("data.num", [int(n) for n in config.assumptions.sizes], static=True)
    study = make_study(config, given, stages, sizes)
    spectrum = _spectra(study, sizes)
    t = _times(study)
    found: OverTime = stages.measure(
        "target", lambda member: _over_time(study, t, member), study.axes
    )
    over_time = {name: np.asarray(x) for name, x in found._asdict().items()}
    laws = _laws(study, spectrum)
    arrays, coords = _arrays(study, sizes, t, spectrum, over_time)
    return StudyResult(
        arrays,
        coords,
        tuple(_claims(study, spectrum, over_time, laws)),
        tuple(laws),
        _figures(study, laws),
        notes=target_notes(given),
    )


def _spectra(study: Study, sizes: Axis) -> dict[str, np.ndarray]:
    """Of every N, `[N, *axes]`, eigenvalues cut at the smallest N."""

    def look(member: Member) -> Spectrum:
        z = study.instance(member).train.z
        values = jnp.linalg.eigvalsh(gram(z) / z.shape[0])[::-1]
        shown = values[: min(min(sizes.values), values.shape[0])]
        return Spectrum(values[-1], values[0], jnp.sum(values), decay_of(values), shown)

    found = study.stages.measure("spectra", look, [sizes, *study.axes])
    return {name: np.asarray(x) for name, x in found._asdict().items()}


def _times(study: Study) -> np.ndarray:
    """Diffusion times from the earliest T0 to the latest T of all members, on a log scale."""
    config = study.config
    swept = {axis.name: axis.values for axis in study.axes}
    first = min(swept.get("process.T0", [config.process.T0]))
    last = max(swept.get("process.T", [config.process.T]))
    return np.geomspace(first, last, config.assumptions.num_times)


def _over_time(study: Study, times: np.ndarray, member: Member) -> OverTime:
    """NaN at times that the member does not learn."""
    config, law = study.config, study.given.target.law
    instance = study.instance(member)
    process = instance.process
    key_draws, key_slopes = jax.random.split(instance.key)
    t = jnp.asarray(times, config.precision)
    num = config.data.num_test
    x0 = law.sample(key_draws, num)
    mean = law.moments()[0]
    radii = jnp.asarray(config.assumptions.radii, t.dtype)

    def at(s: Array) -> tuple[Array, ...]:
        times = jnp.full(num, s)
        x = forward.diffuse(process, key_slopes, times, x0)
        best = targets.denoise(process, law, times, x)
        noise = jnp.mean(targets.noise(process, law, times, x))
        signal = jnp.mean((best - mean[None]) ** 2)
        size = jnp.sum(best**2, axis=-1)
        outside = jnp.linalg.norm(x, axis=-1)[None] > radii[:, None]
        cost = jnp.mean(jnp.where(outside, size[None], 0), axis=-1) / jnp.mean(size)
        return jnp.sqrt(noise), jnp.sqrt(signal), jnp.mean(outside, axis=-1), cost

    noise, signal, outside, cost = jax.lax.map(at, t)
    found = targets.lipschitz(process, law, t, key_slopes, num // 2)
    bound = targets.slope_bound(process, t, DIAGONAL * np.sqrt(law.d))
    # The ends are among the times up to rounding.
    learned = (t >= process.T0 * (1 - ROUNDING)) & (t <= process.T * (1 + ROUNDING))
    every = (noise, signal, found, bound, outside.T, cost.T)
    shown = [jnp.where(learned, x, jnp.nan) for x in every]
    return OverTime(*shown, identity=_identity(study, instance))


def _identity(study: Study, instance: Instance) -> Array:
    process, times = instance.process, forward.TIMES[study.config.data.times]
    data = forward.triples(process, instance.law, instance.key, NUM_DRAWS, times)
    truth = targets.predictor(process, instance.law)

    def linear(t: Array, x: Array) -> Array:
        return forward.alpha(process, t)[:, None] * x

    found = forward.losses(process, linear, truth, data, study.config.data.weight)
    whole = jnp.mean(found.noise)
    # A single point has no noise, and the losses are equal.
    apart = (found.denoising - found.explicit - found.noise) / jnp.where(whole > 0, whole, 1.0)
    return jnp.stack([jnp.mean(apart), jnp.var(apart) / apart.size])


def _laws(study: Study, spectrum: dict[str, np.ndarray]) -> list[PowerLaw]:
    """Exponent in N of the smallest eigenvalue, for every slice."""
    sizes = np.asarray(study.config.assumptions.sizes)
    return [
        power_law(
            sizes,
            np.moveaxis(spectrum["smallest"][(slice(None), *piece.index)], 0, -1),
            quantity=f"{ABOUT['smallest']} in N, {piece.label}".removesuffix(", "),
        )
        for piece in slices(study.axes)
    ]


def _claims(
    study: Study,
    spectrum: dict[str, np.ndarray],
    over_time: dict[str, np.ndarray],
    laws: list[PowerLaw],
) -> list[Claim]:
    claims = []
    most = max(study.config.assumptions.sizes)
    for piece, law in zip(slices(study.axes), laws, strict=True):
        at = (-1, *piece.index)
        instance = f"{study.config.target.name}, {piece.label}".removesuffix(", ")
        decay = spectrum["decay"][at]
        eps = np.finfo(study.config.precision).eps
        rounding = float(most * eps * np.max(spectrum["largest"][at]))
        slope = over_time["lipschitz"][piece.index] / over_time["bound"][piece.index]
        noise, signal = _levels(study, piece)
        claims += [
            claim(
                "ntk/assumptions",
                median_interval(spectrum["smallest"][at]),
                Theory(rounding, ">=", "N eps λ_max: above rounding, K is positive definite"),
                instance=f"{instance}, N = {most:g}",
                what="smallest eigenvalue of K/N",
            ),
            claim(
                "ntk/assumptions",
                law,
                instance=instance,
                what="exponent in N of the smallest eigenvalue of K/N",
            ),
            claim(
                "ntk/assumptions",
                median_interval(decay),
                instance=f"{instance}, N = {most:g}",
                what="exponent b of the decay λ_i ∝ i^-b of K/N",
            ),
            claim(
                "ntk/assumptions",
                median_interval(-decay / (decay + 1)),
                instance=f"{instance}, N = {most:g}",
                what="exponent in N of the risk that the decay predicts, -b/(b + 1)",
            ),
            claim(
                "ntk/assumptions",
                Measured.exact(float(np.nanmax(slope))),
                Theory(1.0, "<=", "(a/h) diameter²/4 of the cube"),
                instance=f"{instance}, all t and seeds",
                what="largest slope of f*(t, ·) over its bound",
                sampled=True,
            ),
            *(
                claim(
                    "ntk/assumptions",
                    level,
                    instance=f"{instance}, t {study.config.data.times.replace('_', '-')}",
                    what=f"{name} per output, root mean square over t",
                )
                for name, level in (("label noise", noise), ("signal f* - E X_0", signal))
            ),
            claim(
                "ntk/score-identity",
                _pooled(over_time["identity"][piece.index]),
                Theory(0.0, "~", "E w|f - X_0|² - E w|f - f*|² = E w|X_0 - f*|²", margin=IDENTITY),
                instance=f"{instance}, f(t, x) = a x, {study.config.data.weight} weight",
                what="difference of the two losses over the constant, less 1",
            ),
        ]
    return claims


def _pooled(means: np.ndarray) -> Measured:
    """Mean over seeds of independent means with known variances, `[seed, 2]`, and its interval."""
    value = float(np.mean(means[:, 0]))
    half = 1.96 * float(np.sqrt(np.sum(means[:, 1]))) / len(means)
    return Measured(value, value - half, value + half)


def _levels(study: Study, piece: Slice) -> Levels:
    """Label noise and signal, by quadrature in one and two dimensions, else from draws."""
    swept = [axis.name for axis in study.axes if axis.name != "seed"]
    config = study.config_at(dict(zip(swept, piece.at.values(), strict=True)))
    key = jax.random.key(config.first_seed)
    times = forward.TIMES[config.data.times]
    return levels(process_of(config), study.given.target.law, key, NUM_DRAWS, times)


def _arrays(
    study: Study,
    sizes: Axis,
    t: np.ndarray,
    spectrum: dict[str, np.ndarray],
    over_time: dict[str, np.ndarray],
) -> tuple[Arrays, Arrays]:
    config, axes = study.config, [sizes, *study.axes]
    arrays = named_arrays(spectrum, dims_of(axes), ABOUT)
    values = spectrum["values"]
    arrays["eigenvalue"] = Named(values, (*dims_of(axes), "rank"), "1", "eigenvalue of K/N")
    arrays |= named_arrays(over_time, dims_of(study.axes), OVER_TIME, last=("t",))
    dims = (*dims_of(study.axes), "radius", "t")
    arrays["outside"] = Named(over_time["outside"], dims, "1", "P(|X_t| > R)")
    arrays["cost"] = Named(over_time["cost"], dims, "1", "share of E|f*|² that cutting at R loses")
    more = {
        "rank": np.arange(1, values.shape[-1] + 1),
        "radius": np.array(config.assumptions.radii),
    }
    return arrays, coords_of(axes, config, t=t, **more)


def _figures(study: Study, laws: list[PowerLaw]) -> tuple[Figure, ...]:
    pieces = slices(study.axes)
    first, most = pieces[0], int(max(study.config.assumptions.sizes))
    spectrum = Panel(
        "powerlaw",
        "rank",
        tuple(Line("eigenvalue", p.label, {**p.at, "num": most}) for p in pieces),
        title=f"Spectrum, N = {most}",
    )
    smallest = Panel(
        "powerlaw",
        "num",
        tuple(
            Line("smallest", p.label, p.at, fit=drawn_fit(law, study.config.assumptions.sizes))
            for p, law in zip(pieces, laws, strict=True)
        ),
        title="Conditioning",
    )
    levels = Panel(
        "curves",
        "t",
        (Line("noise", "label noise", first.at), Line("signal", "signal f*", first.at)),
        title=_titled("Labels", first),
        xscale="log",
        ylabel="root mean square",
    )
    slopes = Panel(
        "curves",
        "t",
        (Line("lipschitz", "found", first.at),),
        (Drawn("bound", variable="bound", line=0, at=first.at),),
        title=_titled("Slope of f*(t, ·)", first),
        xscale="log",
        yscale="log",
    )
    return (
        Figure("spectrum", (spectrum, smallest), "Eigenvalues of the Gram matrix K/N."),
        Figure("target", (levels, slopes, _outside(study, first)), "The target over time."),
    )


def _titled(text: str, piece: Slice) -> str:
    return f"{text}, {piece.label}".removesuffix(", ")


def _outside(study: Study, piece: Slice) -> Panel:
    lines = tuple(
        Line("outside", f"R = {radius:g}", {**piece.at, "radius": radius})
        for radius in study.config.assumptions.radii
    )
    return Panel(
        "curves", "t", lines, title=_titled("Mass outside", piece), xscale="log", ordered=True
    )
