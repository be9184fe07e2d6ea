"""Fine-tuning in continuous time, in one dimension: policy iteration on the Bellman equation.

The process dY = (½ g Y + g u) dt + √g dB with running cost ½ β g |u - s|² depends on g only through
the clock τ = ∫g, in which the noise level is ᾱ(τ) = e^{-(S - τ)}, S = -log ᾱ_end. In that clock the
value of a control u solves the linear equation

    V_τ + ½ V'' + (½ y + u) V' - ½ β (u - s)² = 0,   V(S, ·) = r,

and policy iteration goes on with u = s + V'/β. The limit is the Bellman equation, solved by
V = β log w with w_τ + ½ w'' + (½ y + s) w' = 0, w(S, ·) = e^{r/β} (Hopf and Cole). Central
differences and Crank-Nicolson: second order in space and time for smooth rewards. At the ends of
the grid V'' = 0 is imposed: the drift points inwards there, so that the ends do not disturb the
middle. Source: arXiv 2412.18164 (`pift/continuous-time`).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.core import Tracer
from jax.typing import ArrayLike

from fineq.arrays import prefer_float64, real_array, shaped
from fineq.ddpm.laws import Law
from fineq.errors import InputError
from fineq.iterate import Method, method, static, unroll
from fineq.pift.doors import expect


class Domain(NamedTuple):
    """A grid in time and space with the pre-trained score on it.

    Attributes:
        times: `[N + 1]`, τ from 0 to S.
        points: `[n]`, equally spaced.
        score: `[N + 1, n]`, s.
    """

    times: Array
    points: Array
    score: Array


class BellmanEquation(NamedTuple):
    """What policy iteration solves; make it with `bellman_equation`.

    Attributes:
        domain: the grid.
        reward: r on its points, `[n]`.
        beta: β.
    """

    domain: Domain
    reward: Array
    beta: Array


class Iterates(NamedTuple):
    """Policy iteration from u = s.

    Attributes:
        values: `[I, N + 1, n]`, of the controls 0..I-1.
        controls: `[I + 1, N + 1, n]`, the first is s.
    """

    values: Array
    controls: Array


def make_domain(law: Law, end: float, num_times: int, num_points: int, half_width: float) -> Domain:
    """A grid for data from `law` in one dimension, started at noise level ᾱ = `end`.

    Args:
        law: of the data, with a score at noise level 0.
        end: ᾱ of Y_0.
        num_times: N, steps in τ, equal.
        num_points: n.
        half_width: points reach from -half_width to half_width.

    Raises:
        InputError: for a law that is not one-dimensional, ᾱ outside (0, 1), too few steps or
            points, or a width that is not positive.
    """
    if law.d != 1:
        raise InputError(
            f"the Bellman equation is solved in one dimension, but the law has {law.d}"
        )
    if not 0 < end < 1:
        raise InputError(f"the noise level at the start must lie in (0, 1), got {end:g}")
    if num_times < 1 or num_points < 3:
        raise InputError(
            f"the grid must have at least 1 step and 3 points, got {num_times} and {num_points}"
        )
    if not half_width > 0:
        raise InputError(f"half_width must be above 0, got {half_width:g}")
    times = jnp.linspace(0.0, -jnp.log(end), num_times + 1)
    points = jnp.linspace(-half_width, half_width, num_points)
    bars = jnp.exp(times - times[-1])
    at = jax.vmap(lambda bar, y: law.noised(bar).score(y[None])[0], (None, 0))
    return Domain(times, points, jax.vmap(at, (0, None))(bars, points))


def bellman_equation(
    domain: Domain, reward: Callable[[Array], Array] | ArrayLike, beta: ArrayLike
) -> BellmanEquation:
    """The equation for a reward, a function of one point `[1]` or its values `[n]`, and a price.

    Raises:
        InputError: for values of another shape, or a price that is no positive number.
    """
    values = on_points(domain, reward) if callable(reward) else real_array("reward", reward, 1)
    if values.shape != domain.points.shape:
        raise InputError(f"reward must have shape {domain.points.shape}, got {values.shape}")
    price = real_array("beta", beta, 0)
    if not isinstance(price, Tracer) and not np.asarray(price) > 0:
        raise InputError(f"beta must be above 0, got {float(price):g}")
    dtype = domain.points.dtype
    return BellmanEquation(domain, values.astype(dtype), price.astype(dtype))


def slope(values: Array, spacing: Array) -> Array:
    """Central differences along the last axis, one-sided at the ends."""
    inner = (values[..., 2:] - values[..., :-2]) / (2 * spacing)
    first = (values[..., 1:2] - values[..., :1]) / spacing
    last = (values[..., -1:] - values[..., -2:-1]) / spacing
    return jnp.concatenate([first, inner, last], axis=-1)


def backward(domain: Domain, drift: Array, source: Array, terminal: Array) -> Array:
    """Solve V_τ + ½ V'' + drift V' + source = 0 backwards from V(S) = terminal.

    Args:
        domain: the grid.
        drift: `[N + 1, n]`.
        source: `[N + 1, n]`.
        terminal: `[n]`.

    Returns:
        V, `[N + 1, n]`.
    """
    h = domain.points[1] - domain.points[0]

    def bands(drift: Array) -> tuple[Array, Array, Array]:
        """The operator ½ V'' + drift V' as sub-diagonal, diagonal and super-diagonal."""
        lower = 0.5 / h**2 - drift / (2 * h)
        upper = 0.5 / h**2 + drift / (2 * h)
        middle = jnp.full_like(drift, -1 / h**2)
        # V'' = 0 at the ends leaves one-sided differences of V' alone.
        lower = lower.at[0].set(0.0).at[-1].set(-drift[-1] / h)
        middle = middle.at[0].set(-drift[0] / h).at[-1].set(drift[-1] / h)
        upper = upper.at[0].set(drift[0] / h).at[-1].set(0.0)
        return lower, middle, upper

    def apply(lower: Array, middle: Array, upper: Array, v: Array) -> Array:
        # The bands that reach over the ends are 0, so what `roll` brings in does not count.
        return lower * jnp.roll(v, 1) + middle * v + upper * jnp.roll(v, -1)

    def step(v: Array, now: tuple) -> tuple[Array, Array]:
        dt, (late, early), (source_late, source_early) = now
        right = v + dt / 2 * (apply(*bands(late), v) + source_late + source_early)
        lower, middle, upper = (-dt / 2 * band for band in bands(early))
        solved = lax.linalg.tridiagonal_solve(lower, 1 + middle, upper, right[:, None])
        return solved[:, 0], solved[:, 0]

    pairs = jax.tree.map(lambda x: (x[1:], x[:-1]), (drift, source))
    inputs = (jnp.diff(domain.times), *pairs)
    found = lax.scan(step, terminal, inputs, reverse=True)[1]
    return jnp.concatenate([found, terminal[None]])


