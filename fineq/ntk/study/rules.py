"""Where each rule stops kernel descent on noisy labels, and what it costs, for one member."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from fineq.ntk import forward, spectral, stopping, targets
from fineq.ntk.kernel import gram
from fineq.ntk.study.instances import Instance
from fineq.ntk.study.paths import error, kernel_paths

# Written as in figures; the order of `Rules`' first axis.
RULES = {
    "oracle": "oracle",
    "gcv": "cross-validation",
    "holdout": "hold-out",
    "unit": "Rademacher, B = 1",
    "measured": "Rademacher, B measured",
    "estimated": "Rademacher, B measured, σ estimated",
    "score": "oracle of the score error",
}


class Rules(NamedTuple):
    """One member at S training times.

    Attributes:
        risk: E w |f_τ - f*|² on fresh points, `[S]`.
        score: E (a/h)² |f_τ - f*|², `[S]`.
        time: τ at which each of `RULES` stops, `[R]`.
        stopped: the risk there, `[R]`.
        noise: label noise per output, root mean square over t.
        estimate: the same, from residuals.
        radius: B, the RKHS norm per output of clean labels at the last time.
        decay: exponent b of the eigenvalues λ_i of order i^-b.
        floor: risk of the interpolant of clean labels.
    """

    risk: Array
    score: Array
    time: Array
    stopped: Array
    noise: Array
    estimate: Array
    radius: Array
    decay: Array
    floor: Array


def rules(instance: Instance, eta: Array, times: Array, holdout: float) -> Rules:
    """Stop by every rule.

    Args:
        instance: the member.
        eta: step size.
        times: τ, `[S]`.
        holdout: share of the data that hold-out does not train on.
    """
    process, train, test = instance.process, instance.train, instance.test
    num = train.z.shape[0]
    paths = kernel_paths(instance, eta, times)
    apart = paths.of_noisy - test.clean[None]
    risk = error(test, apart) ** 2
    score = error(test._replace(weight=forward.weight(process, test.t, "score")), apart) ** 2
    noise = jnp.sqrt(jnp.mean(targets.noise(process, instance.law, train.t, train.x)))
    values = paths.spectrum.values
    freedom = spectral.degrees_of_freedom(values, eta, times)
    loss = paths.noisy.loss
    estimate = stopping.noise_level(loss, freedom, num).level
    radius = stopping.radius(paths.clean.norm[-2])
    complexity = stopping.complexity(values, eta, times)

    def local(noise: Array, radius: Array) -> stopping.Stop:
        return stopping.local_rademacher(complexity, times, noise, radius)

    stops = {
        "oracle": stopping.oracle(risk, times),
        "gcv": stopping.cross_validation(loss, freedom, num, times),
        "holdout": _held_out(instance, eta, times, holdout),
        "unit": local(noise, jnp.ones_like(noise)),
        "measured": local(noise, radius),
        "estimated": local(estimate, radius),
        "score": stopping.oracle(score, times),
    }
    return Rules(
        risk,
        score,
        jnp.stack([stops[name].time for name in RULES]),
        jnp.stack([risk[stops[name].place] for name in RULES]),
        noise,
        estimate,
        radius,
        decay_of(values),
        error(test, paths.limit - test.clean) ** 2,
    )


def _held_out(instance: Instance, eta: Array, times: Array, share: float) -> stopping.Stop:
    train = instance.train
    kept, held = stopping.split(instance.key, train.z.shape[0], share)
    spectrum = spectral.spectrum(gram(train.z[kept]))
    path = spectral.descend(spectrum, train.noisy[kept], eta, times, force=True)
    found = spectral.predict(train.z[held], train.z[kept], path.coefficients)
    return stopping.hold_out(found, train.noisy[held], times)


HEAD = 4  # the first eigenvalues follow no power yet, the last three quarters feel the finite N


def decay_of(values: Array) -> Array:
    """Exponent b of eigenvalues λ_i of order i^-b, by least squares over ranks HEAD..N/4."""
    last = max(values.shape[0] // 4, HEAD + 2)
    ranks = jnp.log(jnp.arange(HEAD, last, dtype=values.dtype))
    # Eigenvalues at rounding may come out as 0.
    logs = jnp.log(jnp.maximum(values[HEAD - 1 : last - 1], jnp.finfo(values.dtype).tiny))
    apart = ranks - jnp.mean(ranks)
    return -jnp.sum(apart * logs) / jnp.sum(apart**2)
