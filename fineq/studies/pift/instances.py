"""From a configuration to the fine-tuning problem of each member, pure and with traced numbers."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq.ddpm import laws, schedules
from fineq.errors import InputError
from fineq.keys import key_for
from fineq.pift import rewards
from fineq.pift.problem import Chain, Problem, Reward, ddpm_chain, make_problem
from fineq.settings.fields import replace_at
from fineq.studies.fields import about_fields
from fineq.studies.pift.config import PiftConfig
from fineq.sweep.stages import Member


class Given(NamedTuple):
    """What the user brought.

    Attributes:
        points: the data, instead of a configured law.
        function: a reward, `[d] -> scalar`.
    """

    points: laws.Law | None = None
    function: Callable[[Array], Array] | None = None


def alphas_of(config: PiftConfig) -> Array:
    """α_1..α_T in forward order."""
    s = config.schedule
    match s.name:
        case "linear_rate":
            return schedules.linear_rate(s.num_steps, s.first, s.last)
        case "linear":
            return schedules.linear(s.num_steps, s.first, s.last)
        case "cosine":
            return schedules.cosine(s.num_steps)
        case "constant_rate":
            return schedules.constant_rate(s.num_steps, s.end)
        case _:
            return schedules.from_list(s.alphas)


def schedule_of(config: PiftConfig) -> schedules.Schedule:
    """The schedule of the configuration, in its precision.

    Raises:
        InputError: as `fineq.ddpm.schedules.make_schedule`.
    """
    variance = config.schedule.variance
    with about_fields({name: f"schedule.{name}" for name in ("alphas", "variance", "floor")}):
        made = schedules.make_schedule(alphas_of(config), variance, floor=config.schedule.floor)  # type: ignore[arg-type]
    return jax.tree.map(lambda x: x.astype(config.precision), made)


def dimension(config: PiftConfig, given: Given) -> int:
    """Dimension of the data."""
    if given.points is not None:
        return given.points.d
    return len(config.data.means[0]) if config.data.means else config.data.d


def law_of(config: PiftConfig, given: Given, key: Array) -> laws.Law:
    """The data law: as given, or drawn from the key.

    Raises:
        InputError: for a given law that is none, and as the builders of `fineq.ddpm.laws`.
    """
    data = config.data
    if given.points is not None:
        return given.points
    if not data.means:
        return _drawn_law(config, key)
    if data.name == "gaussian":
        if len(data.means) != 1:
            raise InputError(f"data.means must hold one mean of a Gaussian, got {len(data.means)}")
        with about_fields({"mean": "data.means", "covariance": "data.covariances"}):
            return laws.gaussian(_array("data.means", data.means)[0], _covariances(config)[0])
    weights = data.weights or [1 / len(data.means)] * len(data.means)
    with about_fields({name: f"data.{name}" for name in ("weights", "means", "covariances")}):
        return laws.mixture(
            _array("data.weights", weights), _array("data.means", data.means), _covariances(config)
        )


def _array(name: str, values: list) -> Array:
    try:
        return jnp.asarray(np.asarray(values, float))
    except (ValueError, TypeError) as error:
        raise InputError(f"{name} must be numbers in rows of equal length") from error


def _covariances(config: PiftConfig) -> Array:
    C = _array("data.covariances", config.data.covariances)
    if C.ndim == 1:  # one variance per mean, for data on a line
        C = C[:, None, None]
    return C


def _drawn_law(config: PiftConfig, key: Array) -> laws.Gaussian | laws.Mixture:
    data, d = config.data, config.data.d
    count = 1 if data.name == "gaussian" else data.num_components
    key_means, key_values, key_vectors = jax.random.split(key, 3)
    dtype = jnp.dtype(config.precision)
    means = data.spread * jax.random.normal(key_means, (count, d), dtype)
    share = jax.random.uniform(key_values, (count, d), dtype)
    values = jnp.asarray(data.least, dtype) ** (1 - share) * data.largest**share
    vectors = random_basis(key_vectors, d, (count,), dtype)
    if data.name == "gaussian":
        return laws.Gaussian(means[0], values[0], vectors[0])
    weights = data.weights or [1 / count] * count
    if len(weights) != count:
        raise InputError(
            f"data.weights must hold one weight per component, {count}, got {len(weights)}"
        )
    laws.check_weights("data.weights", jnp.asarray(weights, float))
    return laws.Mixture(jnp.log(jnp.asarray(weights, dtype)), laws.Gaussian(means, values, vectors))


def random_basis(key: Array, d: int, shape: tuple[int, ...], dtype: Any) -> Array:
    """Orthogonal matrices `[*shape, d, d]`, products of d random reflections (Stewart 1980)."""
    # No LAPACK: see fineq.fast.lapack.
    z = jax.random.normal(key, (d, *shape, d), dtype)
    later = jnp.arange(d)[None] >= jnp.arange(d)[:, None]
    z = jnp.where(later.reshape(d, *(1,) * len(shape), d), z, 0.0)

    def reflect(U: Array, v: Array) -> tuple[Array, None]:
        Uv = jnp.einsum("...ij,...j->...i", U, v)
        size = jnp.sum(v * v, axis=-1)[..., None, None]
        return U - 2 * Uv[..., :, None] * v[..., None, :] / size, None

    return jax.lax.scan(reflect, jnp.broadcast_to(jnp.eye(d, dtype=dtype), (*shape, d, d)), z)[0]


def reward_of(config: PiftConfig, given: Given, law: laws.Law, key: Array) -> Reward:
    """The terminal reward: as given, or drawn from the key.

    Raises:
        InputError: for lists that do not fit the dimension or the law.
    """
    reward, d = config.reward, law.d
    dtype = jnp.dtype(config.precision)
    scale = jnp.asarray(reward.scale, dtype)
    match reward.name:
        case "linear":
            return _scaled(
                rewards.linear(_direction(config, d, jax.random.normal(key, (d,), dtype))), scale
            )
        case "quadratic":
            return _scaled(_quadratic(config, d, key), scale)
        case "wave":
            first = jnp.zeros(d, dtype).at[0].set(1.0)
            shift, ripple = (jnp.asarray(x, dtype) for x in (reward.shift, reward.ripple))
            return rewards.Wave(_direction(config, d, first), scale, shift, ripple)
        case "log_ratio":
            return _log_ratio(config, law, scale)
        case _:
            assert given.function is not None
            return rewards.Custom(given.function, scale)


def _scaled(q: rewards.Quadratic, scale: Array) -> rewards.Quadratic:
    return rewards.Quadratic(scale * q.P, scale * q.p, scale * q.c)


def _direction(config: PiftConfig, d: int, default: Array) -> Array:
    if not config.reward.direction:
        return default
    w = _array("reward.direction", config.reward.direction)
    if w.shape != (d,):
        raise InputError(f"reward.direction must have {d} entries, got {w.shape[0]}")
    return w.astype(default.dtype)


def _quadratic(config: PiftConfig, d: int, key: Array) -> rewards.Quadratic:
    key_P, key_center = jax.random.split(key)
    dtype = jnp.dtype(config.precision)
    if config.reward.matrix:
        P = _array("reward.matrix", config.reward.matrix).astype(dtype)
        if P.shape != (d, d):
            raise InputError(f"reward.matrix must have shape {(d, d)}, got {P.shape}")
    else:
        P = _curved(config.reward.curvature, d, key_P, dtype)
    center = jax.random.normal(key_center, (d,), dtype)
    if config.reward.center:
        center = _array("reward.center", config.reward.center).astype(dtype)
        if center.shape != (d,):
            raise InputError(f"reward.center must have {d} entries, got {center.shape[0]}")
    return rewards.quadratic(P, center)


def _curved(kind: str, d: int, key: Array, dtype: Any) -> Array:
    """A random symmetric matrix with eigenvalues of size 1/4 to 1 and the signs of its kind."""
    key_values, key_vectors = jax.random.split(key)
    values = jax.random.uniform(key_values, (d,), dtype, 0.25, 1.0)
    signs = {"concave": -1.0, "convex": 1.0, "mixed": (-1.0) ** np.arange(d)}[kind]
    U = random_basis(key_vectors, d, (), dtype)
    return (U * (jnp.asarray(signs, dtype) * values)[None]) @ U.T


def _log_ratio(config: PiftConfig, law: laws.Law, scale: Array) -> rewards.LogRatio:
    if not isinstance(law, laws.Mixture):
        raise InputError("reward.name=log_ratio needs data.name=mixture")
    weights = _array("reward.weights", config.reward.weights)
    if weights.shape != law.log_weights.shape:
        raise InputError(
            f"reward.weights must have {law.num_components} entries, one per component, got "
            f"{weights.shape[0]}"
        )
    target = law._replace(log_weights=jnp.log(weights / weights.sum()).astype(scale.dtype))
    return rewards.LogRatio(target, law, scale)


def is_drawn(config: PiftConfig, given: Given) -> bool:
    """Whether the problem depends on the seed: its data law or its reward are drawn."""
    reward = config.reward
    if given.points is None and not config.data.means:
        return True
    if reward.name == "linear":
        return not reward.direction
    return reward.name == "quadratic" and not (reward.matrix and reward.center)


class Instance(NamedTuple):
    """One member's problem, with the law of its data.

    What else is drawn names its purpose, from the `key` of the member's seed.
    """

    problem: Problem
    law: laws.Law
    schedule: schedules.Schedule
    key: Array


def make_instance(config: PiftConfig, given: Given) -> Callable[[Member], Instance]:
    """A pure function from a member (`{"seed": ..., "beta": ...}`) to its instance.

    A member's values take the place of fields; `OWN` names axes that are no fields.

    Raises:
        InputError: from the call, as the parts above.
    """

    def instance(member: Member) -> Instance:
        at = replace_at(config, {k: v for k, v in member.items() if k not in OWN})
        seed = jax.random.key(member["seed"])
        law = law_of(at, given, key_for(seed, "a law of data"))
        law = jax.tree.map(lambda x: x.astype(config.precision), law)
        schedule = schedule_of(at)
        beta = jnp.asarray(at.betas or at.beta, config.precision)
        chain: Chain = ddpm_chain(law, schedule)
        reward = reward_of(at, given, law, key_for(seed, "a reward"))
        return Instance(make_problem(chain, reward, beta), law, schedule, seed)

    return instance


# Axes that studies lay themselves, which are no fields.
OWN = ("seed", "rule", "side", "edge", "times")