def checked_control(problem: BellmanEquation, control: ArrayLike) -> Array:
    """A control on the grid; raises `InputError` for another shape than `[N + 1, n]`."""
    score = problem.domain.score
    return shaped("the control", control, score.shape, score.dtype)


def evaluate(problem: BellmanEquation, control: Array) -> Array:
    """V of a control `[N + 1, n]`, `[N + 1, n]`.

    Raises:
        InputError: for a control of another shape.
    """
    domain, reward, beta = problem
    control = checked_control(problem, control)
    drift = 0.5 * domain.points[None] + control
    return backward(domain, drift, -0.5 * beta * (control - domain.score) ** 2, reward)


def improve(problem: BellmanEquation, value: Array) -> Array:
    """The control s + V'/β, `[N + 1, n]`."""
    domain = problem.domain
    return domain.score + slope(value, domain.points[1] - domain.points[0]) / problem.beta


@method
class HJBIteration(Method):
    """Policy iteration in continuous time: a step evaluates the control, then improves it.

    Improvement maximises the discretised Hamiltonian at every interior point, so that this is
    Newton's method for the discretised Bellman equation and its errors are squared in each step.

    Measured over |y| <= `within`: `change`, largest |u^(i+1) - u^(i)| of the last step; with V
    `[N + 1, n]` as reference `gap`, largest |V - V^(i)| for the control that the step began with.
    With `keep` also `value`, V^(i), and `control`, u^(i+1).

    Attributes:
        within: half-width of where errors are measured, less than that of the grid, whose ends
            are not exact.
        keep: also record all iterates, `[N + 1, n]` each.
    """

    within: Any = jnp.inf
    keep: bool = static(default=False)

    def init(self, key: Array | None, problem: BellmanEquation, start: Array | None) -> Array:
        """The control `start` `[N + 1, n]`, or the pre-trained score."""
        del key
        expect(self, problem, BellmanEquation, "bellman_equation")
        return problem.domain.score if start is None else checked_control(problem, start)

    def step(
        self, key: Array | None, state: Array, problem: BellmanEquation
    ) -> tuple[Array, tuple[Array, Array]]:
        """One evaluation and improvement; the info is V of the control that came in, and it."""
        del key
        value = evaluate(problem, state)
        return improve(problem, value), (value, state)

    def measure(
        self,
        state: Array,
        info: tuple[Array, Array],
        problem: BellmanEquation,
        reference: Array | None,
    ) -> dict[str, Array]:
        """How far the last step went, and how far its value was from the reference."""
        value, before = info
        inside = jnp.abs(problem.domain.points) <= self.within

        def most(x: Array) -> Array:
            return jnp.max(jnp.where(inside, jnp.abs(x), 0.0))

        found = {"change": most(state - before)}
        if reference is not None:
            found["gap"] = most(reference - value)
        if self.keep:
            found |= {"value": value, "control": state}
        return found


@partial(jax.jit, static_argnames=("num_iterations",))
def policy_iteration(problem: BellmanEquation, num_iterations: int) -> Iterates:
    """All iterates of `HJBIteration`, `num_iterations` steps from u = s."""
    found = unroll(problem, HJBIteration(keep=True), num_steps=num_iterations)[1]
    return Iterates(found["value"][1:], found["control"])


def hopf_cole(problem: BellmanEquation) -> Array:
    """V = β log w from the linear equation for w, by the same scheme, `[N + 1, n]`."""
    prefer_float64("pift.hopf_cole")
    domain, reward, beta = problem
    top = jnp.max(reward)
    drift = 0.5 * domain.points[None] + domain.score
    w = backward(domain, drift, jnp.zeros_like(drift), jnp.exp((reward - top) / beta))
    return top + beta * jnp.log(w)


def on_points(domain: Domain, reward: Callable[[Array], Array]) -> Array:
    """A reward of one point `[1]` on the grid, `[n]`."""
    return jax.vmap(lambda y: reward(y[None]))(domain.points)
