"""A network that knows: the exact predictions for Gaussian data, one law for each class."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from fineq.ddpm.denoiser import Denoiser

COVARIANCE = np.array([[1.5, 0.4], [0.4, 0.3]])
MEANS = np.array([[0.7, -0.4], [-1.0, 0.2], [0.1, 0.3]])  # the last is that of no class


@dataclass(frozen=True)
class Knowing:
    """E[x0 | x] by conjugacy, and from it what the prediction asks for; variables: ᾱ `[T + 1]`."""

    prediction: str

    def apply(self, bars, s, x, label):
        T = len(bars) - 1
        bar = bars.astype(x.dtype)[T - jnp.round(s * T).astype(int)][:, None]
        a, b = jnp.sqrt(bar), jnp.sqrt(1 - bar)
        means, covariance = (jnp.asarray(known, x.dtype) for known in (MEANS, COVARIANCE))
        mean = means[jnp.full(len(s), 2) if label is None else label]
        covariances = bar[..., None] * covariance[None]
        covariances += (1 - bar[..., None]) * jnp.eye(2, dtype=x.dtype)[None]
        pulled = jnp.linalg.solve(covariances, (x - a * mean)[..., None])[..., 0]
        x0 = mean + a * pulled @ covariance
        noise = (x - a * x0) / b
        return {"data": x0, "noise": noise, "velocity": a * noise - b * x0}[self.prediction]


def knowing(schedule, prediction, *, num_classes=2, guidance=None, dtype=jnp.float64):
    """A denoiser of these laws."""
    T = schedule.num_steps
    times = jnp.arange(T, 0, -1, dtype=dtype) / T
    w = None if guidance is None else jnp.asarray(guidance, dtype)
    module = Knowing(prediction)
    return Denoiser(schedule.alpha_bars, schedule, times, w, module, prediction, num_classes, 2)


def assert_moments(x, mean, covariance):
    """Sample moments of x `[num, d]` within five standard errors of a Gaussian's."""
    num = len(x)
    variances = np.diag(covariance)
    assert np.all(np.abs(x.mean(0) - mean) < 5 * np.sqrt(variances / num))
    error = np.sqrt((np.outer(variances, variances) + np.asarray(covariance) ** 2) / num)
    assert np.all(np.abs(np.cov(x.T) - covariance) < 5 * error)
