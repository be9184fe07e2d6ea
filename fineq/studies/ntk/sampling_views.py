"""Samples from learned scores as arrays and figures (`ntk/sampling`)."""

import jax.numpy as jnp
import numpy as np

from fineq.figures import Figure, Line, Panel
from fineq.figures import Theory as Drawn
from fineq.ntk import forward, targets
from fineq.results import Array as Named
from fineq.results import Arrays
from fineq.studies.common import Slice, dims_of, first_alone, named_arrays, small_multiples, titled
from fineq.studies.ntk.common import Study, coords_of, slices

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


def arrays_of(
    study: Study, times: np.ndarray, values: dict[str, np.ndarray]
) -> tuple[Arrays, Arrays]:
    """`Sampled` of all members by name, and samples of the first beside their density."""
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
        # Of all samples: those beyond the axis are missing in the picture, and in its area.
        cell = len(samples[0]) * np.diff(coarse)
        counts = [np.histogram(x[:, 0], coarse)[0] / cell for x in samples]
        arrays["histogram"] = Named(np.stack(counts), ("model", "bin"), "1", "density of samples")
        coords["bin"] = Named(middle, ("bin",), "1", "coordinate 1")
        true = np.interp(middle, axis, density)
        arrays["density_in_bins"] = Named(true, ("bin",), "1", "density of data")
    return arrays, coords


def figures_of(study: Study) -> tuple[Figure, ...]:
    """Distances and errors over training time; samples in one and two dimensions."""
    caption = "How long to train, for samples and for regression."
    note = first_alone(slices(study.axes))
    figures = [*small_multiples("distance", slices(study.axes), _distances, caption)]
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
        figures.append(
            Figure("samples", panels, "Samples X_{T0} of one member, and the data.", note)
        )
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
        figures.append(
            Figure("samples", panels, "Density of X_{T0}; dots: samples of one member.", note)
        )
    return tuple(figures)


def _distances(piece: Slice) -> list[Panel]:
    """Distance of samples and errors on fresh points against training time."""
    distance = Panel(
        "curves",
        "time",
        (Line("distance", "stopped at τ", piece.at),),
        (
            Drawn("exact score", variable="level_exact_distance", at=piece.at),
            Drawn("fresh data", variable="level_data_distance", at=piece.at),
        ),
        title=titled("Samples", piece),
        xscale="log",
        yscale="log",
    )
    errors = Panel(
        "curves",
        "time",
        (Line("risk", "regression", piece.at), Line("score", "score", piece.at)),
        title=titled("Errors on fresh points", piece),
        xscale="log",
        yscale="log",
        ylabel="root mean square error",
    )
    return [distance, errors]
