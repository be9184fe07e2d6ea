"""PI-FT on a mixture in the plane: the control that draws three modes towards a reward."""

import jax
import jax.numpy as jnp
import numpy as np

import fineq
from fineq import ddpm, pift

jax.config.update("jax_enable_x64", True)

angles = 2 * np.pi * np.arange(3) / 3
means = 1.5 * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
law = ddpm.mixture(np.full(3, 1 / 3), means, np.stack([0.25 * np.eye(2)] * 3))
schedule = ddpm.make_schedule(ddpm.schedules.linear_rate(8))
reward = pift.Custom(lambda y: jnp.tanh(y[0]) + 0.5 * jnp.tanh(y[1]))
problem = pift.make_problem(pift.ddpm_chain(law, schedule), reward, beta=2.0)

grid = pift.make_grid(*pift.law_bounds(law, schedule, 1e-9), num=48)
posed = pift.gridded(problem, grid)
found = fineq.solve(posed, pift.GridSweeps(), num_steps=6, reference=pift.optimum(posed))

print("distance to the optimal means:", np.max(found["distance"], axis=1))
policy = pift.grid_mean(grid, found.value)
for name, means in (("pre-trained", None), ("fine-tuned", policy)):
    paths = pift.simulate(jax.random.key(0), problem, means, 4096)
    print(f"{name}: E r = {paths.terminal.mean():.3f}, KL = {paths.divergence.mean():.3f}")
