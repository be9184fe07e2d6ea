"""Samples from scores that were stopped early, well and late (`ntk/sampling`).

Kernel descent on noisy labels is stopped at every training time of a list; each predictor is put
into the reverse process, and its samples X_{T0} are compared with fresh data at the same noise.
Beside the distance of the samples: the error of regression and that of the score, which weighs
small t by a²/h² and so asks for another stopping time.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq.claims import Claim, Theory
from fineq.figures import Figure, Line, Panel
from fineq.figures import Theory as Drawn
from fineq.ntk import forward, targets
from fineq.ntk.claims import claim
from fineq.ntk.config import NtkConfig
from fineq.ntk.sampling import discrepancy, median_distance, sample, sliced_wasserstein
from fineq.ntk.study.common import (
    Study,
    coords_of,
    divergence_note,
    kept,
    make_study,
    named_instance,
    ratio_interval,
    slices,
    target_notes,
)
from fineq.ntk.study.instances import Given, Instance, Member
from fineq.ntk.study.paths import error, kernel_paths
from fineq.ntk.tangent import kernel
from fineq.rates import median_interval
from fineq.results import Array as Named
from fineq.results import Arrays, StudyResult, status_of
from fineq.studies import dims_of, named_arrays
from fineq.sweep.stages import Stages

MODELS = ("early", "best", "late", "exact")
NUM_PLANE = 96  # points along each axis of the density that samples are drawn over
MEASURES = {
    "distance": "sliced Wasserstein distance",
    "discrepancy": "squared maximum mean discrepancy",
    "risk": "regression error",
    "score": "score error",
}
EXACT = {
    "exact_distance": "sliced Wasserstein distance, exact score",
    "data_distance": "sliced Wasserstein distance of fresh data to data",
    "exact_discrepancy": "squared maximum mean discrepancy, exact score",
}


class Sampled(NamedTuple):
    """One member at S training times.

    Attributes:
        distance, discrepancy: of samples to fresh data, `[S]`.
        risk: √(E |f_τ - f*|²) on fresh points, `[S]`.
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
    return times, {name: np.asarray(x) for name, x in found._asdict().items()}


