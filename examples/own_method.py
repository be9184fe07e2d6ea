"""A method of your own beside those that are there: heavy-ball policy gradient."""

import jax
import jax.numpy as jnp
import numpy as np

import fineq
from fineq import nlqr

jax.config.update("jax_enable_x64", True)


@fineq.method
class HeavyBall(fineq.Method):
    """K' = K - η ∇C(K) + m (K - K_before); the state is (K, K_before)."""

    step_size: jax.Array | float
    momentum: float = 0.9

    def init(self, key, problem, start):
        return start, start

    def step(self, key, state, problem):
        gradient = nlqr.Exact()(key, state[0], problem, 0.0).gradient
        moved = state[0] - self.step_size * gradient + self.momentum * (state[0] - state[1])
        return (moved, state[0]), None

    def measure(self, state, info, problem, reference):
        return {"distance": jnp.linalg.norm(state[0] - reference.K)}


plant = nlqr.build_system(np.diag([0.9, 0.6]), [[1.0], [0.5]], 0.2 * np.eye(2), phi=nlqr.Sine())
problem = nlqr.build_problem(plant, nlqr.Sphere(3.0, 2))
star = nlqr.optimum(problem)
eta = 0.2 / star.h
methods = [nlqr.PolicyGradient(eta), nlqr.PolicyGradient(0.05, nlqr.Natural()), HeavyBall(eta)]
for name, method in zip(("policy gradient", "natural gradient", "heavy ball"), methods):
    run = fineq.solve(problem, method, start=star.K + 0.02, reference=star, num_steps=300)
    print(f"{name}: distance {run['distance'][0]:.2g} -> {run['distance'][-1]:.2g}")
