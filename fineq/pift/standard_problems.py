"""The usual test problems of the stochastic control literature, as discrete-time problems.

Each is dX = b(X) dt + σ (u dt + dB) on [0, 1] with cost E ∫ ½|u|² + f(X) dt + g(X_1), discretised
by explicit Euler: mean m0 = x + b dt, noise σ√dt W, β = 1, reward -g, running reward -f dt, and the
control u = σ'c of a costate c. Constants follow Nüsken and Richter (2021) and Domingo-Enrich et al.
(2023, SOC-matching), whose random matrices come from other draws.

`usual_optimum` is the optimum most papers compare with, of the problem in continuous time; the
exact optimum of the discrete problem differs from it by the order of the step.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from fineq.ddpm.laws import points
from fineq.errors import InputError
from fineq.pift.problem import AffineMean, Chain, Problem, make_problem
from fineq.pift.rewards import RunningQuadratic, linear, quadratic

HORIZON = 1.0
Tree = TypeVar("Tree")


class WellMean(NamedTuple):
    """x - 4 κ x (x² - 1) dt in each coordinate: Euler's step down κ (x² - 1)².

    Attributes:
        kappa: κ, `[d]`.
        dt: a scalar.
    """

    kappa: Array
    dt: Array

    def __call__(self, t: ArrayLike, y: Array) -> Array:
        """The mean of Y_{t+1} given Y_t = y, `[d]`."""
        del t
        return y - 4 * self.kappa * y * (y * y - 1) * self.dt


class WellReward(NamedTuple):
    """r(y) = -Σ ν (y² - 1)².

    Attributes:
        nu: ν, `[d]`.
    """

    nu: Array

    def __call__(self, y: Array) -> Array:
        """r(y)."""
        return -jnp.sum(self.nu * (y * y - 1) ** 2)


class LinearCostateTable(NamedTuple):
    """c_t(y) = C_t y + h_t: C `[T, d, d]`, h `[T, d]`."""

    C: Array
    h: Array

    def __call__(self, t: ArrayLike, y: Array) -> Array:
        """c_t(y), `[d]`."""
        return self.C[t] @ y + self.h[t]


class Standard(NamedTuple):
    """A test problem.

    Attributes:
        name: of the problem.
        problem: in discrete time.
        usual: costate of the continuous-time optimum as usually computed, or None.
    """

    name: str
    problem: Problem
    usual: LinearCostateTable | None


def ou_quadratic(d: int = 2, hard: bool = False, num_steps: int = 50, seed: int = 0) -> Standard:
    """DX = (AX + u) dt + dB, f = x'Px, g = x'Qx; easy: A = P = 0.2 I, Q = 0.1 I; hard: I, 0.5 I.

    X_0 = (0.4, 0.6) for d = 2, else 0.5 N(0, I), drawn once from `seed`. The usual optimum is
    u = -2 F x with F from Euler steps back through F' = -2AF + 2F² - P, F(1) = Q.

    Raises:
        InputError: for d or a number of steps below 1.
    """
    _check(d, num_steps)
    a, q = (1.0, 0.5) if hard else (0.2, 0.1)
    dt, eye = HORIZON / num_steps, np.eye(d)
    x0 = np.array([0.4, 0.6]) if d == 2 else 0.5 * np.random.default_rng(seed).normal(size=d)
    each = jnp.asarray(np.broadcast_to(eye, (num_steps, d, d)))
    zeros = jnp.zeros((num_steps, d))
    mean = AffineMean((1 + a * dt) * each, zeros)
    running = RunningQuadratic(-2 * a * dt * each, zeros, zeros[:, 0])
    chain = Chain(mean, jnp.full(num_steps, np.sqrt(dt)), points(x0[None]))
    problem = make_problem(chain, quadratic(-2 * q * eye), 1.0, running)
    F = [q]
    for _ in range(num_steps):
        F.append(F[-1] + dt * (2 * a * F[-1] - 2 * F[-1] ** 2 + a))
    backward = jnp.asarray(F[:0:-1])
    usual = LinearCostateTable(-2 * backward[:, None, None] * each, zeros)
    return Standard(f"OU quadratic {'hard' if hard else 'easy'}, d = {d}", problem, usual)


def ou_linear(d: int = 10, num_steps: int = 100, seed: int = 0) -> Standard:
    """DX = (AX + σu) dt + σ dB, f = 0, g = Σ x_i, A = -I + 0.1 ξ, σ = I + 0.1 ξ', X_0 = 0.

    ξ, ξ' are Gaussian, drawn once from `seed`. The usual optimum is u = -σ' exp((1 - t)A') 1.

    Raises:
        InputError: for d or a number of steps below 1.
    """
    _check(d, num_steps)
    rng = np.random.default_rng(seed)
    A = -np.eye(d) + 0.1 * rng.normal(size=(d, d))
    sigma = np.eye(d) + 0.1 * rng.normal(size=(d, d))
    dt, zeros = HORIZON / num_steps, jnp.zeros((num_steps, d))
    step = jnp.asarray(np.broadcast_to(np.eye(d) + A * dt, (num_steps, d, d)))
    sigmas = jnp.asarray(np.broadcast_to(sigma * np.sqrt(dt), (num_steps, d, d)))
    chain = Chain(AffineMean(step, zeros), sigmas, points(np.zeros((1, d))))
    problem = make_problem(chain, linear(-np.ones(d)), 1.0)
    left = HORIZON - dt * np.arange(num_steps)
    powers = jax.vmap(lambda s: jax.scipy.linalg.expm(s * A.T))(jnp.asarray(left))
    usual = LinearCostateTable(jnp.zeros_like(step), -powers @ jnp.ones(d))
    return Standard(f"OU linear, d = {d}", problem, usual)


def double_well(d: int = 10, num_steps: int = 200, num_steep: int = 3) -> Standard:
    """B = -4κ x (x² - 1), σ = I, f = 0, g = Σ ν (x² - 1)², X_0 = 0.

    κ = 5 and ν = 3 in the first `num_steep` coordinates, 1 elsewhere. Coordinates do not interact.

    Raises:
        InputError: for d or a number of steps below 1.
    """
    _check(d, num_steps)
    steep = np.arange(d) < num_steep
    dt = HORIZON / num_steps
    mean = WellMean(jnp.asarray(np.where(steep, 5.0, 1.0)), jnp.asarray(dt))
    chain = Chain(mean, jnp.full(num_steps, np.sqrt(dt)), points(np.zeros((1, d))))
    problem = make_problem(chain, WellReward(jnp.asarray(np.where(steep, 3.0, 1.0))), 1.0)
    return Standard(f"double well, d = {d}", problem, None)


PROBLEMS: dict[str, Callable[[], Standard]] = {
    "ou_quadratic_easy": ou_quadratic,
    "ou_quadratic_easy_20": lambda: ou_quadratic(20),
    "ou_quadratic_hard": lambda: ou_quadratic(hard=True),
    "ou_linear": ou_linear,
    "double_well": double_well,
}


def as_dtype(tree: Tree, dtype: Any) -> Tree:
    """The same problem, or pytree of real arrays, in another precision."""
    return jax.tree.map(lambda x: jnp.asarray(x, dtype), tree)


def _check(d: int, num_steps: int) -> None:
    for name, value in (("d", d), ("num_steps", num_steps)):
        if value < 1:
            raise InputError(f"problem.{name} must be at least 1, got {value}")
