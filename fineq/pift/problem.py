"""The control problem: a chain of Gaussian transitions, a price on changing it, and rewards.

A *policy* replaces the pre-trained mean m0_t(y) of Y_{t+1} given Y_t = y by a controlled mean
m_t(y); its noise stays σ_t W. With S_t = σ_t σ_t' the objective is

    J = E[ r(Y_T) + Σ_t f_t(Y_t) - Σ_t β_t KL_t ],   KL_t = ½ |m_t(Y_t) - m0_t(Y_t)|²_{S_t^{-1}},

the exact divergence between the two transitions. For a denoising diffusion model the mean comes
from a score, m = (y + (1 - α) u)/√α, and KL_t = (1 - α)²/(2 α σ²) |u - s|² (arXiv 2412.18164); a
discretised SDE with drift b, diffusion B and control B u is another instance, with m0 = y + b dt,
S = λ BB' dt, β = λ.
"""

from typing import Any, NamedTuple, Protocol, TypeVar

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.typing import ArrayLike

from fineq.arrays import real_array
from fineq.ddpm.chain import AffineChain, ExactScore, Score, gaussian_chain, mean_of
from fineq.ddpm.laws import Gaussian, Law, standard_normal
from fineq.ddpm.schedules import Schedule
from fineq.errors import InputError
from fineq.pift.rewards import Quadratic


class Mean(Protocol):
    """A mean of the next state: a pytree, `(t, y) -> [d]` for one point y `[d]`."""

    def __call__(self, t: ArrayLike, y: Array) -> Array:
        """The mean of Y_{t+1} given Y_t = y."""
        ...


class Reward(Protocol):
    """A terminal reward: a pytree, `y -> scalar` for one point y `[d]`."""

    def __call__(self, y: Array) -> Array:
        """r(y)."""
        ...


class Running(Protocol):
    """A running reward: a pytree, `(t, y) -> scalar`."""

    def __call__(self, t: ArrayLike, y: Array) -> Array:
        """f_t(y)."""
        ...


class ScoreMean(NamedTuple):
    """m_t(y) = (y + (1 - α_t) s(t, y))/√α_t for a score s, pre-trained or controlled."""

    score: Score
    schedule: Schedule

    def __call__(self, t: ArrayLike, y: Array) -> Array:
        """The mean of Y_{t+1} given Y_t = y, `[d]`."""
        return mean_of(self.score(t, y), self.schedule.alphas[t], y)


class AffineMean(NamedTuple):
    """m_t(y) = A_t y + b_t with A `[T, d, d]`, b `[T, d]`."""

    A: Array
    b: Array

    def __call__(self, t: ArrayLike, y: Array) -> Array:
        """The mean of Y_{t+1} given Y_t = y, `[d]`."""
        return self.A[t] @ y + self.b[t]


class Between(NamedTuple):
    """The mean of a chain between two: m + λ(m̂ - m).

    Attributes:
        mean, other: m and m̂, of one state.
        part: λ.
    """

    mean: Mean
    other: Mean
    part: Array

    def __call__(self, t: ArrayLike, y: Array) -> Array:
        """The mean of Y_{t+1} given Y_t = y, `[d]`."""
        m = self.mean(t, y)
        return m + self.part * (self.other(t, y) - m)


class Chain(NamedTuple):
    """A pre-trained chain Y_{t+1} = m0_t(Y_t) + σ_t W.

    Attributes:
        mean: m0.
        sigmas: `[T]`, or `[T, d, d]` for matrices σ_t; the noise covariance is S_t = σ_t σ_t'.
        start: law of Y_0.
    """

    mean: Mean
    sigmas: Array
    start: Law

    @property
    def num_steps(self) -> int:
        """T."""
        return self.sigmas.shape[0]

    @property
    def d(self) -> int:
        """Dimension of the state."""
        return self.start.d

    def covariances(self) -> Array:
        """S_t = σ_t σ_t', `[T, d, d]`."""
        if self.sigmas.ndim == 1:
            eye = jnp.eye(self.d, dtype=self.sigmas.dtype)
            return self.sigmas[:, None, None] ** 2 * eye[None]
        return self.sigmas @ jnp.swapaxes(self.sigmas, -1, -2)

    def noise(self, t: ArrayLike, z: Array) -> Array:
        """σ_t z for standard normal z `[..., d]`."""
        sigma = self.sigmas[t]
        return sigma * z if self.sigmas.ndim == 1 else z @ sigma.T


