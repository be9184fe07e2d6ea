"""Where each rule stops kernel descent on noisy labels, and its cost (`ntk/early-stopping`)."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from fineq.ntk import stopping, targets
from fineq.ntk.decay import decay_exponent
from fineq.ntk.instance import Instance, Labelled, score_error, weighted_error
from fineq.ntk.paths import Paths

Descend = Callable[[Instance], Paths]

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


def every_rule(
    instance: Instance, times: Array, descend: Descend, share: float, whole: bool = True
) -> Rules:
    """Stop by every rule.

    Args:
        instance: the member.
        times: τ, `[S]`.
        descend: an instance to its `Paths` at these times, of one step size for all instances.
        share: of the data, that hold-out does not train on.
        whole: whether the paths know all eigenvalues.

    Raises:
        InputError: for a share that leaves no points on one side.
    """
    process, train, test = instance.process, instance.train, instance.test
    paths = descend(instance)
    apart = paths.of_noisy - test.clean[None]
    risk = weighted_error(test, apart) ** 2
    score = score_error(process, test, apart) ** 2
    noise = jnp.sqrt(jnp.mean(targets.noise(process, instance.law, train.t, train.x)))
    last = jnp.maximum(jnp.sum(paths.known) - 1, 0)
    radius = stopping.radius(paths.clean.norm[last])
    estimate = stopping.noise_level(paths.noisy.loss, paths.freedom, train.z.shape[0]).level
    stops = {
        "oracle": stopping.oracle(risk, times),
        "holdout": _held_out(instance, times, descend, share),
        "score": stopping.oracle(score, times),
        **_by_data(paths, times, noise, estimate, radius),
    }
    return Rules(
        risk=risk,
        score=score,
        time=jnp.stack([stops[name].time for name in RULES]),
        stopped=jnp.stack([risk[stops[name].place] for name in RULES]),
        noise=noise,
        estimate=estimate,
        radius=radius,
        decay=decay_exponent(paths.values) if whole else jnp.array(jnp.nan),
        floor=weighted_error(test, paths.limit - test.clean) ** 2,
        diverged=paths.noisy.diverged,
        inside=jnp.stack([stops[name].inside for name in RULES]),
    )


def _by_data(
    paths: Paths, times: Array, noise: Array, estimate: Array, radius: Array
) -> dict[str, stopping.Stop]:
    # What a Krylov path does not know any more is not picked from.
    loss = jnp.where(paths.known[:, None], paths.noisy.loss, jnp.nan)
    num = paths.noisy.coefficients.shape[1]

    def local(noise: Array, radius: Array) -> stopping.Stop:
        return stopping.local_rademacher(paths.complexity, times, noise, radius)

    return {
        "gcv": stopping.cross_validation(loss, paths.freedom, num, times),
        "unit": local(noise, jnp.ones_like(noise)),
        "measured": local(noise, radius),
        "estimated": local(estimate, radius),
    }


def _held_out(instance: Instance, times: Array, descend: Descend, share: float) -> stopping.Stop:
    train = instance.train
    kept, held = stopping.split(instance.key, train.z.shape[0], share)
    part, left = (Labelled(*(x[index] for x in train)) for index in (kept, held))
    paths = descend(instance._replace(train=part, test=left))
    return stopping.hold_out(paths.of_noisy, left.noisy, times)
