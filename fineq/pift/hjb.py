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
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from fineq.arrays import prefer_float64
from fineq.ddpm.laws import Law
from fineq.errors import InputError


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


def evaluate(domain: Domain, control: Array, reward: Array, beta: Array) -> Array:
    """V of a control `[N + 1, n]` for a reward on the points `[n]`, `[N + 1, n]`."""
    drift = 0.5 * domain.points[None] + control
    return backward(domain, drift, -0.5 * beta * (control - domain.score) ** 2, reward)


def improve(domain: Domain, value: Array, beta: Array) -> Array:
    """The control s + V'/β, `[N + 1, n]`."""
    return domain.score + slope(value, domain.points[1] - domain.points[0]) / beta


def policy_iteration(domain: Domain, reward: Array, beta: Array, num_iterations: int) -> Iterates:
    """Evaluate and improve `num_iterations` times, from u = s.

    Improvement maximises the discretised Hamiltonian at every interior point, so that this is
    Newton's method for the discretised Bellman equation and its errors are squared in each step.
    """

    def step(control: Array, _: None) -> tuple[Array, tuple[Array, Array]]:
        value = evaluate(domain, control, reward, beta)
        control = improve(domain, value, beta)
        return control, (value, control)

    _, (values, controls) = lax.scan(step, domain.score, length=num_iterations)
    return Iterates(values, jnp.concatenate([domain.score[None], controls]))


def hopf_cole(domain: Domain, reward: Array, beta: Array) -> Array:
    """V = β log w from the linear equation for w, by the same scheme, `[N + 1, n]`."""
    prefer_float64("pift.hopf_cole")
    top = jnp.max(reward)
    drift = 0.5 * domain.points[None] + domain.score
    w = backward(domain, drift, jnp.zeros_like(drift), jnp.exp((reward - top) / beta))
    return top + beta * jnp.log(w)


def on_points(domain: Domain, reward: Callable[[Array], Array]) -> Array:
    """A reward of one point `[1]` on the grid, `[n]`."""
    return jax.vmap(lambda y: reward(y[None]))(domain.points)
