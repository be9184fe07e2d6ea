"""The infinite-horizon cost, by simulating until what is left is provably small, or never will be.

Expected energies `E |x_t|²` are summed over windows that double, [h/2, h) and [h, 2h). A geometric
decay by q a step makes the second sum z(1 + z) times the first with z = q^(h/2): that gives z, and
the tail `cost of the last window · z²/(1 - z²)`. Two facts keep transients from deceiving it:
nothing that comes to rest does so faster than the linearisation at the origin forgets, so z is
never taken below ρ^h, ρ its spectral radius; and windows that double outlast any fixed transient.

Of the linearisation only that is used which its powers prove, rounding included: a bound of ρ from
below, and the norms of the powers from above (`fineq.nlqr.stability.power_norms`). A defective
loop, whose computed eigenvalues may be off by many digits, is then judged by its simulation.
"""

import enum
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from fineq.arrays import real_array
from fineq.nlqr.doors import check_policy
from fineq.nlqr.lanes import Lanes, advance, at_states, closed_loop
from fineq.nlqr.laws import Points
from fineq.nlqr.problem import System
from fineq.nlqr.random_systems import spectral_radius
from fineq.nlqr.stability import PowerNorms, linearisation, loop_norms

STRIDE = 8  # steps between looks
FORGOTTEN = 1e-6  # of a small deviation is left: then what has not decayed is not small
PERSISTENT = 1.5  # ratio of window sums: 2 for a constant energy, 0 for a fast decay


class CostStatus(enum.IntEnum):
    """What was found about a policy; `message` says it in words.

    It speaks of the given initial states, not of all. `UNSEEN` are states that stay or grow and
    cost nothing: the cost is finite although the loop is not stable. That takes a Q that does not
    see a mode of A with |eigenvalue| >= 1, which `fineq.nlqr.checks.build_system` refuses.
    """

    STABLE = 0
    UNSTABLE = 1
    UNDECIDED = 2
    UNSEEN = 3

    @property
    def message(self) -> str:
        """One sentence."""
        return {
            CostStatus.STABLE: "every initial state comes to rest",
            CostStatus.UNSTABLE: "some initial states never come to rest",
            CostStatus.UNDECIDED: "the decay is too slow to be judged within max_horizon steps, or "
            "what growing states cost is lost in rounding",
            CostStatus.UNSEEN: "the cost is finite, but some initial states do not come to rest: "
            "Q does not see them",
        }[self]


class InfiniteCost(NamedTuple):
    """The infinite-horizon cost of a policy; scalars.

    Attributes:
        cost: C(K); inf where unstable; where undecided, the cost of the steps simulated.
        horizon: a T, a multiple of 8, that leaves out at most `tolerance · cost`; where not stable,
            the number of steps simulated.
        tail: estimate of what lies beyond the steps simulated and is missing in `cost`; NaN where
            the states stay or grow and what they cost is lost in rounding.
        status: a `CostStatus`.
    """

    cost: Array
    horizon: Array
    tail: Array
    status: Array


class _Search(NamedTuple):
    x: Array  # [n, S]
    strides: Array
    total: Array
    window_cost: Array
    window_energy: Array
    previous_cost: Array
    previous_energy: Array
    tail: Array
    radius: Array  # of the linearisation: nothing is waited for less than it takes to decay
    warnings: Array  # windows in a row that looked like a limit cycle
    lost: Array
    status: Array


class _Judgement(NamedTuple):
    tail: Array
    cycling: Array
    lost: Array  # what states that stay or grow cost is rounding, and grows: no window tells more
    status: Array


