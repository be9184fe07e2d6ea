"""What the theory assumes of one member: its spectrum, and its target over the diffusion time."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq.ddpm.laws import Points
from fineq.ntk import forward, targets
from fineq.ntk.label_noise import (
    Levels,
    has_grid,
    levels,
    mass_outside,
    noise_on_grid,
    spread,
)
from fineq.ntk.tangent import gram
from fineq.studies.common import Slice
from fineq.studies.ntk.common import Study, slices
from fineq.studies.ntk.instances import Instance, process_of
from fineq.studies.ntk.rules import decay_of
from fineq.sweep import Axis
from fineq.sweep.stages import Member

NUM_DRAWS = 2**14  # of triples, behind losses and, in many dimensions, label noise
DIAGONAL = 2.0  # of the cube [-1, 1]^d over √d
ROUNDING = 1e-6  # of the ends of the diffusion times


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


def spectra(study: Study, sizes: Axis) -> dict[str, np.ndarray]:
    """Of every N, `[N, *axes]`, eigenvalues cut at the smallest N."""

    def look(member: Member) -> Spectrum:
        z = study.instance(member).train.z
        values = jnp.linalg.eigvalsh(gram(z) / z.shape[0])[::-1]
        shown = values[: min(min(sizes.values), values.shape[0])]
        return Spectrum(values[-1], values[0], jnp.sum(values), decay_of(values), shown)

    found = study.stages.measure("spectra", look, [sizes, *study.axes])
    return {name: np.asarray(x) for name, x in found._asdict().items()}


def diffusion_times(study: Study) -> np.ndarray:
    """Diffusion times from the earliest T0 to the latest T of all members, on a log scale."""
    config = study.config
    swept = {axis.name: axis.values for axis in study.axes}
    first = min(swept.get("process.T0", [config.process.T0]))
    last = max(swept.get("process.T", [config.process.T]))
    return np.geomspace(first, last, config.assumptions.num_times)


def over_time(study: Study, times: np.ndarray, member: Member) -> OverTime:
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


def made_exact(
    study: Study, times: np.ndarray, values: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Values over time with exact ones in place of averages over draws, where there are any.

    Noise and signal by quadrature in one and two dimensions; the mass outside balls for points.
    """
    law, made = (
        study.given.target.law,
        {k: np.array(values[k]) for k in ("noise", "signal", "outside")},
    )
    for piece in slices(study.axes):
        process = process_of(study.config_at(member_at(study, piece)))
        learned = np.isfinite(made["noise"][piece.index][0])
        t = jnp.asarray(times[learned])
        if has_grid(process, law, t[:1]):
            noise = np.asarray(noise_on_grid(process, law, t).noise)
            made["noise"][piece.index][:, learned] = np.sqrt(noise)
            signal = np.maximum(float(spread(law)) - noise, 0)
            made["signal"][piece.index][:, learned] = np.sqrt(signal)
        if isinstance(law, Points) and float(law.variance) == 0:
            for i, radius in enumerate(study.config.assumptions.radii):
                mass = mass_outside(process, law, t, float(radius))
                made["outside"][piece.index][:, i, learned] = mass
    return {**values, **made}


def member_at(study: Study, piece: Slice) -> dict[str, float]:
    """The swept fields of a slice by their paths."""
    swept = [axis.name for axis in study.axes if axis.name != "seed"]
    return dict(zip(swept, piece.at.values(), strict=True))


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


def levels_of(study: Study, piece: Slice) -> Levels:
    """Label noise and signal, by quadrature in one and two dimensions, else from draws."""
    config = study.config_at(member_at(study, piece))
    key = jax.random.key(config.first_seed)
    times = forward.TIMES[config.data.times]
    return levels(process_of(config), study.given.target.law, key, NUM_DRAWS, times)
