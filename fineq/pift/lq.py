"""Linear-quadratic fine-tuning: the exact optimum and policy iteration on affine means.

With means m0_t(y) = A_t y + b_t, noise covariances S_t = L_t L_t' and quadratic rewards, every
value is V_t(y) = ½ y'P_t y + p_t'y + c_t. The best mean solves m = m0 + (S/β)(P m + p), so that,
with P = P_{t+1} and E = (I - S P/β)^{-1},

    m* = E (m0 + S p/β),   P_t = A'P E A,   p_t = A'E'(P b + p),

and the plain inner iteration m ← m0 + (S/β)(P m + p) contracts at the spectral radius of S P/β.
All constants are kept, so that V_0 is the objective itself. Source: arXiv 2412.18164
(`pift/optimality`, `pift/linear-convergence`).
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, custom_batching, lax

from fineq.arrays import prefer_float64, real_array
from fineq.errors import InputError
from fineq.fast.lanes import LARGEST_LANES, Lanes
from fineq.pift.problem import AffineMean, Problem
from fineq.pift.rewards import Quadratic, RunningQuadratic

Rule = Literal["plain", "damped", "newton"]

# XLA hands sums of this many terms to a library, which takes many times as long for small matrices.
LARGEST_SUM = 4096
LANES = 8  # problems side by side come in multiples of it: they fill a vector register


class LinearQuadratic(NamedTuple):
    """A linear-quadratic problem in arrays.

    Attributes:
        A, b: `[T, d, d]`, `[T, d]`, of the pre-trained means.
        L: `[T, d, d]`, square roots of the noise covariances S = LL'.
        L_inverse: `[T, d, d]`.
        betas: `[T]`.
        terminal: r.
        running: f, zero where there is none.
    """

    A: Array
    b: Array
    L: Array
    L_inverse: Array
    betas: Array
    terminal: Quadratic
    running: RunningQuadratic


class Policy(NamedTuple):
    """Affine means m_t(y) = F_t y + f_t: F `[T, d, d]`, f `[T, d]`."""

    F: Array
    f: Array


class Solution(NamedTuple):
    """The optimum.

    Attributes:
        value: V_0..V_T, leaves `[T + 1, ...]`; NaN before a step that is not well posed.
        policy: the optimal means; NaN likewise.
        lowest, highest: `[T]`, extreme eigenvalues of L'P_{t+1}L/β_t: the largest in absolute value
            is the contraction ratio of step t, and `highest` < 1 is what makes it well posed.
        direction: `[T, d]`, the direction (through L) in which the Bellman bracket curves up most.
        well_posed: every step has a unique maximiser; else the value is infinite.
    """

    value: Quadratic
    policy: Policy
    lowest: Array
    highest: Array
    direction: Array
    well_posed: Array

    @property
    def ratios(self) -> Array:
        """ρ_t of the plain inner iteration at V_{t+1}, `[T]`."""
        return jnp.maximum(-self.lowest, self.highest)


def linear_quadratic(problem: Problem) -> LinearQuadratic:
    """The arrays of a problem with affine means and quadratic rewards, P by their symmetric parts.

    Raises:
        InputError: for any other problem, or arrays whose shapes do not fit T steps in d
            dimensions.
    """
    chain, reward, running = problem.chain, problem.reward, problem.running
    if not isinstance(chain.mean, AffineMean):
        raise InputError("a linear-quadratic problem needs affine means: data.name=gaussian")
    if not isinstance(reward, Quadratic):
        raise InputError(
            "a linear-quadratic problem needs a linear or quadratic reward: reward.name=linear or "
            "quadratic"
        )
    if running is None:
        T, d = problem.num_steps, problem.d
        zeros = jnp.zeros((T, d, d), chain.sigmas.dtype)
        running = RunningQuadratic(zeros, zeros[:, 0], zeros[:, 0, 0])
    if not isinstance(running, RunningQuadratic):
        raise InputError("a linear-quadratic problem needs a quadratic running reward")
    if chain.sigmas.ndim == 1:
        eye = jnp.eye(problem.d, dtype=chain.sigmas.dtype)
        L = chain.sigmas[:, None, None] * eye[None]
        L_inverse = eye[None] / chain.sigmas[:, None, None]
    else:
        L, L_inverse = chain.sigmas, jnp.linalg.inv(chain.sigmas)
    _check_fit(problem, chain.mean, reward, running)
    A, b = chain.mean
    # A decomposition would read one triangle only.
    reward = reward._replace(P=_symmetric(reward.P))
    running = running._replace(P=_symmetric(running.P))
    return LinearQuadratic(A, b, L, L_inverse, problem.betas, reward, running)


def _symmetric(P: Array) -> Array:
    return (P + jnp.swapaxes(P, -1, -2)) / 2


def _check_fit(
    problem: Problem, mean: AffineMean, reward: Quadratic, running: RunningQuadratic
) -> None:
    T, d = problem.num_steps, problem.d
    shapes = {
        "the mean's A": (mean.A, (T, d, d)),
        "the mean's b": (mean.b, (T, d)),
        "the reward's P": (reward.P, (d, d)),
        "the reward's p": (reward.p, (d,)),
        "the running reward's P": (running.P, (T, d, d)),
        "the running reward's p": (running.p, (T, d)),
        "the running reward's c": (running.c, (T,)),
    }
    for name, (given, shape) in shapes.items():
        got = real_array(name, given).shape
        if got != shape:
            raise InputError(f"{name} must have shape {shape} for this chain, got {got}")


def pretrained(lq: LinearQuadratic) -> Policy:
    """The policy that changes nothing, u = s."""
    return Policy(lq.A, lq.b)


@jax.jit
def optimum(lq: LinearQuadratic) -> Solution:
    """Solve the Bellman equation exactly, backwards in t."""
    prefer_float64("pift.lq.optimum")

    def step(carry: tuple[Quadratic, Array], now: tuple) -> tuple:
        (after, well_posed), (A, b, L, beta, P, p, c) = carry, now
        curvature, vectors = jnp.linalg.eigh(L.T @ after.P @ L)
        well_posed = well_posed & (curvature[-1] < beta)
        # I - S P/β = L (I - L'PL/β) L^{-1}: its inverse, times L, from the same eigenvectors.
        V = L @ vectors
        G = (V / (beta - curvature)[None]) @ V.T  # (β S^{-1} - P)^{-1}

        def improved(m0: Array, p: Array) -> Array:
            return m0 + G @ (after.P @ m0 + p)

        F = jax.vmap(improved, (1, None), 1)(A, jnp.zeros_like(b))
        f = improved(b, after.p)
        PF = after.P @ F
        new_P = A.T @ PF + P
        new_p = F.T @ (after.P @ b + after.p) + p
        new_c = after.c + 0.5 * jnp.trace(L.T @ after.P @ L) + c
        g = after.P @ b + after.p
        new_c = new_c + 0.5 * b @ after.P @ b + after.p @ b + 0.5 * g @ G @ g
        value = Quadratic((new_P + new_P.T) / 2, new_p, new_c)
        value, policy = jax.tree.map(
            lambda x: jnp.where(well_posed, x, jnp.nan), (value, Policy(F, f))
        )
        return (value, well_posed), (
            value,
            policy,
            curvature[0] / beta,
            curvature[-1] / beta,
            V[:, -1] / jnp.linalg.norm(V[:, -1]),
            well_posed,
        )

    inputs = (lq.A, lq.b, lq.L, lq.betas, *lq.running)
    (_, well_posed), found = lax.scan(step, (lq.terminal, jnp.asarray(True)), inputs, reverse=True)
    value, policy, lowest, highest, direction, _ = found
    return Solution(with_terminal(value, lq), policy, lowest, highest, direction, well_posed)


def with_terminal(value: Quadratic, lq: LinearQuadratic) -> Quadratic:
    """V_0..V_{T-1} with V_T = r appended."""
    return jax.tree.map(lambda x, last: jnp.concatenate([x, last[None]]), value, lq.terminal)


def backward(lq: LinearQuadratic, t: Array, after: Quadratic, F: Array, f: Array) -> Quadratic:
    """V_t of a mean F y + f at step t, given V_{t+1}."""
    whitened = lq.L_inverse[t] @ (F - lq.A[t]), lq.L_inverse[t] @ (f - lq.b[t])
    D, e = whitened
    beta, L = lq.betas[t], lq.L[t]
    P = F.T @ after.P @ F - beta * D.T @ D
    p = F.T @ (after.P @ f + after.p) - beta * D.T @ e
    c = after.c + 0.5 * jnp.trace(L.T @ after.P @ L)
    c = c + 0.5 * f @ after.P @ f + after.p @ f - 0.5 * beta * e @ e
    P = P + lq.running.P[t]
    return Quadratic((P + P.T) / 2, p + lq.running.p[t], c + lq.running.c[t])


@jax.jit
def evaluate(lq: LinearQuadratic, policy: Policy) -> Quadratic:
    """V_0..V_T of a policy, leaves `[T + 1, ...]`."""

    def step(after: Quadratic, now: tuple) -> tuple[Quadratic, Quadratic]:
        t, F, f = now
        value = backward(lq, t, after, F, f)
        return value, value

    times = jnp.arange(lq.betas.shape[0])
    value = lax.scan(step, lq.terminal, (times, *policy), reverse=True)[1]
    return with_terminal(value, lq)


def improve(
    lq: LinearQuadratic, t: Array, after: Quadratic, F: Array, f: Array, rule: Rule = "plain"
) -> tuple[Array, Array]:
    """One inner step at time t towards the best mean for V_{t+1} = `after`.

    `plain`: m ← m0 + (S/β)∇V̄(m), the paper's. `damped`: the fraction 1/(1 + ρ) of that step, ρ the
    largest curvature |λ|/β. `newton`: the exact maximiser, for the bracket is quadratic.
    """
    L, beta = lq.L[t], lq.betas[t]
    S = L @ L.T
    F_new = lq.A[t] + S @ (after.P @ F) / beta
    f_new = lq.b[t] + S @ (after.P @ f + after.p) / beta
    if rule == "plain":
        return F_new, f_new
    if rule == "damped":
        rho = jnp.max(jnp.abs(jnp.linalg.eigvalsh(L.T @ after.P @ L))) / beta
        share = 1 / (1 + rho)
        return F + share * (F_new - F), f + share * (f_new - f)
    bracket = jnp.eye(L.shape[-1], dtype=L.dtype) - S @ after.P / beta
    step = jnp.linalg.solve(bracket, jnp.concatenate([F_new - F, (f_new - f)[:, None]], axis=1))
    return F + step[:, :-1], f + step[:, -1]


def sweep(lq: LinearQuadratic, policy: Policy, rule: Rule = "plain") -> tuple[Policy, Quadratic]:
    """Whole-trajectory policy iteration: evaluate at all t, then improve at all t.

    Returns:
        The improved policy, and the value of the policy that came in.
    """
    return sweeps(lq, policy, 1, rule)


@partial(jax.jit, static_argnames=("num", "rule"))
def sweeps(
    lq: LinearQuadratic, policy: Policy, num: int, rule: Rule = "plain"
) -> tuple[Policy, Quadratic]:
    """`num` sweeps; under `vmap`, plain sweeps of small problems run over all of them in lanes.

    Returns:
        The policy after them, and the value of the last but one.
    """
    if rule == "plain" and lq.b.shape[-1] <= LARGEST_LANES:
        return _plain(num)(lq, policy)
    return _repeated(partial(_sweep, rule=rule), num, lq, policy)


def _repeated(one: Callable, num: int, lq: LinearQuadratic, policy: Policy) -> Any:
    policy, value = one(lq, policy)
    if num == 1:
        return policy, value
    return lax.fori_loop(1, num, lambda _, now: one(lq, now[0]), (policy, value))


def _sweep(lq: LinearQuadratic, policy: Policy, rule: Rule = "plain") -> tuple[Policy, Quadratic]:
    value = evaluate(lq, policy)
    after = jax.tree.map(lambda x: x[1:], value)
    times = jnp.arange(lq.betas.shape[0])
    F, f = jax.vmap(lambda t, v, F, f: improve(lq, t, v, F, f, rule))(times, after, *policy)
    return Policy(F, f), value


@cache
def _plain(num: int) -> Callable[[LinearQuadratic, Policy], tuple[Policy, Quadratic]]:
    """`num` plain sweeps of one problem, or under `vmap` of many."""

    @custom_batching.custom_vmap
    def run(lq: LinearQuadratic, policy: Policy) -> tuple[Policy, Quadratic]:
        return _repeated(_sweep, num, lq, policy)

    @run.def_vmap
    def run_many(size: int, batched: list[Any], *given: Any) -> tuple[Any, Any]:
        def last(x: Array, is_batched: bool) -> Array:
            whole = x if is_batched else jnp.broadcast_to(x[None], (size, *x.shape))
            return jnp.moveaxis(whole, 0, -1)

        lanes = jax.tree.map(last, given, tuple(batched))
        whole = partial(_in_lanes, num)
        out = lax.platform_dependent(*lanes, cpu=partial(_in_blocks, whole), default=whole)
        out = jax.tree.map(lambda x: jnp.moveaxis(x, -1, 0), out)
        return out, jax.tree.map(lambda _: True, out)

    @jax.custom_jvp
    def differentiable(lq: LinearQuadratic, policy: Policy) -> tuple[Policy, Quadratic]:
        return run(lq, policy)

    @differentiable.defjvp
    def derivative(primals: Any, tangents: Any) -> Any:
        # Not through `run`: JAX batches arguments whose tangents are not batched twice there.
        return jax.jvp(partial(_repeated, _sweep, num), primals, tangents)

    return differentiable


def _in_blocks(whole: Callable, lq: LinearQuadratic, policy: Policy) -> tuple[Policy, Quadratic]:
    """`whole` on blocks of lanes, one after the other."""
    size, d = lq.b.shape[-1], lq.b.shape[-2]
    most = max(1, (LARGEST_SUM - 1) // (d + 1) ** 3)
    most = most - most % LANES if most > LANES else most
    count = -(-size // most)
    width = -(-size // (count * LANES)) * LANES if most > LANES else most

    def split(x: Array) -> Array:
        extra = jnp.broadcast_to(x[..., -1:], (*x.shape[:-1], count * width - size))
        padded = jnp.concatenate([x, extra], axis=-1)
        return jnp.moveaxis(padded.reshape(*x.shape[:-1], count, width), -2, 0)

    def join(x: Array) -> Array:
        return jnp.moveaxis(x, 0, -2).reshape(*x.shape[1:-1], count * width)[..., :size]

    out = lax.map(lambda block: whole(*block), jax.tree.map(split, (lq, policy)))
    return jax.tree.map(join, out)


def _in_lanes(num: int, lq: LinearQuadratic, policy: Policy) -> tuple[Policy, Quadratic]:
    """`num` plain sweeps with the batch as last axis of every array.

    In coordinates (y, 1) a value is ½ (y, 1)'H(y, 1), H = [[P, p], [p', 2c]], and a mean [F f].
    Let D be what [F f] adds to [A b], and G = βS^{-1}D. The first rows of X = H [F f; 0 1] are the
    G of the improved policy, and H_t = [F f; 0 1]'X - D'G: three products a step, no S^{-1}.
    """
    d, t = lq.b.shape[-2], Lanes.transpose

    def prepare(now: tuple) -> tuple[Array, ...]:
        A, b, F, f, L, L_inverse, beta, running = now
        start = jnp.concatenate([A, b[:, None]], axis=1)
        D = jnp.concatenate([F, f[:, None]], axis=1) - start
        S, scale = _inner(t(L), t(L)), beta[None, None]
        G = scale * _inner(L_inverse, _inner(t(L_inverse), D))
        return start, S, S / scale, _homogeneous(running), D, G

    given = (lq.A, lq.b, *policy, lq.L, lq.L_inverse, lq.betas, lq.running)
    start, S, share, running, D, G = lax.map(prepare, given)
    terminal = _homogeneous(lq.terminal)
    bottom = jnp.zeros_like(start[0, :1]).at[:, -1].set(1)

    def step(H: Array, now: tuple) -> tuple[Array, tuple[Array, Array, Array]]:
        start, share, running, D, G = now
        F = jnp.concatenate([start + D, bottom])
        X = _inner(H, F)  # H and S are symmetric
        H = _inner(F, X) - _inner(D, G) + running
        return H, (_inner(share, X[:d]), X[:d], H)

    def one(_: int, now: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        return lax.scan(step, terminal, (start, share, running, *now[:2]), reverse=True)[1]

    D, _, H = lax.fori_loop(0, num, one, (D, G, jnp.zeros_like(running)))
    H = jnp.concatenate([H, terminal[None]])
    H = (H + jnp.swapaxes(H, 1, 2)) / 2
    # Noise adds tr(SP)/2 to the constants, on which nothing else depends.
    added = lax.map(lambda now: 0.5 * jnp.sum(now[0] * now[1], axis=(0, 1)), (S, H[1:, :d, :d]))
    total = jnp.concatenate([lax.cumsum(added, reverse=True), jnp.zeros_like(added[:1])])
    mean = start + D
    value = Quadratic(H[:, :d, :d], H[:, :d, d], H[:, d, d] / 2 + total)
    return Policy(mean[:, :, :d], mean[:, :, d]), value


def _homogeneous(q: Any) -> Array:
    """[[P, p], [p', 2c]], lanes last."""
    top = jnp.concatenate([q.P, q.p[:, None]], axis=1)
    return jnp.concatenate([top, jnp.concatenate([q.p, 2 * q.c[None]])[None]])


def _inner(x: Array, y: Array) -> Array:
    """X'y in each lane."""
    # As one sum: XLA writes what is broadcast to memory once, where terms written out one by one
    # are computed anew for each of their uses.
    return jnp.sum(x[:, :, None] * y[:, None], axis=0)


class Nested(NamedTuple):
    """PI-FT as in the paper, backwards in t with inner iterations at each.

    Attributes:
        policy: what it ends with.
        value: its value, leaves `[T + 1, ...]`.
        inner: policies after 0..num_inner inner iterations, leaves `[T, num_inner + 1, ...]`.
    """

    policy: Policy
    value: Quadratic
    inner: Policy


@partial(jax.jit, static_argnames=("num_inner", "rule"))
def nested(lq: LinearQuadratic, num_inner: int, rule: Rule = "plain") -> Nested:
    """PI-FT with `num_inner` inner iterations at each t, from the pre-trained policy."""

    def at(after: Quadratic, now: tuple) -> tuple[Quadratic, tuple]:
        t, A, b = now

        def inner(mean: tuple[Array, Array], _: None) -> tuple:
            mean = improve(lq, t, after, *mean, rule)
            return mean, mean

        (F, f), path = lax.scan(inner, (A, b), length=num_inner)
        value = backward(lq, t, after, F, f)
        path = jax.tree.map(lambda x, first: jnp.concatenate([first[None], x]), path, (A, b))
        return value, (Policy(F, f), value, Policy(*path))

    times = jnp.arange(lq.betas.shape[0])
    policy, value, path = lax.scan(at, lq.terminal, (times, lq.A, lq.b), reverse=True)[1]
    return Nested(policy, with_terminal(value, lq), path)


class Outcome(NamedTuple):
    """J = reward - price, from the moments of the controlled chain.

    Attributes:
        objective: J.
        reward: E[r(Y_T) + Σ f_t].
        divergence: path KL, Σ_t E KL_t.
        price: Σ_t β_t E KL_t.
        mean, covariance: of Y_T.
    """

    objective: Array
    reward: Array
    divergence: Array
    price: Array
    mean: Array
    covariance: Array


@jax.jit
def objective(lq: LinearQuadratic, policy: Policy, mean: Array, covariance: Array) -> Outcome:
    """Run a policy forward by moments from Y_0 of given mean `[d]` and covariance `[d, d]`."""

    def expectation(q: Quadratic, m: Array, C: Array) -> Array:
        return q(m) + 0.5 * jnp.trace(q.P @ C)

    def step(carry: tuple[Array, Array], now: tuple) -> tuple:
        (m, C), (F, f, A, b, L, L_inverse, P, p, c) = carry, now
        D, e = L_inverse @ (F - A), L_inverse @ ((F - A) @ m + f - b)
        kl = 0.5 * (e @ e + jnp.trace(D @ C @ D.T))
        gained = expectation(Quadratic(P, p, c), m, C)
        return (F @ m + f, F @ C @ F.T + L @ L.T), (kl, gained)

    inputs = (*policy, lq.A, lq.b, lq.L, lq.L_inverse, *lq.running)
    (m, C), (kl, gained) = lax.scan(step, (mean, covariance), inputs)
    reward, price = expectation(lq.terminal, m, C) + jnp.sum(gained), jnp.sum(lq.betas * kl)
    return Outcome(reward - price, reward, jnp.sum(kl), price, m, C)


def expected(value: Quadratic, mean: Array, covariance: Array) -> Array:
    """E V_0(Y_0) for Y_0 of given moments; `value` as returned by `evaluate`."""
    first = jax.tree.map(lambda x: x[0], value)
    return first(mean) + 0.5 * jnp.trace(first.P @ covariance)
