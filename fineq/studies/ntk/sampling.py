"""Samples from scores that were stopped early, well and late (`ntk/sampling`).

Kernel descent on noisy labels is stopped at every training time of a list; each predictor is put
into the reverse process, and its samples X_{T0} are compared with fresh data at the same noise.
Beside the distance of the samples: the error of regression and that of the score, which weighs
small t by a²/h² and so asks for another stopping time.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq.claims import Claim
from fineq.ntk import forward, targets
from fineq.ntk.sampling import discrepancy, median_distance, sample, sliced_wasserstein
from fineq.ntk.tangent import kernel
from fineq.results import StudyResult, status_of
from fineq.studies.ntk.common import (
    Study,
    counting,
    divergence_note,
    kept,
    make_study,
    median,
    named_instance,
    over,
    ratio_interval,
    target_notes,
    with_losses,
    with_lost,
)
from fineq.studies.ntk.config import NtkConfig
from fineq.studies.ntk.early_stopping import AVOIDS
from fineq.studies.ntk.instances import Given, Instance
from fineq.studies.ntk.paths import error, kernel_paths
from fineq.studies.ntk.sampling_views import arrays_of, figures_of
from fineq.sweep.stages import Member, Stages


class Sampled(NamedTuple):
    """One member at S training times.

    Attributes:
        distance, discrepancy: of samples to fresh data, `[S]`.
        risk: √(E w |f_τ - f*|²) on fresh points, `[S]`.
        score: √(E (a/h)² |f_τ - f*|²), `[S]`.
        exact_distance, exact_discrepancy: of samples from the exact score.
        data_distance: of other fresh data.
        samples: X_{T0} of `MODELS`, `[4, shown, d]`.
        denoised: predictions of X_0 there, `[4, shown, d]`.
        chosen: indices of the training times of the first three models.
        diverged: whether the step size is above the stability limit.
    """

    distance: Array
    discrepancy: Array
    risk: Array
    score: Array
    exact_distance: Array
    exact_discrepancy: Array
    data_distance: Array
    samples: Array
    denoised: Array
    chosen: Array
    diverged: Array


def run(config: NtkConfig, given: Given, stages: Stages) -> StudyResult:
    """Descend, sample at every time, compare."""
    study = make_study(config, given, stages)
    times, values = sampled(study)
    return result_of(study, times, values)


def sampled(study: Study) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Training times `[S]`, and `Sampled` of all members by name, `[*axes, ...]`."""
    last, num = study.config.descent.last, study.config.sampling.num_times
    times = np.unique(np.geomspace(1, last, num).round())
    found = study.stages.measure("samples", lambda member: _look(study, times, member), study.axes)
    values = {name: np.asarray(x) for name, x in found._asdict().items()}
    return times, with_losses(values, "distance")


def result_of(study: Study, times: np.ndarray, values: dict[str, np.ndarray]) -> StudyResult:
    """What the study says of `sampled`."""
    return StudyResult(
        *arrays_of(study, times, values),
        tuple(_claims(study, times, values)),
        (),
        figures_of(study),
        status=status_of(values["diverged"]),
        notes={
            **target_notes(study.given),
            **_notes(study.config),
            **divergence_note(values["diverged"]),
        },
    )


def _look(study: Study, times: np.ndarray, member: Member) -> Sampled:
    config, law = study.config, study.given.target.law
    instance, settings = study.instance(member), config.sampling
    process, train, test = instance.process, instance.train, instance.test
    paths = kernel_paths(study.config_at(member), instance, jnp.asarray(times, train.z.dtype))
    apart = paths.of_noisy - test.clean[None]
    risk = error(test, apart)
    weight = forward.weight(process, test.t, "score")
    score = error(test._replace(weight=weight), apart)
    keys = jax.random.split(instance.key, 6)
    num, dtype = settings.num_samples, train.z.dtype

    def data(key: Array, t: Array) -> Array:
        first, second = jax.random.split(key)
        return forward.diffuse(process, second, jnp.full(num, t, dtype), law.sample(first, num))

    fresh, other = data(keys[0], process.T0), data(keys[1], process.T0)
    start = data(keys[2], process.T)
    if settings.start == "normal":
        start = jax.random.normal(keys[2], start.shape, dtype)
    width = median_distance(fresh[:500])

    def drawn(predictor: forward.Predictor) -> tuple[Array, Array, Array, Array]:
        x = sample(keys[3], process, predictor, start, settings.num_steps, settings.sampler)
        far = sliced_wasserstein(keys[4], x, fresh), discrepancy(x, fresh, width)
        shown = x[: settings.shown]
        return *far, shown, predictor(jnp.full(shown.shape[0], process.T0), shown)

    def at(coefficients: Array) -> tuple[Array, Array, Array, Array]:
        return drawn(_predictor(study, instance, coefficients))

    distance, mmd, samples, denoised = jax.lax.map(at, paths.noisy.coefficients)
    exact_distance, exact_mmd, exact, cleared = drawn(targets.predictor(process, law))
    best = jnp.argmin(distance)
    early = jnp.argmin(jnp.abs(jnp.log(jnp.asarray(times)) - jnp.log(jnp.asarray(times))[best] / 2))
    chosen = jnp.stack([early, best, jnp.asarray(len(times) - 1)])
    return Sampled(
        *(distance, mmd, risk, score, exact_distance, exact_mmd),
        sliced_wasserstein(keys[4], other, fresh),
        jnp.concatenate([samples[chosen], exact[None]]),
        jnp.concatenate([denoised[chosen], cleared[None]]),
        chosen,
        paths.noisy.diverged,
    )


