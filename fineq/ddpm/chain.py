"""Forward noising and the reverse chain of a denoising diffusion model, as scans over its steps."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import chex
import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from fineq.arrays import real_array
from fineq.ddpm.laws import Gaussian, Law, Mixture
from fineq.ddpm.schedules import Schedule
from fineq.errors import InputError
from fineq.fast.draws import normal
from fineq.keys import one_key


class Score(Protocol):
    """A score in generation time: a pytree, `(t, y) -> [d]` for one point y `[d]`."""

    def __call__(self, t: ArrayLike, y: Array) -> Array:
        """The score of the law of Y_t at y."""
        ...


class ExactScore(NamedTuple):
    """The score of a data law noised to the level of Y_t."""

    law: Law
    schedule: Schedule

    def __call__(self, t: ArrayLike, y: Array) -> Array:
        """∇ log p_t(y) `[d]` at one point."""
        return self.law.noised(self.schedule.alpha_bars[t]).score(y)

    def at(self, t: ArrayLike) -> Callable[[Array], Array]:
        """The same as a function of y alone, fast for many points at one t."""
        law = self.law.noised(self.schedule.alpha_bars[t])
        return law.shared_score() if isinstance(law, Mixture) else law.score


def mean_of(score: Array, alpha: ArrayLike, y: Array) -> Array:
    """Mean (y + (1 - α) s)/√α of the next state when the score, or a control in its place, is s."""
    chex.assert_equal_shape([score, y])
    return (y + (1 - alpha) * score) / jnp.sqrt(alpha)


def control_of(mean: Array, alpha: ArrayLike, y: Array) -> Array:
    """The control whose mean of the next state is `mean`: the inverse of `mean_of`."""
    chex.assert_equal_shape([mean, y])
    return (jnp.sqrt(alpha) * mean - y) / (1 - alpha)


def noise(key: Array, x0: Array, alpha_bar: ArrayLike) -> Array:
    """A draw of √ᾱ x0 + √(1 - ᾱ) Z, the level reached in one step, `[..., d]`.

    Raises:
        InputError: for x0 that are no real numbers, or a level that is not one number.
    """
    x0, alpha_bar = real_array("x0", x0), real_array("alpha_bar", alpha_bar, 0)
    alpha_bar = alpha_bar.astype(x0.dtype)
    z = jax.random.normal(key, x0.shape, x0.dtype)
    return jnp.sqrt(alpha_bar) * x0 + jnp.sqrt(1 - alpha_bar) * z


def generate(key: Array, score: Score, schedule: Schedule, num: int, start: Law) -> Array:
    """Paths Y_0..Y_T of the reverse chain, `[T + 1, num, d]`.

    Args:
        key: of all draws.
        score: of Y_t, exact or learned.
        schedule: with T steps.
        num: of paths.
        start: law of Y_0.

    Raises:
        InputError: for a key that is none, fewer than 1 path, or a score that does not map
            `[d]` to `[d]`.
    """
    if num < 1:
        raise InputError(f"the number of paths must be at least 1, got {num}")
    key_start, key_steps = jax.random.split(one_key(key))
    y0 = start.sample(key_start, num)
    found = jax.eval_shape(score, 0, jax.ShapeDtypeStruct((start.d,), y0.dtype))
    if found.shape != (start.d,):
        raise InputError(f"the score must have shape {(start.d,)} at a point, got {found.shape}")

    def step(y: Array, inputs: tuple[Array, ...]) -> tuple[Array, Array]:
        t, key, alpha, sigma = inputs
        mean = jax.vmap(lambda x: mean_of(score(t, x), alpha, x))(y)
        y = mean + sigma * normal(key, y.shape, y.dtype)
        return y, y

    T = schedule.num_steps
    inputs = (jnp.arange(T), jax.random.split(key_steps, T), schedule.alphas, schedule.sigmas)
    path = lax.scan(step, y0, inputs)[1]
    return jnp.concatenate([y0[None], path])


class AffineChain(NamedTuple):
    """Means m0_t(y) = A_t y + b_t: A `[T, d, d]`, b `[T, d]`."""

    A: Array
    b: Array


def gaussian_chain(law: Gaussian, schedule: Schedule) -> AffineChain:
    """The reverse chain of Gaussian data, whose exact score is affine."""

    def at(alpha: Array, bar: Array) -> AffineChain:
        noised = law.noised(bar)
        precision = noised.precision()
        eye = jnp.eye(law.d, dtype=precision.dtype)
        A = (eye - (1 - alpha) * precision) / jnp.sqrt(alpha)
        return AffineChain(A, (1 - alpha) / jnp.sqrt(alpha) * precision @ noised.mean)

    return jax.vmap(at)(schedule.alphas, schedule.alpha_bars[:-1])
