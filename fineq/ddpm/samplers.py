"""Samples of a denoiser, a whole batch at once.

`ancestral` runs the chain Y_{t+1} = m_t(Y_t) + σ_t W_t itself. `ddim` may leave out levels: from ᾱ
to ᾱ' it goes to

    Y' = √ᾱ' x̂0 + √(1 - ᾱ' - s²) ε̂ + s W,   s² = η² (1 - ᾱ/ᾱ') (1 - ᾱ')/(1 - ᾱ),

with the estimates x̂0, ε̂ at Y (Song, Meng and Ermon 2021): nothing is drawn for η = 0, and with all
levels η = 1 is the chain of posterior variances.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from fineq.ddpm.denoiser import Denoiser, levels
from fineq.errors import InputError
from fineq.fast.draws import normal


def ancestral(key: Array, denoiser: Denoiser, num: int, *, label: Array | None = None) -> Array:
    """Samples Y_T of the chain from Y_0 ~ N(0, I), `[num, d]`.

    Args:
        key: of all draws.
        denoiser: with its chain; it is guided where it has a guidance.
        num: of samples.
        label: classes `[num]`, or None.

    Raises:
        InputError: for fewer than 1 sample, or labels of another shape.
    """
    y0, key_steps = _start(key, denoiser, num, label)
    sigmas = denoiser.schedule.sigmas.astype(y0.dtype)

    def step(y: Array, t: Array) -> tuple[Array, None]:
        w = normal(jax.random.fold_in(key_steps, t), y.shape, y.dtype)
        return denoiser.mean(t, y, label) + sigmas[t] * w, None

    return lax.scan(step, y0, jnp.arange(denoiser.schedule.num_steps))[0]


def ddim(
    key: Array,
    denoiser: Denoiser,
    num: int,
    *,
    eta: float | Array = 0.0,
    num_steps: int | None = None,
    label: Array | None = None,
) -> Array:
    """Samples `[num, d]` in as many steps as wanted; arguments and errors as for `ancestral`.

    Args:
        key: of all draws.
        denoiser: see `ancestral`.
        num: of samples.
        eta: η, from 0 to 1.
        num_steps: network evaluations, at levels spread evenly over the chain's; None for all.
        label: classes `[num]`, or None.

    Raises:
        InputError: also for fewer than 1 step, or more than the chain has.
    """
    T = denoiser.schedule.num_steps
    count = T if num_steps is None else num_steps
    if not 1 <= count <= T:
        raise InputError(f"num_steps must lie between 1 and the chain's {T}, got {count}")
    y0, key_steps = _start(key, denoiser, num, label)
    # From noise, t = 0, to data, t = T.
    stops = np.linspace(0, T, count + 1).round().astype(int)

    def step(y: Array, now: tuple[Array, Array]) -> tuple[Array, None]:
        t, after = now
        a, b = levels(denoiser.schedule, t, y.dtype)
        a_next, b_next = levels(denoiser.schedule, after, y.dtype)
        x0 = denoiser.data(t, y, label)
        noise = (y - a * x0) / b
        s = eta * jnp.sqrt(jnp.maximum(1 - (a / a_next) ** 2, 0)) * b_next / b
        w = normal(jax.random.fold_in(key_steps, t), y.shape, y.dtype)
        kept = jnp.sqrt(jnp.maximum(b_next**2 - s**2, 0))
        return a_next * x0 + kept * noise + s * w, None

    return lax.scan(step, y0, (jnp.asarray(stops[:-1]), jnp.asarray(stops[1:])))[0]


def _start(key: Array, denoiser: Denoiser, num: int, label: Array | None) -> tuple[Array, Array]:
    if num < 1:
        raise InputError(f"the number of samples must be at least 1, got {num}")
    if label is not None and label.shape != (num,):
        raise InputError(f"label must have shape {(num,)}, got {label.shape}")
    key_start, key_steps = jax.random.split(key)
    return normal(key_start, (num, denoiser.d), denoiser.times.dtype), key_steps