def infinite_cost(
    K: Array,
    system: System,
    points: Points,
    *,
    tolerance: ArrayLike = 1e-12,
    max_horizon: int = 2**16,
) -> InfiniteCost:
    """Simulate until the estimated tail is at most `tolerance · cost`, doubling the horizon.

    K is `[p, n + d]`. `UNSTABLE` is said of a loop that overflows, that grows or stays, and costs
    no less and less, while the origin provably repels (spectral radius of the linearisation above
    1), or that stays away from an attracting origin for longer than the linearisation provably
    needs to forget a factor 1e6, over two doublings: a limit cycle. `UNSEEN` is said where the
    states stay or grow but what they cost is rounding, and too little to matter; `UNDECIDED` where
    that rounding itself grows with them, as it does where Q sees a mode by rounding only. A decay
    too slow for `max_horizon` is `UNDECIDED`, and so is a loop on the unit circle. Works under
    `jit` and `vmap`; not differentiable in reverse mode: use `fineq.nlqr.cost` at `horizon`.

    Rounding in the steps counts as a perturbation of the loop: nearly defective loops of radius
    1 - δ, whose powers grow before they decay, have a cost good to about ε/δ^j only, j the size of
    the Jordan block. Raises `InputError` for arrays that are no real numbers or do not fit.
    """
    K = real_array("K", K)
    check_policy(K, system, points, max_horizon)
    found = _search(K, system, points, loop_norms(system, K), tolerance, max_horizon)
    stable = found.status == CostStatus.STABLE
    unstable = found.status == CostStatus.UNSTABLE
    horizon = _shortest(K, system, points, found.total, tolerance, found.strides, stable)
    return InfiniteCost(
        cost=jnp.where(unstable, jnp.inf, found.total),
        horizon=STRIDE * horizon,
        tail=jnp.where(unstable, jnp.inf, found.tail),
        status=found.status,
    )


def _stride(K: Array, system: System, points: Points, x: Array) -> tuple[Array, Array, Array]:
    """Advance `x [n, S]` by STRIDE steps; also their expected cost and energy."""
    loop = closed_loop(K, system)

    def step(carry: tuple[Lanes, Array], _: None) -> tuple[tuple[Lanes, Array], None]:
        lanes, energies = carry
        energies = energies + jnp.sum(lanes.x * lanes.x, axis=0)
        return (advance(K, loop, system, lanes)[0], energies), None

    start = (at_states(system, x), jnp.zeros_like(x[0]))
    (lanes, energies), _ = lax.scan(step, start, None, length=STRIDE)
    weights = points.weights
    return lanes.x, jnp.sum(weights * lanes.total), jnp.sum(weights * energies)


def _ratio(now: Array, before: Array) -> Array:
    return jnp.where(now == 0, 0.0, now / before)


def _left(ratio: Array, slowest: Array) -> Array:
    """What is still to come of a geometric decay, as a share of the last window."""
    z = jnp.maximum((jnp.sqrt(1 + 4 * ratio) - 1) / 2, slowest)
    return jnp.where(z < 1, z**2 / (1 - z**2), jnp.inf)


def _judge(state: _Search, powers: PowerNorms, rounding: Array, tolerance: ArrayLike) -> _Judgement:
    """Judge a window [h, 2h) that has just ended against [h/2, h)."""
    h = (STRIDE * state.strides / 2).astype(state.total.dtype)
    energy_ratio = _ratio(state.window_energy, state.previous_energy)
    cost = jnp.abs(state.window_cost)  # of unseen states it may be negative, by rounding
    cost_ratio = _ratio(cost, jnp.abs(state.previous_cost))
    hidden = cost <= rounding * state.window_energy
    slowest = state.radius**h
    tail = jnp.where(cost == 0, 0.0, cost * _left(energy_ratio, slowest))
    # Costs that shrink beside states that do not: whether Q sees them is not yet known.
    seen = (cost_ratio >= 1) & ~hidden
    repelled = (powers.radius > 1) & (energy_ratio >= 1) & seen
    kept = powers.above[jnp.round(jnp.log2(h)).astype(int)]
    cycling = (kept < FORGOTTEN) & (energy_ratio >= PERSISTENT) & seen
    overflowed = ~jnp.isfinite(state.total + state.window_energy)
    unstable = overflowed | repelled | (cycling & (state.warnings >= 1))
    enough = jnp.asarray(tolerance) / 2 * state.total
    left = jnp.where(cost == 0, 0.0, cost * _left(cost_ratio, jnp.zeros_like(slowest)))
    stays = hidden & (energy_ratio >= PERSISTENT)
    unseen = stays & (left <= enough)
    lost = stays & ~unseen & (cost_ratio >= 1) & ~unstable
    status = jnp.where(tail <= enough, CostStatus.STABLE, CostStatus.UNDECIDED)
    status = jnp.where(unseen, CostStatus.UNSEEN, status)
    status = jnp.where(unstable, CostStatus.UNSTABLE, status).astype(jnp.int32)
    tail = jnp.where(lost, jnp.nan, jnp.where(unseen, left, tail))
    return _Judgement(tail, cycling, lost, status)


