"""Samples from scores that were stopped early, well and late (`ntk/sampling`).

Kernel descent on noisy labels is stopped at every training time of a list; each predictor is put
into the reverse process, and its samples X_{T0} are compared with fresh data at the same noise.
Beside the distance of the samples: the error of regression and that of the score, which weighs
small t by a²/h² and so asks for another stopping time.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq import figures
from fineq.keys import key_for
from fineq.ntk import forward, sampling, targets
from fineq.ntk.instance import Instance, score_error, weighted_error
from fineq.ntk.tangent import kernel
from fineq.studies import numbers
from fineq.studies.common import first_alone
from fineq.studies.ntk import common
from fineq.studies.ntk.early_stopping import AVOIDS
from fineq.studies.ntk.paths import kernel_paths
from fineq.studies.ntk.pictures import MODELS, picture
from fineq.studies.recipe import Draw, Found, Quantity, Recipe, Row, View
from fineq.studies.statistics import Median
from fineq.sweep.stages import Member

TITLES: dict[str, str] = {
    "early": "stopped early",
    "best": "stopped at the best τ",
    "late": "stopped late",
    "exact": "exact score",
}


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
    diverged: Array


def measure(study: common.Study) -> Found:
    """Descend, sample at every time, compare."""
    config = study.config
    num = config.sampling.num_times
    times = np.unique(np.geomspace(1, config.descent.last, num).round())
    found = study.stages.measure("samples", lambda member: _look(study, times, member), study.axes)
    values = {name: np.asarray(x) for name, x in found._asdict().items()}
    lost = common.all_lost(values["diverged"], values["distance"])
    # Samples of one member are enough to look at.
    samples = values["samples"][(0,) * len(study.axes)]
    start = "X_T itself" if config.sampling.start == "exact" else "N(0, I)"
    said = (
        f"{config.sampling.num_samples} samples at t = T0 from {start}, "
        f"{config.sampling.num_steps} steps; models: early is stopped at the square root of the "
        f"best τ, late at τ = {config.descent.last:g}"
    )
    return Found(
        values,
        coords={"time": times, "sample": np.arange(samples.shape[1])},
        lost=lost,
        notes={**common.target_notes(study.given), "samples": said, **common.divergence_note(lost)},
        arrays=picture(study, samples),
    )


def _look(study: common.Study, times: np.ndarray, member: Member) -> Sampled:
    law, settings = study.given.target.law, study.config.sampling
    instance = study.instance(member)
    process, train, test = instance.process, instance.train, instance.test
    paths = kernel_paths(study.config_at(member), instance, jnp.asarray(times, train.z.dtype))
    apart = paths.of_noisy - test.clean[None]
    num, dtype = settings.num_samples, train.z.dtype

    def data(key: Array, t: Array) -> Array:
        first, second = jax.random.split(key)
        return forward.diffuse(process, second, jnp.full(num, t, dtype), law.sample(first, num))

    fresh = data(key_for(instance.key, "fresh data"), process.T0)
    other = data(key_for(instance.key, "other fresh data"), process.T0)
    key_start = key_for(instance.key, "where samples start")
    start = data(key_start, process.T)
    if settings.start == "normal":
        start = jax.random.normal(key_start, start.shape, dtype)
    key_noise = key_for(instance.key, "noise of the sampler")
    key_lines = key_for(instance.key, "directions of slices")
    width = sampling.median_distance(fresh[:500])

    def drawn(predictor: forward.Predictor) -> tuple[Array, Array, Array, Array]:
        x = sampling.sample(
            key_noise, process, predictor, start, settings.num_steps, settings.sampler
        )
        far = (
            sampling.sliced_wasserstein(key_lines, x, fresh),
            sampling.discrepancy(x, fresh, width),
        )
        shown = x[: settings.shown]
        return *far, shown, predictor(jnp.full(shown.shape[0], process.T0), shown)

    distance, mmd, samples, denoised = jax.lax.map(
        lambda coefficients: drawn(_predictor(study, instance, coefficients)),
        paths.noisy.coefficients,
    )
    exact_distance, exact_mmd, exact, cleared = drawn(targets.predictor(process, law))
    best = jnp.argmin(distance)
    early = jnp.argmin(jnp.abs(jnp.log(jnp.asarray(times)) - jnp.log(jnp.asarray(times))[best] / 2))
    chosen = jnp.stack([early, best, jnp.asarray(len(times) - 1)])
    return Sampled(
        distance=distance,
        discrepancy=mmd,
        risk=weighted_error(test, apart),
        score=score_error(process, test, apart),
        exact_distance=exact_distance,
        exact_discrepancy=exact_mmd,
        data_distance=sampling.sliced_wasserstein(key_lines, other, fresh),
        samples=jnp.concatenate([samples[chosen], exact[None]]),
        denoised=jnp.concatenate([denoised[chosen], cleared[None]]),
        diverged=paths.noisy.diverged,
    )


def _predictor(study: common.Study, instance: Instance, coefficients: Array) -> forward.Predictor:
    def predict(t: Array, x: Array) -> Array:
        z = forward.inputs(instance.process, t, x, study.config.data.constant)
        return kernel(z, instance.train.z) @ coefficients

    return predict


def _early(view: View) -> str:
    latest = view.values_of("time")[-1]
    if np.median(numbers.where_least("score", "time")(view)) < latest:
        return ""
    return (
        f"the score error is least at the last time, τ = {latest:g}: nothing is overfitted yet, "
        "and a larger descent.last decides"
    )


def _distances(view: View) -> list[figures.Panel]:
    """Distance of samples and errors on fresh points against training time."""
    levels = {"exact score": "exact_distance", "fresh data": "data_distance"}
    distance = view.panel(
        "curves",
        "time",
        {"distance": "stopped at τ"},
        *(view.theory(text, name) for text, name in levels.items()),
        title="Samples",
        log="xy",
    )
    errors = view.panel(
        "curves",
        "time",
        {"risk": "regression", "score": "score"},
        title="Errors on fresh points",
        log="xy",
        ylabel="root mean square error",
    )
    return [distance, errors]


def _samples(views: Sequence[View]) -> list[figures.Figure]:
    """On a line and in the plane; none in more dimensions."""
    d = views[0].study.given.target.law.d
    if d > 2:
        return []
    panels = [_histogram(model) if d == 1 else _dots(model) for model in MODELS]
    caption = f"Samples X_{{T0}} of one member, and the {'data' if d == 1 else 'density of data'}."
    return [
        figures.Figure("samples", tuple(panels), caption, first_alone([v.piece for v in views]))
    ]


def _histogram(model: str) -> figures.Panel:
    line = figures.Line("histogram", "samples", {"model": model})
    data = figures.Theory("data", variable="density_in_bins")
    return figures.Panel("curves", "bin", (line,), (data,), title=TITLES[model])


def _dots(model: str) -> figures.Panel:
    density = figures.Line("density", "blue: density of data; dots: samples")
    dots = (figures.Line(f"sample_{axis}", "", {"model": model}) for axis in "xy")
    return figures.Panel("field", "x", (density, *dots), title=TITLES[model])


ID = "ntk/sampling"
FAR = "distance of samples to data"
MMD = "squared maximum mean discrepancy of samples to data"
OVER = "over best τ for the regression error"
BEST = {name: numbers.where_least(name, "time") for name in ("distance", "risk", "score")}
run = Recipe(
    bind=common.make_study,
    measure=measure,
    names=common.NAMES,
    words=common.named_instance,
    quantities=(
        Quantity("distance", "sliced Wasserstein distance", ("time",)),
        Quantity("discrepancy", "squared maximum mean discrepancy", ("time",)),
        Quantity("risk", "regression error", ("time",)),
        Quantity("score", "score error", ("time",)),
        Quantity("exact_distance", "sliced Wasserstein distance, exact score"),
        Quantity("data_distance", "sliced Wasserstein distance of fresh data to data"),
        Quantity("exact_discrepancy", "squared maximum mean discrepancy, exact score"),
    ),
    claims=(
        Row(
            *(ID, f"{FAR}, at the τ of least score error over the last τ"),
            Median(numbers.ratio(numbers.at_least("distance", "score"), numbers.last("distance"))),
            AVOIDS,
            where=common.horizon_in_words,
            premature=_early,
        ),
        Row(
            *(ID, f"{FAR}, last τ over the best τ"),
            Median(numbers.ratio(numbers.last("distance"), numbers.least("distance"))),
            where=common.horizon_in_words,
        ),
        Row(ID, f"{MMD}, best τ", Median(numbers.least("discrepancy"), lost=True)),
        Row(ID, f"{MMD}, last τ", Median(numbers.last("discrepancy"), lost=True)),
        Row(ID, f"{MMD}, exact score", Median("exact_discrepancy")),
        Row(
            *(ID, f"{FAR}, best τ over exact score"),
            Median(numbers.ratio(numbers.least("distance"), "exact_distance")),
        ),
        Row(
            *(ID, f"{FAR}, exact score over fresh data"),
            Median(numbers.ratio("exact_distance", "data_distance")),
        ),
        *(
            Row(
                ID,
                f"best τ for {text} {OVER}",
                Median(numbers.ratio(BEST[name], BEST["risk"]), log=True),
            )
            for name, text in (("distance", "samples"), ("score", "the score error"))
        ),
    ),
    figures=(
        Draw("distance", _distances, "How long to train, for samples and for regression."),
        _samples,
    ),
    when=common.any_kept,
)
