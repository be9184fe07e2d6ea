"""Samples of one member beside their density, on a line or in the plane (`ntk/sampling`)."""

import jax.numpy as jnp
import numpy as np

from fineq.ntk import forward, targets
from fineq.results import Array as Named
from fineq.results import Arrays
from fineq.studies.ntk.common import Study

MODELS = ("early", "best", "late", "exact")
NUM_PLANE = 96  # points along each axis of the density that samples are drawn over
COARSE = 3  # of these make one bin of a histogram


def picture(study: Study, samples: np.ndarray) -> Arrays:
    """The first two coordinates of samples `[4, shown, d]` of `MODELS`, and the density behind."""
    arrays = {"model": Named(np.array(MODELS), ("model",), "1", "model")}
    for i in range(min(study.d, 2)):
        text = f"coordinate {i + 1} of a sample"
        arrays[f"sample_{'xy'[i]}"] = Named(samples[..., i], ("model", "sample"), "1", text)
    if study.d > 2:
        return arrays
    axis, density = _density(study)
    dims = ("x", "y")[: study.d]
    arrays["density"] = Named(density, dims, "1", "density")
    for i, dim in enumerate(dims):
        arrays[dim] = Named(axis, (dim,), "1", f"coordinate {i + 1}")
    return arrays | _histograms(axis, density, samples) if study.d == 1 else arrays


def _density(study: Study) -> tuple[np.ndarray, np.ndarray]:
    """Points along each axis, and the density of X_{T0} on their grid."""
    at = {axis.name: axis.values[0] for axis in study.axes}
    process, law = study.instance(at).process, study.given.target.law
    a, h = (float(f(process, process.T0)) for f in (forward.alpha, forward.variance))
    axis = np.linspace(-a - 3 * np.sqrt(h), a + 3 * np.sqrt(h), NUM_PLANE)
    mesh = np.stack(np.meshgrid(*[axis] * study.d, indexing="ij"), -1).reshape(-1, study.d)
    times = jnp.full(len(mesh), process.T0)
    density = np.exp(targets.log_density(process, law, times, jnp.asarray(mesh)))
    return axis, density.reshape((NUM_PLANE,) * study.d)


def _histograms(axis: np.ndarray, density: np.ndarray, samples: np.ndarray) -> Arrays:
    half = 0.5 * (axis[1] - axis[0])
    edges = np.append(axis - half, axis[-1] + half)[::COARSE]
    middle = 0.5 * (edges[1:] + edges[:-1])
    # Of all samples: those beyond the axis are missing in the picture, and in its area.
    cell = samples.shape[1] * np.diff(edges)
    counts = [np.histogram(x[:, 0], edges)[0] / cell for x in samples]
    true = np.interp(middle, axis, density)
    return {
        "histogram": Named(np.stack(counts), ("model", "bin"), "1", "density of samples"),
        "bin": Named(middle, ("bin",), "1", "coordinate 1"),
        "density_in_bins": Named(true, ("bin",), "1", "density of data"),
    }
