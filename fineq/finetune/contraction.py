"""How much the values of a policy bend: whether the plain step of PI-FT contracts there.

The step m ← m0 + (σ_t²/β) E∇V_{t+1}(m + σ_t W) contracts at

    q_t = σ_t² ρ(∇²V_{t+1})/β,

ρ the largest |eigenvalue|, and the whole at max_t q_t: from β = max_t σ_t² ρ on it does
(`finetune/contraction`, `pift/threshold`). The theory asks for the largest over all states; here it
is looked for where the policy goes, and what is found is a lower bound on it. V_{t+1} is the mean
return of continuations under noise that is kept, and ρ comes from power iteration on its
Hessian, which is only ever multiplied by vectors. What the mean over few continuations leaves of
their noise makes ρ too large.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from fineq.ddpm.denoiser import Denoiser
from fineq.errors import InputError
from fineq.fast.draws import normal
from fineq.finetune.problem import Tuning
from fineq.finetune.rollout import simulate
from fineq.keys import key_for


class Curvatures(NamedTuple):
    """What was found along the chain.

    Attributes:
        times: t of the steps, `[K]`.
        curvature: σ_t² ρ(∇²V_{t+1}(Y_{t+1})) at the states of `num` paths, `[K, num]`.
    """

    times: Array
    curvature: Array

    @property
    def threshold(self) -> Array:
        """The β at which max_t q_t passes 1, [], where the policy stays as it is."""
        return jnp.max(self.curvature)

    def ratios(self, beta: Array) -> Array:
        """q_t(β), the largest over the states, `[K]`."""
        return jnp.max(self.curvature, axis=1) / beta


def curvatures(
    key: Array,
    tuning: Tuning,
    policy: Denoiser,
    times: Array,
    *,
    num: int = 16,
    continuations: int = 16,
    num_iterations: int = 20,
) -> Curvatures:
    """Measure the curvature of a policy's values at the states it visits.

    Args:
        key: of all draws.
        tuning: the problem; its β prices the policy's divergence in V.
        policy: whose values they are.
        times: t of the steps to look at, `[K]`, from 0 to T - 1.
        num: of paths whose states are looked at.
        continuations: of each state, whose mean return is V.
        num_iterations: of the power iteration, from a random vector.

    Raises:
        InputError: for a count below 1.
    """
    for name, count in (("continuations", continuations), ("num_iterations", num_iterations)):
        if count < 1:
            raise InputError(f"{name} must be at least 1, got {count}")
    paths = simulate(key_for(key, "paths whose states are looked at"), tuning, policy, num)

    def at(t: Array) -> Array:
        now = jax.random.fold_in(key_for(key, "continuations"), t)

        def total(y: Array) -> Array:
            return jnp.sum(_values(now, tuning, policy, t, y, paths.label, continuations))

        y = paths.states[t + 1]
        v = normal(jax.random.fold_in(key_for(key, "vectors"), t), y.shape, y.dtype)
        # States do not meet: the Hessian of the sum has one block for each.
        radius = spectral_radius(
            lambda v: jax.jvp(jax.grad(total), (y,), (v,))[1], v, num_iterations
        )
        return jnp.square(tuning.base.schedule.sigmas[t]) * radius

    return Curvatures(times, lax.map(at, times))


def spectral_radius(
    times_hessian: Callable[[Array], Array], v: Array, num_iterations: int
) -> Array:
    """The largest |eigenvalue| of each of B symmetric matrices, by power iteration, from below.

    Args:
        times_hessian: of vectors `[B, d]`, the product of each with its matrix.
        v: vectors to start from, `[B, d]`; a zero one stays zero.
        num_iterations: products.

    Returns:
        `[B]`.
    """
    tiny = jnp.finfo(v.dtype).tiny

    def step(carry: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], None]:
        v, size = carry
        after = times_hessian(v / jnp.maximum(size, tiny)[:, None])
        return (after, jnp.linalg.norm(after, axis=1)), None

    return lax.scan(step, (v, jnp.linalg.norm(v, axis=1)), length=num_iterations)[0][1]


def _values(
    key: Array,
    tuning: Tuning,
    policy: Denoiser,
    t: Array,
    y: Array,
    label: Array | None,
    continuations: int,
) -> Array:
    """V_{t+1} at states `[B, d]`, means over continuations under noise that the key fixes."""
    sigmas = tuning.base.schedule.sigmas
    states = jnp.repeat(y, continuations, axis=0)
    label = None if label is None else jnp.repeat(label, continuations)

    def go(s: Array, y: Array, price: Array) -> tuple[Array, Array]:
        z = normal(jax.random.fold_in(key, s), y.shape, y.dtype)
        mean = policy.mean(s, y, label)
        e = (mean - tuning.base.mean(s, y, label)) / sigmas[s]
        return mean + sigmas[s] * z, price + jnp.sum(jnp.square(e), axis=-1) / 2

    # Activations of one step at a time: two derivatives of T steps would not fit for long chains.
    @jax.checkpoint
    def step(carry: tuple[Array, Array], s: Array) -> tuple[tuple[Array, Array], None]:
        return lax.cond(s > t, go, lambda s, y, price: (y, price), s, *carry), None

    start = (states, jnp.zeros(states.shape[0], y.dtype))
    last, price = lax.scan(step, start, jnp.arange(sigmas.shape[0]))[0]
    returns = tuning.reward(last, label) - tuning.beta * price
    return jnp.mean(returns.reshape(-1, continuations), axis=1)
