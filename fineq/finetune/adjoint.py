"""State adjoints of a batch of paths, by one reverse pass.

Adding δ_t to Y_{t+1} in a path, with W held fixed, a_{t+1} is the derivative by δ_t at 0 of

    full   r(Y_T) - β Σ ½ |e_s|²: a_t = (∂m_t)'a_{t+1} - β (∂m_t - ∂m0_t)'(m_t - m0_t)/σ_t², an
           unbiased sample of ∇V_t of the policy.
    quiet  r(Y_T) - β Σ (½ |e_s|² + e_s·W_s), unbiased as well: what is added has mean zero. At the
           optimum little of its noise is left (`fineq.pift.parametric.paths`).
    lean   r(Y_T) where the path answers through the pre-trained mean alone,
           a_t = (∂m0_t)'a_{t+1}: the same at u = s and, in conditional mean, at the optimum; biased
           elsewhere (Domingo-Enrich et al. 2024, adjoint matching).
"""

from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jax import Array, lax

from fineq.ddpm import Denoiser
from fineq.errors import InputError
from fineq.finetune.problem import Tuning
from fineq.finetune.rollout import Noise, Paths, means, walk

Kind = Literal["full", "quiet", "lean"]


class Traced(NamedTuple):
    """Paths of a policy with all that their simulation and its reverse pass have seen.

    Attributes:
        paths: as simulated.
        base: m0_t(Y_t), `[T, B, d]`.
        errors: e_t, `[T, B, d]`.
        adjoints: a_1..a_T, `[T, B, d]`; a_{t+1} belongs to step t.
    """

    paths: Paths
    base: Array
    errors: Array
    adjoints: Array


def trace(
    tuning: Tuning, policy: Denoiser, noise: Noise, kind: Kind = "full", *, remat: bool = False
) -> Traced:
    """Simulate under given noise, and go back once.

    Args:
        tuning: the problem.
        policy: whose paths they are.
        noise: all that is random.
        kind: of the adjoint.
        remat: keep the states alone on the way there: memory grows with one step's activations,
            not with T times them, for one more forward pass. The lean adjoint keeps no more anyway.

    Raises:
        InputError: for an unknown kind.
    """
    check_kind(kind)
    if kind == "lean":
        return _lean(tuning, policy, noise)
    sigmas = tuning.sigmas[:, None, None]

    def gained(offsets: Array) -> tuple[Array, tuple[Paths, Array, Array]]:
        paths, m = walk(tuning, policy.mean, noise, offsets=offsets, remat=remat)
        # What the pre-trained network says, and how it changes, needs no loop: see `at_states`.
        base = means(tuning.base, paths)
        e = (m - base) / sigmas
        price = 0.5 * jnp.sum(jnp.square(e))
        if kind == "quiet":
            price = price + jnp.sum(e * noise.draws)
        reward = jnp.sum(tuning.reward(paths.states[-1], noise.label))
        return reward - tuning.beta * price, (paths, base, e)

    a, (paths, base, e) = jax.grad(gained, has_aux=True)(jnp.zeros_like(noise.draws))
    return Traced(paths, base, e, a)


def adjoints(
    tuning: Tuning, policy: Denoiser, paths: Paths, kind: Kind = "full", *, remat: bool = False
) -> Array:
    """a_1..a_T along paths of the policy, `[T, B, d]`; they are simulated again on the way.

    Raises:
        InputError: for an unknown kind.
    """
    noise = Noise(paths.states[0], paths.draws, paths.label)
    return trace(tuning, policy, noise, kind, remat=remat).adjoints


def check_kind(kind: str) -> None:
    """Raise `InputError` for an unknown kind of adjoint."""
    if kind not in get_args(Kind):
        raise InputError(f"kind must be one of {', '.join(get_args(Kind))}, got {kind}")


def _lean(tuning: Tuning, policy: Denoiser, noise: Noise) -> Traced:
    paths, m = walk(tuning, policy.mean, noise)

    def back(a: Array, now: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array]]:
        t, y = now
        base, pull = jax.vjp(lambda y: tuning.base.mean(t, y, noise.label), y)
        return pull(a)[0], (a, base)

    last = jax.grad(lambda y: jnp.sum(tuning.reward(y, noise.label)))(paths.states[-1])
    steps = (jnp.arange(tuning.num_steps), paths.states[:-1])
    a, base = lax.scan(back, last, steps, reverse=True)[1]
    return Traced(paths, base, (m - base) / tuning.sigmas[:, None, None], a)
