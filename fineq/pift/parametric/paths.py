"""Simulated paths, their objective, and value gradients by one reverse pass.

Parametrised policies are written through a *costate* c: the mean of the next state is

    m_t(y) = m0_t(y) + (S_t/β_t) c_t(y),

so that c = 0 is the pre-trained model and PI-FT, m ← m0 + (S/β) E∇V_{t+1}(m + σW), becomes: replace
c_t(Y_t) by the conditional mean of ∇V_{t+1}(Y_{t+1}). The price of step t is ½ c'(S/β)c. In the
control form of a diffusion model, u = s + √α σ²/((1 - α)β) c; for a discretised SDE with control
σ u, u = σ'c. Source: arXiv 2412.18164 (`pift/parametric`).

Along a path let G_t be the return-to-go. With the noise held fixed, its derivative a_t with respect
to Y_t obeys, with v the vector named below,

    a_t = ∇f_t + (∇m0_t)' a_{t+1} + (∇c_t)' v_t,   a_T = ∇r(Y_T).

    raw    v = (S/β)(a_{t+1} - c_t): the derivative of the path's own return.
    quiet  v = (S/β)(a_{t+1} - c_t) - σ_t W_t: the derivative of G_t less Σ_s c_s'σ_s W_s. That sum
           has mean zero from every start, so its gradient has too: the sample stays unbiased for
           ∇V of the current policy. At the optimum what is left of its noise is of the order of
           the step, and none at all in linear-quadratic problems (Roeder, Wu, Duvenaud 2017: the
           path-derivative gradient of variational inference).
    lean   v = 0: not ∇V of the current policy, but the same fixed point, for v has mean zero at
           the optimum (Domingo-Enrich et al. 2024, adjoint matching).

The target for c_t(Y_t) is a_{t+1}, whose noise also holds ∇²V σ_t W_t from the step just made.
`quiet` and `lean` targets subtract (∇c_t) σ_t W_t, of mean zero given Y_t and close to it where the
mean moves little in a step; `landing` is `quiet` but subtracts (∇c_t)(∇m_t)^{-1} σ_t W_t, which in
linear-quadratic problems is all of it, for d solves of size d at every point.
"""

from typing import Literal, NamedTuple, Protocol, get_args

import chex
import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from fineq.errors import InputError
from fineq.pift.problem import Mean, Problem

Target = Literal["raw", "quiet", "lean", "landing"]


class Costate(Protocol):
    """A parametrised costate: a pytree, `(t, y) -> [d]` for one point y `[d]`."""

    def __call__(self, t: ArrayLike, y: Array) -> Array:
        """c_t(y)."""
        ...


class Paths(NamedTuple):
    """Simulated paths of a policy.

    Attributes:
        states: Y_0..Y_T, `[T + 1, N, d]`.
        noises: σ_t W_t, `[T, N, d]`.
        costates: c_t(Y_t), `[T, N, d]`.
    """

    states: Array
    noises: Array
    costates: Array


class Zero(NamedTuple):
    """c = 0, the pre-trained policy."""

    def __call__(self, t: ArrayLike, y: Array) -> Array:
        """Zeros `[d]`."""
        del t
        return jnp.zeros_like(y)


class CostateMean(NamedTuple):
    """m_t(y) = m0_t(y) + (S_t/β_t) c_t(y), the policy of a costate as a mean.

    Attributes:
        mean: m0.
        gains: S/β as `gains` returns it.
        costate: c.
    """

    mean: Mean
    gains: Array
    costate: Costate

    def __call__(self, t: ArrayLike, y: Array) -> Array:
        """The mean of Y_{t+1} given Y_t = y, `[d]`."""
        return self.mean(t, y) + scaled(self.gains[t], self.costate(t, y))


class MeanCostate(NamedTuple):
    """c_t(y) = β_t S_t^{-1} (m_t(y) - m0_t(y)), the costate of a mean.

    Attributes:
        mean: m.
        base: m0.
        inverses: β S^{-1}, `[T]` for scalar σ_t, else `[T, d, d]`.
    """

    mean: Mean
    base: Mean
    inverses: Array

    def __call__(self, t: ArrayLike, y: Array) -> Array:
        """c_t(y), `[d]`."""
        return scaled(self.inverses[t], self.mean(t, y) - self.base(t, y))


def gains(problem: Problem) -> Array:
    """S_t/β_t: `[T]` for scalar σ_t, else `[T, d, d]`."""
    sigmas = problem.chain.sigmas
    if sigmas.ndim == 1:
        return sigmas**2 / problem.betas
    return problem.chain.covariances() / problem.betas[:, None, None]


def scaled(gain: Array, v: Array) -> Array:
    """(S/β) v for v `[..., d]` and the gain of one step, a number or a symmetric matrix."""
    return gain * v if gain.ndim == 0 else v @ gain.T


def policy_of(problem: Problem, costate: Costate) -> CostateMean:
    """The controlled mean of a costate."""
    return CostateMean(problem.chain.mean, gains(problem), costate)