def _radius(K: Array, system: System, powers: PowerNorms) -> Array:
    """ρ of the linearisation; what is proved of it where the computed one is no guide."""
    computed = spectral_radius(linearisation(system, K))
    trusted = jnp.any(powers.above < 1) & (computed < 1)
    return jnp.where(trusted, jnp.maximum(computed, powers.radius), powers.radius)


def _rounding(K: Array, system: System) -> Array:
    """What a state may seem to cost, per unit of energy, only because products are rounded."""
    size = jnp.linalg.norm(system.Q) + jnp.linalg.norm(system.R) * jnp.linalg.norm(K) ** 2
    return sum(system.policy_shape) * jnp.finfo(size.dtype).eps * size


def _search(
    K: Array,
    system: System,
    points: Points,
    powers: PowerNorms,
    tolerance: ArrayLike,
    max_horizon: int,
) -> _Search:
    dtype, rounding = points.points.dtype, _rounding(K, system)

    # One half of the tolerance is for the tail here, the other for what `_shortest` leaves out.
    def running(state: _Search) -> Array:
        undecided = (state.status == CostStatus.UNDECIDED) & ~state.lost
        return undecided & (STRIDE * state.strides < max_horizon)

    def advance(state: _Search) -> _Search:
        x, cost, energy = _stride(K, system, points, state.x)
        state = state._replace(
            x=x,
            strides=state.strides + 1,
            total=state.total + cost,
            window_cost=state.window_cost + cost,
            window_energy=state.window_energy + energy,
        )
        # A window ends where the number of strides is a power of 2; the first pair that doubles is
        # [1, 2) and [2, 4).
        ends = (state.strides & (state.strides - 1)) == 0
        judged = _judge(state, powers, rounding, tolerance)
        early = ~jnp.isfinite(state.total)
        ready = ends & (state.strides >= 4)
        status = jnp.where(ready, judged.status, state.status)
        return state._replace(
            window_cost=jnp.where(ends, 0.0, state.window_cost),
            window_energy=jnp.where(ends, 0.0, state.window_energy),
            previous_cost=jnp.where(ends, state.window_cost, state.previous_cost),
            previous_energy=jnp.where(ends, state.window_energy, state.previous_energy),
            tail=jnp.where(ready, judged.tail, state.tail),
            warnings=jnp.where(
                ready, jnp.where(judged.cycling, state.warnings + 1, 0), state.warnings
            ),
            lost=ready & judged.lost,
            status=jnp.where(early, CostStatus.UNSTABLE, status).astype(jnp.int32),
        )

    zero = jnp.zeros((), dtype)
    whole = jnp.zeros((), jnp.int32)
    undecided = jnp.asarray(CostStatus.UNDECIDED, jnp.int32)
    start = _Search(
        points.points.T,
        whole,
        zero,
        zero,
        zero,
        zero,
        zero,
        jnp.full((), jnp.inf, dtype),
        _radius(K, system, powers),
        whole,
        jnp.zeros((), bool),
        undecided,
    )
    return lax.while_loop(running, advance, start)


def _shortest(
    K: Array,
    system: System,
    points: Points,
    total: Array,
    tolerance: ArrayLike,
    simulated: Array,
    stable: Array,
) -> Array:
    """Count the strides that leave at most half of `tolerance · total` of the simulated cost.

    The search overshoots by up to a factor 2 and more; a second run finds where it could have
    stopped, which is what every later evaluation at a fixed horizon gains.
    """

    def running(carry: tuple[Array, Array, Array]) -> Array:
        _, cost, strides = carry
        return stable & (total - cost > jnp.asarray(tolerance) / 2 * total) & (strides < simulated)

    def advance(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        x, cost, strides = carry
        x, more, _ = _stride(K, system, points, x)
        return x, cost + more, strides + 1

    start = (points.points.T, jnp.zeros_like(total), jnp.zeros((), jnp.int32))
    strides = lax.while_loop(running, advance, start)[2]
    return jnp.where(stable, jnp.maximum(strides, 1), simulated)
