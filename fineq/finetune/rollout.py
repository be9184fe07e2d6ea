"""Paths of a policy, how far it is from the pre-trained model on them, and what they earn.

Only the steps of a path come one after another. What a network says at states that are known, for
example e_t along a path, is asked for many steps at once.
"""

from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax import Array, lax

from fineq.ddpm import Denoiser
from fineq.errors import InputError
from fineq.fast.draws import normal
from fineq.finetune.problem import Tuning

ROWS = 1024  # of a network at once: enough for its matrix products, and bounded in memory


class Mean(Protocol):
    """A mean of the next state: `(t [], y [B, d], label [B] or None) -> [B, d]`."""

    def __call__(self, t: Array, y: Array, label: Array | None) -> Array:
        """The mean of Y_{t+1} given Y_t = y."""
        ...


class Paths(NamedTuple):
    """Simulated paths.

    Attributes:
        states: Y_0..Y_T, `[T + 1, B, d]`.
        draws: W_t, standard normal, `[T, B, d]`.
        label: the class of each path, `[B]`, or None.
    """

    states: Array
    draws: Array
    label: Array | None


class Noise(NamedTuple):
    """All that is random in paths: Y_0 `[B, d]`, W `[T, B, d]`, classes `[B]` or None."""

    start: Array
    draws: Array
    label: Array | None


class Earned(NamedTuple):
    """What paths earned.

    Attributes:
        reward: r(Y_T), `[B]`.
        divergence: Σ_t KL_t in nats, `[B]`.
    """

    reward: Array
    divergence: Array

    def objective(self, beta: Array) -> Array:
        """Reward less the price of the divergence, `[B]`; its mean is J."""
        return self.reward - beta * self.divergence


def draw(key: Array, tuning: Tuning, num: int) -> Noise:
    """The noise of `num` independent paths.

    Raises:
        InputError: for fewer than one path.
    """
    if num < 1:
        raise InputError(f"the number of paths must be at least 1, got {num}")
    key_start, key_draws, key_label = jax.random.split(key, 3)
    dtype, shape = tuning.sigmas.dtype, (num, tuning.d)
    start = normal(key_start, shape, dtype)
    draws = normal(key_draws, (tuning.num_steps, *shape), dtype)
    classes = tuning.labels
    label = None if classes is None else jax.random.choice(key_label, classes, (num,))
    return Noise(start, draws, label)


def simulate(
    key: Array, tuning: Tuning, policy: Denoiser, num: int, *, remat: bool = False
) -> Paths:
    """`num` independent paths of a policy.

    Args:
        key: of all draws.
        tuning: the problem.
        policy: a model with the base's schedule; the base itself is the pre-trained chain.
        num: of paths.
        remat: under a derivative, keep the states alone and recompute each step: memory grows with
            one step's activations, not with T times them, for one more forward pass.

    Raises:
        InputError: for fewer than one path.
    """
    return follow(tuning, policy, draw(key, tuning, num), remat=remat)


def follow(tuning: Tuning, policy: Denoiser, noise: Noise, *, remat: bool = False) -> Paths:
    """The paths of a policy under given noise."""
    return walk(tuning, policy.mean, noise, remat=remat)[0]


def walk(
    tuning: Tuning,
    mean: Mean,
    noise: Noise,
    *,
    first: int = 0,
    offsets: Array | None = None,
    remat: bool = False,
) -> tuple[Paths, Array]:
    """Y_{t+1} = m_t(Y_t) + σ_t W_t under given noise, and the m_t(Y_t), `[T, B, d]`.

    Args:
        tuning: the problem.
        mean: m.
        noise: W has as many steps as are made.
        first: t of the first of them.
        offsets: added to Y_{t+1}, `[T, B, d]`; the derivative by them is the adjoint.
        remat: as for `simulate`.
    """

    def step(y: Array, now: tuple) -> tuple[Array, tuple[Array, Array]]:
        t, w, offset = now
        m = mean(t, y, noise.label)
        y = m + tuning.sigmas[t] * w
        y = y if offset is None else y + offset
        return y, (y, m)

    times = first + jnp.arange(noise.draws.shape[0])
    body = jax.checkpoint(step) if remat else step
    states, found = lax.scan(body, noise.start, (times, noise.draws, offsets))[1]
    return Paths(jnp.concatenate([noise.start[None], states]), noise.draws, noise.label), found


def means(model: Denoiser, paths: Paths) -> Array:
    """m_t(Y_t) of a model at the states of paths, whoever made them, `[T, B, d]`."""
    return at_states(model.mean, paths)


def errors(tuning: Tuning, policy: Denoiser, paths: Paths) -> Array:
    """e_t = (m_t - m0_t)(Y_t)/σ_t at the states of paths, `[T, B, d]`; KL_t = ½ |e_t|²."""

    def apart(t: Array, y: Array, label: Array | None) -> Array:
        return policy.mean(t, y, label) - tuning.base.mean(t, y, label)

    return at_states(apart, paths) / tuning.sigmas[:, None, None]


def earned(tuning: Tuning, policy: Denoiser, paths: Paths) -> Earned:
    """Reward and divergence of paths of a policy."""
    return earned_of(tuning, paths, errors(tuning, policy, paths))


def earned_of(tuning: Tuning, paths: Paths, e: Array) -> Earned:
    """The same where e `[T, B, d]` is known."""
    divergence = 0.5 * jnp.sum(jnp.square(e), axis=(0, 2))
    return Earned(tuning.reward(paths.states[-1], paths.label), divergence)


def at_states(of: Mean, paths: Paths) -> Array:
    """`of(t [], y [B, d], label [B] or None)` at Y_0..Y_{T-1}, `[T, B, d]`.

    Many steps are computed at once, of at most `ROWS` rows where it is more than one. Where not all
    are, a derivative recomputes each part rather than keep them all.
    """
    T, B, d = paths.draws.shape
    k = max((k for k in range(1, T + 1) if T % k == 0 and k * B <= ROWS), default=1)
    # What a network makes of the time alone is made once for each step.
    many = jax.vmap(lambda t, y: of(t, y, paths.label))
    if k == T:
        return many(jnp.arange(T), paths.states[:-1])
    parts = jnp.arange(T).reshape(-1, k), paths.states[:-1].reshape(-1, k, B, d)
    return lax.map(jax.checkpoint(lambda now: many(*now)), parts).reshape(T, B, d)
