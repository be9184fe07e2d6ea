"""Where each rule stops kernel descent on noisy labels, and what it costs, for one member."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from fineq.ntk import forward, stopping, targets
from fineq.studies.ntk.config import NtkConfig
from fineq.studies.ntk.instances import Data, Instance
from fineq.studies.ntk.paths import error, kernel_paths, step_of

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
        radius: B, the RKHS norm per output of clean labels at the last time that is known.
        decay: exponent b of the eigenvalues λ_i of order i^-b; NaN where not all are known.
        floor: risk of the interpolant of clean labels; NaN where it is not known.
        diverged: whether η is above the stability limit.
        inside: whether each rule stops strictly between the first and last of its times, `[R]`.
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
    diverged: Array
    inside: Array


def rules(config: NtkConfig, instance: Instance, times: Array) -> Rules:
    """Stop by every rule.

    Args:
        config: how to descend, and the share of the data that hold-out does not train on.
        instance: the member.
        times: τ, `[S]`.
    """
    process, train, test = instance.process, instance.train, instance.test
    num = train.z.shape[0]
    paths = kernel_paths(config, instance, times)
    apart = paths.of_noisy - test.clean[None]
    risk = error(test, apart) ** 2
    score = error(test._replace(weight=forward.weight(process, test.t, "score")), apart) ** 2
    noise = jnp.sqrt(jnp.mean(targets.noise(process, instance.law, train.t, train.x)))
    # What a Krylov path does not know any more is not picked from.
    loss = jnp.where(paths.known[:, None], paths.noisy.loss, jnp.nan)
    last = jnp.maximum(jnp.sum(paths.known) - 1, 0)
    estimate = stopping.noise_level(paths.noisy.loss, paths.freedom, num).level
    radius = stopping.radius(paths.clean.norm[last])

    def local(noise: Array, radius: Array) -> stopping.Stop:
        return stopping.local_rademacher(paths.complexity, times, noise, radius)

    stops = {
        "oracle": stopping.oracle(risk, times),
        "gcv": stopping.cross_validation(loss, paths.freedom, num, times),
        "holdout": _held_out(config, instance, times),
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
        decay_of(paths.values) if config.descent.method == "spectral" else jnp.array(jnp.nan),
        error(test, paths.limit - test.clean) ** 2,
        paths.noisy.diverged,
        jnp.stack([stops[name].inside for name in RULES]),
    )


def _held_out(config: NtkConfig, instance: Instance, times: Array) -> stopping.Stop:
    train = instance.train
    kept, held = stopping.split(instance.key, train.z.shape[0], config.stopping.holdout)
    part, left = (Data(*(x[index] for x in train)) for index in (kept, held))
    # With the step size of all points, so that its times mean the same.
    eta = step_of(config, train.z)
    paths = kernel_paths(config, instance._replace(train=part, test=left), times, eta)
    return stopping.hold_out(paths.of_noisy, left.noisy, times)


HEAD = 4  # the first eigenvalues follow no power yet, the last three quarters feel the finite N


def decay_of(values: Array) -> Array:
    """Exponent b of eigenvalues λ_i of order i^-b, by least squares over ranks HEAD..N/4.

    NaN for so few eigenvalues that fewer than two ranks are left.
    """
    last = values.shape[0] // 4
    if last < HEAD + 2:
        return jnp.array(jnp.nan, values.dtype)
    ranks = jnp.log(jnp.arange(HEAD, last, dtype=values.dtype))
    # Eigenvalues at rounding may come out as 0.
    logs = jnp.log(jnp.maximum(values[HEAD - 1 : last - 1], jnp.finfo(values.dtype).tiny))
    apart = ranks - jnp.mean(ranks)
    return -jnp.sum(apart * logs) / jnp.sum(apart**2)
