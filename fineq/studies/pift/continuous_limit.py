"""From steps to the continuous-time problem, and policy iteration there (`pift/continuous-time`).

Gaussian data and a linear or quadratic reward: the optimum of a chain of T steps beside the closed
form of its limit, V_t(y) = β log E[e^{r/β} | Y_t = y] and u* = s + ∇V/β, for both variances, and
beside the certificate (`pift/certificate`). The posterior variance falls short of b_k near the data
by a factor that does not tend to 1, and so does the control there.

A mixture on a line with a reward that has no closed form: the Bellman equation by policy iteration
on grids that are refined in space and time at once, against Hopf-Cole by quadrature.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from fineq.ddpm.chain import control_of
from fineq.ddpm.laws import Gaussian, Mixture, mixture
from fineq.ddpm.schedules import Schedule, rates
from fineq.errors import InputError
from fineq.pift import hjb, lq, tilting
from fineq.pift.certificates import affine_bounds
from fineq.pift.rewards import Quadratic, Wave
from fineq.results import Array as Named
from fineq.results import StudyResult, status_of
from fineq.studies.common import dims_of, named_arrays
from fineq.studies.pift.common import Study, coords_of, make_study
from fineq.studies.pift.config import PiftConfig
from fineq.studies.pift.continuous_views import (
    ABOUT,
    GRID_ABOUT,
    claims,
    figures,
    grid_claims,
    orders,
)
from fineq.studies.pift.drawn import VARIANCES, Problems, draw, over_steps, refuse_lost
from fineq.studies.pift.instances import Given
from fineq.sweep import Axis
from fineq.sweep.stages import Member, Stages

# The line: two modes, a start far enough in the noise, and points where both laws have mass.
MODES, DEVIATION, END, HALF_WIDTH, SEEN = 1.5, 0.5, float(np.exp(-4.0)), 8.0, 3.0
POINTS_PER_STEP = 4  # so that space and time errors are of one size
EXTRA = 3  # iterations beyond those shown, to their limit


class Apart(NamedTuple):
    """A chain against its limit.

    Attributes:
        value: root mean square of V_0 - limit over Y_0 ~ N(0, I).
        control: root mean square of u* - limit over Y_t of the data, averaged over the clock ∫g.
        shortfall: the same average of |(σ²/b - 1) ∇V/β|, V the limit: what replacing b by σ² in
            the noise does to the control.
        gap: bound E[β log E[e^{r/β} | Y_0]] of the chain, less J*.
    """

    value: Array
    control: Array
    shortfall: Array
    gap: Array


class Refined(NamedTuple):
    """A grid against quadrature.

    Attributes:
        value: largest |V_0 - exact| for |y| <= 3, after the last iteration.
        control: likewise of u at half of the clock.
        iterates: largest |V^(i) - limit on this grid| over all times, `[I]`.
    """

    value: Array
    control: Array
    iterates: Array


def run(config: PiftConfig, given: Given, stages: Stages) -> StudyResult:
    """Chains against their limit; then policy iteration in continuous time."""
    study = make_study(config, given, stages)
    _check(study)
    steps = Axis("schedule.num_steps", config.continuous.num_steps, static=True)
    grids = Axis("num_times", config.continuous.num_times, static=True)
    found = over_steps(study, draw(study), config.continuous.num_steps, _apart)
    found: Apart = jax.tree.map(lambda x: np.moveaxis(np.asarray(x), -1, 0), found)
    refuse_lost(study, found.value)
    refined = _refined(study, grids)
    axes = [Axis("schedule.variance", VARIANCES, static=True), *study.axes, steps]
    arrays = named_arrays(found._asdict(), dims_of(axes), ABOUT)
    arrays |= named_arrays(refined._asdict(), ("num_times",), GRID_ABOUT, prefix="grid_")
    iterates = np.asarray(refined.iterates)
    arrays["grid_iterates"] = Named(
        iterates, ("num_times", "iteration"), "1", "largest |V − limit| of policy iteration"
    )
    laws = orders(study, found)
    return StudyResult(
        arrays,
        coords_of([*axes, grids], config, iteration=np.arange(iterates.shape[-1])),
        (*claims(study, found, laws), *grid_claims(config, refined)),
        tuple(law for by in laws for law in by.values()),
        figures(study, laws),
        status_of(~np.isfinite(found.value)),
    )


def _check(study: Study) -> None:
    config = study.config
    if config.betas:
        raise InputError("continuous_limit needs one beta, not betas")
    first = study.instance({"seed": config.first_seed})
    if not (isinstance(first.law, Gaussian) and isinstance(first.problem.reward, Quadratic)):
        raise InputError(
            "continuous_limit needs data.name=gaussian and a linear or quadratic reward, got "
            f"data.name={config.data.name}, reward.name={config.reward.name}"
        )


def mean_square(value: Quadratic, mean: Array, covariance: Array) -> Array:
    """E q(Y)² of a quadratic for Gaussian Y, exact."""
    center = value(mean) + 0.5 * jnp.trace(value.P @ covariance)
    slope, PC = value.P @ mean + value.p, value.P @ covariance
    return center**2 + slope @ covariance @ slope + 0.5 * jnp.trace(PC @ PC)


def _apart(drawn: Problems, schedule: Schedule) -> Apart:
    problem = drawn.problem(schedule)
    arrays = lq.linear_quadratic(problem)
    best = lq.optimum(arrays)
    # One decomposition after the other: two batched ones at once can hang two cores.
    best, drawn = lax.optimization_barrier((best, drawn))
    law, reward, beta = drawn
    assert isinstance(law, Gaussian)
    assert isinstance(reward, Quadratic)

    def limit(bar: Array) -> Quadratic:
        return tilting.tilt_bridge(tilting.bridge(law, bar), reward, beta)[1]

    exact = jax.vmap(limit)(schedule.alpha_bars[:-1])
    best, exact = lax.optimization_barrier((best, exact))
    first = jax.tree.map(lambda a, b: a[0] - b[0], best.value, exact)
    start = problem.chain.start.moments()

    def control(now: tuple) -> tuple[Array, Array]:
        """E |u - limit|² and E |∇V/β|² at one t, all being affine in y."""
        alpha, bar, F, f, V = now
        noised = law.noised(bar)
        u0 = control_of(f, alpha, jnp.zeros_like(f))
        U = jax.vmap(lambda F, e: control_of(F, alpha, e), 1, 1)(F, jnp.eye(law.d, dtype=F.dtype))
        precision = noised.precision()
        D = U + precision - V.P / beta
        e = u0 - precision @ noised.mean - V.p / beta
        mean, covariance = noised.moments()

        def square(D: Array, e: Array) -> Array:
            return jnp.sum((D @ mean + e) ** 2) + jnp.trace(D @ covariance @ D.T)

        return square(D, e), square(V.P / beta, V.p / beta)

    inputs = (schedule.alphas, schedule.alpha_bars[:-1], *best.policy, exact)
    squares, pulls = jax.vmap(control)(inputs)
    short, clock = schedule.sigmas**2 / (1 - schedule.alphas) - 1, rates(schedule)
    bound = affine_bounds(problem).conditional
    return Apart(
        jnp.sqrt(mean_square(first, *start)),
        jnp.sqrt(jnp.sum(clock * squares) / jnp.sum(clock)),
        jnp.sqrt(jnp.sum(clock * short**2 * pulls) / jnp.sum(clock)),
        bound - lq.expected(arrays, best.value),
    )


def line() -> tuple[Mixture, Wave]:
    """The mixture and the reward on a line."""
    law = mixture(np.full(2, 0.5), np.array([[-MODES], [MODES]]), np.full((2, 1, 1), DEVIATION**2))
    return law, Wave(jnp.ones(1), jnp.asarray(1.0), jnp.asarray(0.5), jnp.asarray(0.3))


def _refined(study: Study, grids: Axis) -> Refined:
    """Policy iteration on each grid, `[num_times, ...]`."""
    config, (law, reward) = study.config, line()
    count = config.continuous.num_iterations
    beta = jnp.asarray(config.beta)

    def at(member: Member) -> Refined:
        N = int(member["num_times"])
        domain = hjb.make_domain(law, END, N, POINTS_PER_STEP * N + 1, HALF_WIDTH)
        found = hjb.policy_iteration(hjb.bellman_equation(domain, reward, beta), count + EXTRA)
        seen = jnp.abs(domain.points) <= SEEN

        def most(x: Array) -> Array:
            return jnp.max(jnp.where(seen, jnp.abs(x), 0.0), axis=-1)

        half = N // 2
        bars = jnp.exp(domain.times - domain.times[-1])
        value = quadrature(law, reward, beta, bars[0], domain.points)[0]
        control = quadrature(law, reward, beta, bars[half], domain.points)[1]
        return Refined(
            most(found.values[-1, 0] - value),
            most(found.controls[-1, half] - control),
            jnp.max(most(found.values[:count] - found.values[-1:]), axis=-1),
        )

    # Nothing is random: the seed is there because every sweep has one.
    found = study.stages.measure("grids", at, [grids, Axis("seed", [config.first_seed])])
    return jax.tree.map(lambda x: np.asarray(x)[:, 0], found)


def quadrature(
    law: Mixture, reward: Wave, beta: Array, bar: Array, y: Array
) -> tuple[Array, Array]:
    """V and u* at points y `[n]` of noise level ᾱ, by the trapezoidal rule over Y_T.

    V = β log E[e^{r/β} | y]; u* = (√ᾱ E*[Y_T | y] - y)/(1 - ᾱ), E* under the tilt.
    """
    x = jnp.linspace(-HALF_WIDTH, HALF_WIDTH, 2001)
    at = jax.vmap(lambda x: (law.log_density(x[None]), reward(x[None]) / beta))(x)

    def one(y: Array) -> tuple[Array, Array]:
        logs = at[0] - 0.5 * (y - jnp.sqrt(bar) * x) ** 2 / (1 - bar)
        value = jax.nn.logsumexp(logs + at[1]) - jax.nn.logsumexp(logs)
        mean = jax.nn.softmax(logs + at[1]) @ x
        return beta * value, (jnp.sqrt(bar) * mean - y) / (1 - bar)

    return jax.vmap(one)(y)