class Problem(NamedTuple):
    """What fine-tuning is given.

    Attributes:
        chain: the pre-trained model.
        reward: terminal reward r.
        betas: `[T]`, the price β_t of a unit of divergence.
        running: running reward f, or None.
    """

    chain: Chain
    reward: Reward
    betas: Array
    running: Running | None = None

    @property
    def d(self) -> int:
        """Dimension of the state."""
        return self.chain.d

    @property
    def num_steps(self) -> int:
        """T."""
        return self.chain.num_steps


class Priced(Protocol):
    """A problem in any of its forms: it has `betas` `[T]` and is a NamedTuple."""

    @property
    def betas(self) -> Array:
        """β_t, `[T]`."""
        ...

    def _replace(self, **changes: Array) -> Any:
        """A copy with other fields."""
        ...


P = TypeVar("P", bound=Priced)


def with_beta(problem: P, beta: ArrayLike) -> P:
    """The same problem with one β for all steps."""
    return problem._replace(betas=jnp.broadcast_to(beta, problem.betas.shape))


def ddpm_chain(law: Law, schedule: Schedule, start: Law | None = None) -> Chain:
    """The reverse chain of a data law's exact scores, started from N(0, I) unless given.

    Gaussian data make the mean affine, `AffineMean`, exactly.

    Raises:
        InputError: for a start of another dimension than the data.
    """
    start = standard_normal(law.d) if start is None else start
    if start.d != law.d:
        raise InputError(f"the start has d = {start.d}, but the data have d = {law.d}")
    if isinstance(law, Gaussian):
        affine: AffineChain = gaussian_chain(law, schedule)
        return Chain(AffineMean(affine.A, affine.b), schedule.sigmas, start)
    return Chain(ScoreMean(ExactScore(law, schedule), schedule), schedule.sigmas, start)


def make_problem(
    chain: Chain, reward: Reward, beta: ArrayLike, running: Running | None = None
) -> Problem:
    """A problem with one β or a schedule of them `[T]`.

    Raises `InputError` for a reward that is no function, or whose coefficients have another
    dimension; on concrete numbers also for β <= 0, σ = 0, or a schedule of another length.
    """
    if not callable(reward):
        raise InputError(f"reward must be a function of a point, got {reward!r:.60}")
    if isinstance(reward, Quadratic) and reward.p.shape[-1] != chain.d:
        raise InputError(
            f"the chain has d = {chain.d}, but the reward has d = {reward.p.shape[-1]}"
        )
    betas = real_array("beta", beta).astype(chain.sigmas.dtype)
    if betas.ndim > 1 or (betas.ndim == 1 and betas.shape[0] != chain.num_steps):
        raise InputError(
            f"beta must be one number or a list of {chain.num_steps}, got shape {betas.shape}"
        )
    if not isinstance(betas, Tracer) and not np.all(np.asarray(betas) > 0):
        raise InputError(f"beta must be above 0, got {np.asarray(betas).min():g}")
    sigmas = chain.sigmas
    if not isinstance(sigmas, Tracer) and sigmas.ndim == 1:
        bad = np.flatnonzero(~(np.asarray(sigmas) > 0))
        if bad.size:
            raise InputError(f"σ of step {bad[0]} must be above 0, got {sigmas[bad[0]]:g}")
    return Problem(chain, reward, jnp.broadcast_to(betas, (chain.num_steps,)), running)
