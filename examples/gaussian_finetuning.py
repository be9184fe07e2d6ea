"""PI-FT on Gaussian data: sweeps against the exact solution, and the contraction it predicts."""

import jax
import numpy as np

import fineq
from fineq import ddpm, pift

jax.config.update("jax_enable_x64", True)

law = ddpm.gaussian(np.array([0.5, -1.0]), np.array([[1.0, 0.3], [0.3, 0.5]]))
schedule = ddpm.make_schedule(ddpm.schedules.linear_rate(50))
reward = pift.quadratic(np.array([[-1.0, 0.2], [0.2, -0.5]]), center=np.ones(2))
problem = pift.make_problem(pift.ddpm_chain(law, schedule), reward, beta=1.0)

arrays = pift.linear_quadratic(problem)
best = pift.optimum(arrays)
found = fineq.solve(arrays, pift.LQSweeps(), num_steps=30, record=np.arange(31), reference=best)

rate = found.rate("distance").ratio
print(f"contraction of a sweep: measured {rate.value:.4f}, predicted {max(best.ratios):.4f}")
print(f"J: pre-trained {found['objective'][0]:.4f}, after 30 sweeps {found['objective'][-1]:.6f}")
print(f"value gap left: {found['gap'][-1]:.1e}")