def _predictor(study: Study, instance: Instance, coefficients: Array) -> forward.Predictor:
    def predict(t: Array, x: Array) -> Array:
        z = forward.inputs(instance.process, t, x, study.config.data.constant)
        return kernel(z, instance.train.z) @ coefficients

    return predict


def _claims(study: Study, times: np.ndarray, values: dict[str, np.ndarray]) -> list[Claim]:
    claims = []
    for piece, own in kept(study, values):
        about = partial(counting(study), kept=len(own["diverged"]))
        instance = named_instance(study, piece)
        least = own["distance"].min(axis=-1)
        best = {name: times[own[name].argmin(axis=-1)] for name in ("distance", "risk", "score")}
        chosen = own["score"].argmin(axis=-1)
        stopped = np.take_along_axis(own["distance"], chosen[:, None], axis=-1)[:, 0]
        apart, early = median(over(stopped, own["distance"][:, -1])), ""
        if np.median(chosen) == len(times) - 1:
            early = (
                f"the score error is least at the last time, τ = {times[-1]:g}: nothing is "
                "overfitted yet, and a larger descent.last decides"
            )
        claims += [
            about(
                "ntk/sampling",
                apart,
                AVOIDS,
                instance=f"{instance}, τ = {times[-1]:g}",
                what="distance of samples to data, at the τ of least score error over the last τ",
                undecided=early,
            ),
            about(
                "ntk/sampling",
                median(over(own["distance"][:, -1], least)),
                instance=f"{instance}, τ = {times[-1]:g}",
                what="distance of samples to data, last τ over the best τ",
            ),
            *(
                about(
                    "ntk/sampling",
                    median(with_lost(values, study)),
                    instance=instance,
                    what=f"squared maximum mean discrepancy of samples to data, {name}",
                )
                for name, values in (
                    ("best τ", own["discrepancy"].min(axis=-1)),
                    ("last τ", own["discrepancy"][:, -1]),
                )
            ),
            about(
                "ntk/sampling",
                median(own["exact_discrepancy"]),
                instance=instance,
                what="squared maximum mean discrepancy of samples to data, exact score",
            ),
            about(
                "ntk/sampling",
                median(over(least, own["exact_distance"])),
                instance=instance,
                what="distance of samples to data, best τ over exact score",
            ),
            about(
                "ntk/sampling",
                median(over(own["exact_distance"], own["data_distance"])),
                instance=instance,
                what="distance of samples to data, exact score over fresh data",
            ),
            about(
                "ntk/sampling",
                ratio_interval(best["distance"] / best["risk"]),
                instance=instance,
                what="best τ for samples over best τ for the regression error",
            ),
            about(
                "ntk/sampling",
                ratio_interval(best["score"] / best["risk"]),
                instance=instance,
                what="best τ for the score error over best τ for the regression error",
            ),
        ]
    return claims


def _notes(config: NtkConfig) -> dict[str, str]:
    start = "X_T itself" if config.sampling.start == "exact" else "N(0, I)"
    return {
        "samples": f"{config.sampling.num_samples} samples at t = T0 from {start}, "
        f"{config.sampling.num_steps} steps; models: early is stopped at the square root of the "
        f"best τ, late at τ = {config.descent.last:g}"
    }
