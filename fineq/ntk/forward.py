"""The forward process, its data triples, and the two losses of score regression.

    dX = -½ g(t) X dt + √g(t) dB on [0, T],   X_t | X_0 ~ N(a(t) X_0, h(t) I),
    a(t) = exp(-½ ∫_0^t g),   h = 1 - a²,   ∇ log p_t(x) = (a/h) f*(t, x) - x/h,

with f*(t, x) = E[X_0 | X_t = x] (`fineq.ntk.targets`). A predictor f stands for the score
s = (a/h) f - x/h. Under a weight λ(t) on squared errors of scores, denoising score matching is
E w(t) |f - X_0|² and explicit score matching E w(t) |f - f*|², w = λ a²/h²; they differ by the
constant E w(t) |X_0 - f*|² (`ntk/score-identity`). Source: Han, Razaviyayn, Xu, arXiv 2401.15604,
whose weight λ = h²/a² gives w = 1: regression of X_0 on (t, X_t).
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.typing import ArrayLike

from fineq.arrays import real_array
from fineq.errors import InputError


class Process(NamedTuple):
    """The forward process; make it with `make_process`.

    Attributes:
        first: g at time 0.
        last: g at time T; g is linear between.
        T0: earliest time that is learned, in (0, T).
        T: latest time.
    """

    first: Array
    last: Array
    T0: Array
    T: Array


class Triples(NamedTuple):
    """N data triples.

    Attributes:
        t: times `[N]`.
        x0: labels X_0 `[N, d]`.
        x: inputs X_t `[N, d]`.
    """

    t: Array
    x0: Array
    x: Array


class Losses(NamedTuple):
    """What each of N triples adds to the two losses; means over N estimate them.

    Attributes:
        denoising: w |f - X_0|², `[N]`.
        explicit: w |f - f*|², `[N]`.
        noise: w |X_0 - f*|², `[N]`; its mean is the constant by which the two differ.
    """

    denoising: Array
    explicit: Array
    noise: Array


class Sampled(Protocol):
    """A law of X_0 that can be drawn from."""

    def sample(self, key: Array, num: int) -> Array:
        """Independent draws `[num, d]`."""
        ...


Predictor = Callable[[Array, Array], Array]
"""f: times `[N]` and states `[N, d]` to predictions of X_0, `[N, d]`."""

Times = Callable[[Process, Array], Array]
"""A law of t by its quantiles: levels in (0, 1) to times in [T0, T]."""


def make_process(
    g: ArrayLike = 1.0, last: ArrayLike | None = None, *, T0: ArrayLike = 0.1, T: ArrayLike = 3.0
) -> Process:
    """The process with rate g, or with g linear from `g` at time 0 to `last` at time T.

    Works under `jit` and `vmap`; on concrete numbers raises `InputError` unless g is positive and
    0 < T0 < T.
    """
    values = (g, g if last is None else last, T0, T)
    process = Process(*(jnp.asarray(x, float) for x in values))
    if any(isinstance(x, Tracer) for x in process):
        return process
    first, end, start, horizon = (float(x) for x in process)
    for name, value in (("first", first), ("last", end)):
        if not (value > 0 and np.isfinite(value)):
            raise InputError(f"{name} must be a finite rate g above 0, got {value:g}")
    if not 0 < start < horizon < np.inf:
        raise InputError(f"T0 must be above 0 and below T, got T0 = {start:g}, T = {horizon:g}")
    return process


def _cast(process: Process, t: ArrayLike) -> tuple[Process, Array]:
    t = jnp.asarray(t, jnp.result_type(t, float))
    return Process(*(jnp.asarray(x, t.dtype) for x in process)), t


def rate(process: Process, t: ArrayLike) -> Array:
    """g(t), shape of t."""
    p, t = _cast(process, t)
    return p.first + (p.last - p.first) * (t / p.T)


def exposure(process: Process, t: ArrayLike) -> Array:
    """∫_0^t g, shape of t."""
    p, t = _cast(process, t)
    return t * (p.first + 0.5 * (p.last - p.first) * (t / p.T))


def alpha(process: Process, t: ArrayLike) -> Array:
    """a(t) = exp(-½ ∫_0^t g), shape of t."""
    return jnp.exp(-0.5 * exposure(process, t))


def variance(process: Process, t: ArrayLike) -> Array:
    """h(t) = 1 - a(t)², shape of t, with all its digits at small t."""
    return -jnp.expm1(-exposure(process, t))


def uniform(process: Process, u: Array) -> Array:
    """Times uniform on [T0, T]: the paper's."""
    p, u = _cast(process, u)
    return p.T0 + (p.T - p.T0) * u


