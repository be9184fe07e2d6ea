"""When to stop fitting noisy labels: the tangent kernel's whole descent path, and three rules."""

import jax
import jax.numpy as jnp
import numpy as np

from fineq import ntk

jax.config.update("jax_enable_x64", True)  # eigenvalues matter down to rounding

rng = np.random.default_rng(0)  # your own data: inputs [N, D] and noisy labels [N, d]
x, fresh = rng.uniform(-1, 1, (300, 2)), rng.uniform(-1, 1, (1000, 2))
truth, clean = (np.sin(3 * v[:, :1]) * v[:, 1:] for v in (x, fresh))
y = truth + 0.3 * rng.normal(size=truth.shape)
z, fresh = (np.column_stack([v, np.ones(len(v))]) for v in (x, fresh))  # 1: as a bias

eta = ntk.default_step(ntk.mean_diagonal(z))
times = jnp.unique(jnp.geomspace(1, 1e6, 60).round())
spectrum = ntk.spectrum_at(z)
path = ntk.descend(spectrum, y, eta, times)  # all training times at once
freedom = ntk.degrees_of_freedom(spectrum.values, eta, times)
noise = ntk.noise_level(path.loss, freedom, len(z)).level
limit = ntk.complexity(spectrum.values, eta, times)
risk = np.mean((ntk.predict(fresh, z, path.coefficients) - clean[None]) ** 2, axis=(1, 2))

stops = {
    "oracle": ntk.oracle(risk, times),
    "cross-validation": ntk.cross_validation(path.loss, freedom, len(z), times),
    "local Rademacher, B = 1": ntk.local_rademacher(limit, times, noise),
}
print(f"noise level {noise:.2f}; risk after {times[-1]:g} steps: {risk[-1]:.4f}")
for name, stop in stops.items():
    print(f"{name}: stop after {stop.time:g} steps, risk {risk[stop.place]:.4f}")