def result_of(study: Study, times: np.ndarray, values: dict[str, np.ndarray]) -> StudyResult:
    """What the study says of `sampled`."""
    return StudyResult(
        *_arrays(study, times, values),
        tuple(_claims(study, times, values)),
        (),
        _figures(study),
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
    risk = error(test._replace(weight=jnp.ones_like(test.t)), apart)
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
    for piece in slices(study.axes):
        own = kept(values, piece)
        if not own["risk"].size:
            continue
        instance = named_instance(study, piece)
        least = own["distance"].min(axis=-1)
        best = {name: times[own[name].argmin(axis=-1)] for name in ("distance", "risk", "score")}
        chosen = own["score"].argmin(axis=-1)
        stopped = np.take_along_axis(own["distance"], chosen[:, None], axis=-1)[:, 0]
        claims += [
            claim(
                "ntk/sampling",
                median_interval(stopped / own["distance"][:, -1]),
                Theory(1.0, "<=", "stopping avoids overfitting"),
                instance=f"{instance}, τ = {times[-1]:g}",
                what="distance of samples to data, at the τ of least score error over the last τ",
            ),
            claim(
                "ntk/sampling",
                median_interval(own["distance"][:, -1] / least),
                instance=f"{instance}, τ = {times[-1]:g}",
                what="distance of samples to data, last τ over the best τ",
            ),
            *(
                claim(
                    "ntk/sampling",
                    median_interval(values),
                    instance=instance,
                    what=f"squared maximum mean discrepancy of samples to data, {name}",
                )
                for name, values in (
                    ("best τ", own["discrepancy"].min(axis=-1)),
                    ("last τ", own["discrepancy"][:, -1]),
                    ("exact score", own["exact_discrepancy"]),
                )
            ),
            claim(
                "ntk/sampling",
                median_interval(least / own["exact_distance"]),
                instance=instance,
                what="distance of samples to data, best τ over exact score",
            ),
            claim(
                "ntk/sampling",
                median_interval(own["exact_distance"] / own["data_distance"]),
                instance=instance,
                what="distance of samples to data, exact score over fresh data",
            ),
            claim(
                "ntk/sampling",
                ratio_interval(best["distance"] / best["risk"]),
                instance=instance,
                what="best τ for samples over best τ for the regression error",
            ),
            claim(
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


def _arrays(
    study: Study, times: np.ndarray, values: dict[str, np.ndarray]
) -> tuple[Arrays, Arrays]:
    dims = dims_of(study.axes)
    arrays = named_arrays(values, dims, MEASURES, last=("time",))
    arrays |= named_arrays(values, dims, EXACT)
    level = {k: np.broadcast_to(values[k][..., None], values["risk"].shape) for k in EXACT}
    arrays |= named_arrays(level, dims, EXACT, prefix="level_", last=("time",))
    # Samples of one member are enough to look at.
    first = (0,) * len(study.axes)
    samples = values["samples"][first]
    for i in range(min(study.d, 2)):
        text = f"coordinate {i + 1} of a sample"
        arrays[f"sample_{'xy'[i]}"] = Named(samples[..., i], ("model", "sample"), "1", text)
    coords = coords_of(study.axes, study.config, time=times, sample=np.arange(samples.shape[1]))
    coords["model"] = Named(np.array(MODELS), ("model",), "1", "model")
    more, axes = _density(study, samples)
    return arrays | more, coords | axes


def _density(study: Study, samples: np.ndarray) -> tuple[Arrays, Arrays]:
    """The density of X_{T0} on a line, or in the plane; none in more dimensions."""
    if study.d > 2:
        return {}, {}
    at = {axis.name: axis.values[0] for axis in study.axes}
    process, law = study.instance(at).process, study.given.target.law
    a, h = (float(f(process, process.T0)) for f in (forward.alpha, forward.variance))
    axis = np.linspace(-a - 3 * np.sqrt(h), a + 3 * np.sqrt(h), NUM_PLANE)
    mesh = np.stack(np.meshgrid(*[axis] * study.d, indexing="ij"), -1).reshape(-1, study.d)
    times = jnp.full(len(mesh), process.T0)
    density = np.exp(targets.log_density(process, law, times, jnp.asarray(mesh)))
    dims = ("x", "y")[: study.d]
    arrays = {"density": Named(density.reshape((NUM_PLANE,) * study.d), dims, "1", "density")}
    coords = {dim: Named(axis, (dim,), "1", f"coordinate {i + 1}") for i, dim in enumerate(dims)}
    if study.d == 1:
        edges = np.concatenate(
            [axis - 0.5 * (axis[1] - axis[0]), axis[-1:] + 0.5 * np.diff(axis[:2])]
        )
        coarse = edges[::3]
        middle = 0.5 * (coarse[1:] + coarse[:-1])
        counts = [np.histogram(x[:, 0], coarse, density=True)[0] for x in samples]
        arrays["histogram"] = Named(np.stack(counts), ("model", "bin"), "1", "density of samples")
        coords["bin"] = Named(middle, ("bin",), "1", "coordinate 1")
        true = np.interp(middle, axis, density)
        arrays["density_in_bins"] = Named(true, ("bin",), "1", "density of data")
    return arrays, coords


def _figures(study: Study) -> tuple[Figure, ...]:
    piece = slices(study.axes)[0]
    distance = Panel(
        "curves",
        "time",
        (Line("distance", "stopped at τ", piece.at),),
        (
            Drawn("exact score", variable="level_exact_distance", at=piece.at),
            Drawn("fresh data", variable="level_data_distance", at=piece.at),
        ),
        title="Samples",
        xscale="log",
        yscale="log",
    )
    errors = Panel(
        "curves",
        "time",
        (Line("risk", "regression", piece.at), Line("score", "score", piece.at)),
        title="Errors on fresh points",
        xscale="log",
        yscale="log",
        ylabel="root mean square error",
    )
    figures = [
        Figure("distance", (distance, errors), "How long to train, for samples and for regression.")
    ]
    if study.d == 1:
        panels = tuple(
            Panel(
                "curves",
                "bin",
                (Line("histogram", "", {"model": model}),),
                (Drawn("data", variable="density_in_bins"),),
                title=model,
            )
            for model in MODELS
        )
        figures.append(Figure("samples", panels, "Samples X_{T0} of one member, and the data."))
    if study.d == 2:
        panels = tuple(
            Panel(
                "field",
                "x",
                (
                    Line("density"),
                    Line("sample_x", "", {"model": model}),
                    Line("sample_y", "", {"model": model}),
                ),
                title=model,
            )
            for model in MODELS
        )
        figures.append(Figure("samples", panels, "Density of X_{T0}; dots: samples of one member."))
    return tuple(figures)