def log_uniform(process: Process, u: Array) -> Array:
    """Times with log t uniform on [log T0, log T]: more of the small times sampling needs."""
    p, u = _cast(process, u)
    return jnp.clip(p.T0 * jnp.exp(jnp.log(p.T / p.T0) * u), p.T0, p.T)


def fixed(time: ArrayLike) -> Times:
    """All times equal to `time`."""

    def quantile(process: Process, u: Array) -> Array:
        return jnp.full_like(u, time)

    return quantile


TIMES: dict[str, Times] = {"uniform": uniform, "log_uniform": log_uniform}


def triples(
    process: Process, law: Sampled, key: Array, num: int, times: Times = uniform
) -> Triples:
    """Draw `num` independent triples: t from `times`, X_0 from `law`, X_t = a X_0 + √h Z.

    Raises `InputError` for fewer than 1.
    """
    if num < 1:
        raise InputError(f"the number of triples must be at least 1, got {num}")
    key_time, key_start, key_noise = jax.random.split(key, 3)
    x0 = law.sample(key_start, num)
    t = times(process, jax.random.uniform(key_time, (num,), x0.dtype))
    return Triples(t, x0, diffuse(process, key_noise, t, x0))


def diffuse(process: Process, key: Array, t: Array, x0: Array) -> Array:
    """X_t = a X_0 + √h Z for times `[N]` and starts `[N, d]`: `[N, d]`."""
    z = jax.random.normal(key, x0.shape, x0.dtype)
    return alpha(process, t)[:, None] * x0 + jnp.sqrt(variance(process, t))[:, None] * z


def inputs(process: Process, t: ArrayLike, x: ArrayLike, constant: bool = True) -> Array:
    """Regression inputs z = (x, t - T0, 1), or (x, t - T0) without the constant, `[N, D]`.

    The paper's has no constant; a tangent kernel of ReLU without bias is then not universal.

    Args:
        process: the forward process.
        t: times `[N]`.
        x: states `[N, d]`.
        constant: whether there is the constant.

    Raises:
        InputError: for other shapes.
    """
    t, x = real_array("times", t, 1), real_array("states", x, 2)
    if t.shape[0] != x.shape[0]:
        raise InputError(f"there must be a state for each of {t.shape[0]} times, got {x.shape}")
    late = (t - jnp.asarray(process.T0, t.dtype)).astype(x.dtype)
    columns = [x, late[:, None]]
    return jnp.concatenate([*columns, jnp.ones_like(late)[:, None]] if constant else columns, -1)


def score_of(process: Process, t: Array, x: Array, predicted: Array) -> Array:
    """The score (a/h) f - x/h that predictions f `[N, d]` of X_0 stand for, `[N, d]`."""
    a, h = alpha(process, t)[:, None], variance(process, t)[:, None]
    return (a * predicted - x) / h


def _regression_weight(process: Process, t: Array) -> Array:
    return jnp.ones_like(alpha(process, t))


def _score_weight(process: Process, t: Array) -> Array:
    return (alpha(process, t) / variance(process, t)) ** 2


def _noise_weight(process: Process, t: Array) -> Array:
    return alpha(process, t) ** 2 / variance(process, t)


def _likelihood_weight(process: Process, t: Array) -> Array:
    return rate(process, t) * _score_weight(process, t)


WEIGHTS: dict[str, Callable[[Process, Array], Array]] = {
    "regression": _regression_weight,  # λ = h²/a², the paper's
    "score": _score_weight,  # λ = 1
    "noise": _noise_weight,  # λ = h: the error of the predicted noise
    "likelihood": _likelihood_weight,  # λ = g: bounds the log-likelihood
}


def weight(process: Process, t: Array, name: str = "regression") -> Array:
    """w(t) = λ(t) a²/h², the factor of |f - X_0|² under the weight λ that `name` stands for.

    λ is h²/a² (`regression`), 1 (`score`), h (`noise`) or g (`likelihood`).

    Raises:
        InputError: for an unknown name.
    """
    if name not in WEIGHTS:
        raise InputError(f"weight must be one of {', '.join(WEIGHTS)}, got {name}")
    return WEIGHTS[name](process, t)


def losses(
    process: Process, f: Predictor, truth: Predictor, data: Triples, name: str = "regression"
) -> Losses:
    """Both losses of f and the constant between them, one value per triple.

    The sum denoising - explicit - noise = 2 w (f - f*)·(f* - X_0) has mean 0, exactly so for every
    f: `ntk/score-identity`.

    Args:
        process: the forward process.
        f: the predictor.
        truth: f*.
        data: triples.
        name: of the weight (`weight`).
    """
    w = weight(process, data.t, name)
    found, best = f(data.t, data.x), truth(data.t, data.x)

    def size(apart: Array) -> Array:
        return w * jnp.sum(apart**2, axis=-1)

    return Losses(size(found - data.x0), size(found - best), size(data.x0 - best))
