"""Policy gradient on your own plant, against its optimum: theory's rate and the measured one."""

import jax
import jax.numpy as jnp
import numpy as np

import fineq
from fineq import nlqr

jax.config.update("jax_enable_x64", True)

A, B, C = [[0.9, 0.2], [0.0, 0.8]], [[0.0], [1.0]], [[0.1, 0.0], [0.0, 0.2]]
plant = nlqr.build_system(A, B, C, Q=np.eye(2), R=[[0.5]], phi=nlqr.Sine(), scale=1.0)
problem = nlqr.build_problem(plant, nlqr.Sphere(3.0, 2))
star = nlqr.optimum(problem)
print(f"cost {star.cost:.6f} at K* =", np.round(star.K, 4))

# Near K* the distance contracts at 1 - η μ, μ and h the extreme eigenvalues of the Hessian there.
eta = 0.5 / star.h
method, record = nlqr.PolicyGradient(eta), list(range(0, 4001, 20))
solution = fineq.solve(problem, method, reference=star, num_steps=4000, record=record)
theory = jnp.log1p(-eta * star.mu)
rate = solution.rate("distance")
print(f"log of the contraction: theory {theory:.5f}, measured {rate.value:.5f}")