def costate_of(problem: Problem, mean: Mean) -> MeanCostate:
    """The costate of a controlled mean."""
    gain = gains(problem)
    inverses = 1 / gain if gain.ndim == 1 else jnp.linalg.inv(gain)
    return MeanCostate(mean, problem.chain.mean, inverses)


def check_num_paths(num_paths: int) -> None:
    """Raise `InputError` for fewer than one path."""
    if num_paths < 1:
        raise InputError(f"num_paths must be at least 1, got {num_paths}")


def check_target(target: str) -> None:
    """Raise `InputError` for an unknown target."""
    if target not in get_args(Target):
        raise InputError(f"target must be one of {', '.join(get_args(Target))}, got {target}")


def simulate(key: Array, problem: Problem, costate: Costate, num_paths: int) -> Paths:
    """Independent paths of a policy from the law of Y_0.

    Raises:
        InputError: for fewer than one path.
    """
    check_num_paths(num_paths)
    key_start, key_noise = jax.random.split(key)
    y0 = problem.chain.start.sample(key_start, num_paths)
    shape = (problem.num_steps, num_paths, problem.d)
    return rollout(problem, costate, y0, jax.random.normal(key_noise, shape, y0.dtype))


def rollout(problem: Problem, costate: Costate, y0: Array, z: Array) -> Paths:
    """Paths from given starts `[N, d]` and standard normal draws `[T, N, d]`."""
    chex.assert_shape([y0, z], [(None, problem.d), (problem.num_steps, *y0.shape)])
    chain, gain = problem.chain, gains(problem)

    def step(y: Array, now: tuple[Array, Array]) -> tuple:
        t, z = now
        c, m0 = jax.vmap(lambda x: (costate(t, x), chain.mean(t, x)))(y)
        noise = chain.noise(t, z)
        after = m0 + scaled(gain[t], c) + noise
        return after, (after, noise, c)

    states, noises, costates = lax.scan(step, y0, (jnp.arange(problem.num_steps), z))[1]
    return Paths(jnp.concatenate([y0[None], states]), noises, costates)


def returns(problem: Problem, paths: Paths) -> Array:
    """Reward less price of each path, `[N]`: unbiased for J."""
    total = jax.vmap(problem.reward)(paths.states[-1])
    prices = jax.vmap(lambda g, c: jnp.sum(c * scaled(g, c), -1) / 2)(
        gains(problem), paths.costates
    )
    total = total - jnp.sum(prices, axis=0)
    running = problem.running
    if running is None:
        return total
    times = jnp.arange(problem.num_steps)
    earned = jax.vmap(lambda t, y: jax.vmap(lambda x: running(t, x))(y))(times, paths.states[:-1])
    return total + jnp.sum(earned, axis=0)


def adjoints(problem: Problem, costate: Costate, paths: Paths, target: Target = "quiet") -> Array:
    """a_1..a_T along paths of the policy, `[T, N, d]`; a_{t+1} belongs to step t.

    Under `raw` and `quiet` the mean of a_{t+1} given Y_{t+1} is ∇V_{t+1}(Y_{t+1}) of the policy.
    """
    T, N, d = paths.noises.shape
    chex.assert_shape([paths.states, paths.costates], [(T + 1, N, d), (T, N, d)])
    mean, running, gain = problem.chain.mean, problem.running, gains(problem)

    def at(t: Array, y: Array, a: Array, c: Array, noise: Array) -> Array:
        before = jax.vjp(lambda x: mean(t, x), y)[1](a)[0]
        if running is not None:
            before = before + jax.grad(running, 1)(t, y)
        if target == "lean":
            return before
        v = scaled(gain[t], a - c)
        v = v if target == "raw" else v - noise
        return before + jax.vjp(lambda x: costate(t, x), y)[1](v)[0]

    def step(a: Array, now: tuple) -> tuple[Array, Array]:
        t, y, c, noise = now
        before = jax.vmap(at, (None, 0, 0, 0, 0))(t, y, a, c, noise)
        return before, before

    last = jax.vmap(jax.grad(problem.reward))(paths.states[-1])
    times = jnp.arange(1, problem.num_steps)
    inputs = (times, paths.states[1:-1], paths.costates[1:], paths.noises[1:])
    return jnp.concatenate([lax.scan(step, last, inputs, reverse=True)[1], last[None]])


def targets(problem: Problem, costate: Costate, paths: Paths, target: Target = "quiet") -> Array:
    """What c_t(Y_t) is regressed on, `[T, N, d]`.

    Raises:
        InputError: for an unknown target.
    """
    check_target(target)
    a = adjoints(problem, costate, paths, "quiet" if target == "landing" else target)
    if target == "raw":
        return a
    policy = policy_of(problem, costate)

    def known(t: Array, y: Array, noise: Array) -> Array:
        if target == "landing":
            noise = jnp.linalg.solve(jax.jacfwd(lambda x: policy(t, x))(y), noise)
        return jax.jvp(lambda x: costate(t, x), (y,), (noise,))[1]

    each = jax.vmap(jax.vmap(known, (None, 0, 0)))
    return a - each(jnp.arange(problem.num_steps), paths.states[:-1], paths.noises)
