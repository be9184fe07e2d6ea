"""When to stop kernel gradient descent on noisy labels (`ntk/early-stopping`, arXiv 2401.15604).

Every rule picks one of the same training times `[S]`, so that what it costs can be read off the
risk at these times: `cost`. All are plain array functions, for one data set; `vmap` adds seeds.

* The local-Rademacher rule of Raskutti, Wainwright, Yu (arXiv 1306.3574), which needs a noise level
  σ and a radius B of the target in the RKHS: the last τ with R(1/√(ητ)) ≤ B/(2e σ η τ), where
  R(ε)² = (1/N) Σ_i min(λ_i, ε²) over the eigenvalues of K/N.
* Hold-out: the least error on labels that training has not seen.
* Generalised cross-validation: the least mean squared residual over (1 - dof/N)².
* The oracle: the least risk, which nobody knows.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from fineq.arrays import real_array
from fineq.errors import InputError
from fineq.ntk.spectral import Freedom


class Stop(NamedTuple):
    """The training time that a rule picks.

    Attributes:
        place: its index among the times.
        time: τ.
        value: the rule's criterion there.
        inside: False where the rule may want to stop before the first of the times it could pick
            from, or after the last of them.
    """

    place: Array
    time: Array
    value: Array
    inside: Array


class Noise(NamedTuple):
    """An estimated noise level, and the degrees of freedom of the fit it was taken from.

    Attributes:
        level: σ, root mean square over outputs.
        dof: degrees of freedom of the fit whose residual was taken.
    """

    level: Array
    dof: Array


class Bracket(NamedTuple):
    """Lower and upper bound, `[S]`."""

    low: Array
    high: Array


def least(criterion: ArrayLike, times: ArrayLike, allowed: ArrayLike | None = None) -> Stop:
    """The first of the times `[S]` at which a criterion `[S]` is least.

    Args:
        criterion: what to minimise; values that are not finite are passed over.
        times: ascending.
        allowed: `[S]`, times to pick from; default: all.

    Raises:
        InputError: for arrays that are no real numbers `[S]`.
    """
    criterion, times = _on_grid(criterion, times)
    usable = jnp.isfinite(criterion)
    if allowed is not None:
        usable = usable & allowed
    index = jnp.argmin(jnp.where(usable, criterion, jnp.inf))
    places = jnp.arange(times.shape[0])
    inner = (jnp.any(usable & (places < index))) & (jnp.any(usable & (places > index)))
    return Stop(index, times[index], criterion[index], inner)


def oracle(risk: ArrayLike, times: ArrayLike) -> Stop:
    """The time of the least risk `[S]`; raises `InputError` for shapes that disagree."""
    return least(risk, times)


def hold_out(predictions: ArrayLike, labels: ArrayLike, times: ArrayLike) -> Stop:
    """The time of the least error of predictions `[S, M, ...]` on held-out labels `[M, ...]`.

    Raises `InputError` for arrays that are no real numbers or do not fit each other.
    """
    predictions, labels = real_array("predictions", predictions), real_array("labels", labels)
    if predictions.shape[1:] != labels.shape or not labels.size:
        raise InputError(
            f"held-out labels must have the predictions' shape {predictions.shape[1:]}, "
            f"got {labels.shape}"
        )
    error = jnp.square(predictions - labels[None])
    return least(jnp.mean(error, axis=tuple(range(1, error.ndim))), times)


def split(key: Array, num: int, share: float = 0.2) -> tuple[Array, Array]:
    """Indices of the points to train on, and of the `share` that is held out, drawn at random.

    Raises `InputError` where no point is left on one side.
    """
    held = round(share * num)
    if not 0 < held < num:
        raise InputError(f"the held-out share of {num} points must leave some, got {share:g}")
    order = jax.random.permutation(key, num)
    return order[held:], order[:held]


def cross_validation(
    loss: ArrayLike, freedom: Freedom, num: int, times: ArrayLike, share: float = 0.5
) -> Stop:
    """Generalised cross-validation: the least of 2 loss / (1 - dof/N)², summed over outputs.

    Args:
        loss: (1/2N) Σ_j (f(z_j) - y_j)², `[S, ...]`, as in `spectral.Path`.
        freedom: of the same path.
        num: N.
        times: `[S]`.
        share: only times with at most `share * N` degrees of freedom are picked from, for both
            numerator and denominator vanish where the labels are interpolated.

    Raises:
        InputError: for losses, degrees of freedom and times that are not of as many times.
    """
    losses, freedom = _of_path(loss, freedom, num)
    total, used = 2 * jnp.sum(losses, axis=1), freedom.fitted / num
    return least(total / jnp.square(1 - used), times, used <= share)


def noise_level(loss: ArrayLike, freedom: Freedom, num: int, share: float = 0.5) -> Noise:
    """σ from residuals: σ² = |Y - f_τ|² / tr (I - H_τ)², without bias but for what of f* is left.

    Args:
        loss: `[S, ...]`, as for `cross_validation`.
        freedom: of the same path.
        num: N.
        share: τ is the first time with `share * N` degrees of freedom, or else the last.

    Raises:
        InputError: for losses and degrees of freedom that are not of as many times.
    """
    losses, freedom = _of_path(loss, freedom, num)
    enough = freedom.fitted >= share * num
    index = jnp.where(jnp.any(enough), jnp.argmax(enough), enough.shape[0] - 1)
    squares = 2 * num * jnp.mean(losses[index])
    return Noise(jnp.sqrt(squares / freedom.left[index]), freedom.fitted[index])


def radius(norm: ArrayLike) -> Array:
    """B from RKHS norms of the outputs, `[...]`: their root mean square.

    The rule is for one output. d outputs are one regression with kernel κ ⊗ I, whose complexity is
    √d of one, against the joint norm: the rule for one with this B. `spectral.Path.norm` of clean
    labels at a late time measures it.
    """
    return jnp.sqrt(jnp.mean(jnp.square(real_array("norm", norm))))


def complexity(
    values: ArrayLike, eta: ArrayLike, times: ArrayLike, num: int | None = None
) -> Array:
    """ητ R(1/√(ητ)) = √(ητ (1/N) Σ_i min(ητ λ_i, 1)) at times `[S]`, which grows with τ.

    Args:
        values: eigenvalues of K/N, those left out counting as zero.
        eta: step size.
        times: τ.
        num: N; default: the number of eigenvalues.

    Raises:
        InputError: for eigenvalues or times that are no vectors of real numbers.
    """
    values, s = real_array("values", values, 1), _rescaled(eta, times)
    return _complexity(s, _saturated(values, s), values.shape[0] if num is None else num)


def complexity_bracket(
    top: ArrayLike, trace: ArrayLike, eta: ArrayLike, times: ArrayLike, num: int
) -> Bracket:
    """What `complexity` lies between when only the largest eigenvalues and tr(K)/N are known.

    The rest of the trace is spread over N - P eigenvalues, for the upper bound evenly, for the
    lower bound on as few as may be: none exceeds the least of `top`. While ητ is below the inverse
    of that one both agree. The upper bound holds for Ritz values too, converged or not, since
    eigenvalues majorise them and min(·, 1) is concave; the lower one takes them for eigenvalues.

    Args:
        top: the P < N largest eigenvalues `[P]`.
        trace: tr(K)/N.
        eta: step size.
        times: τ, `[S]`.
        num: N.

    Raises:
        InputError: for eigenvalues or times that are no vectors of real numbers, or too many of
            the eigenvalues.
    """
    top, s = real_array("top", top, 1), _rescaled(eta, times)
    if not 0 < top.shape[0] <= num:
        raise InputError(f"top must hold 1 to {num} eigenvalues, got {top.shape[0]}")
    least_known = jnp.min(top)
    rest = jnp.maximum(trace - jnp.sum(top), 0)
    known = _saturated(top, s)
    steepest = 1 / jnp.maximum(s * least_known, 1)
    low = known + rest * s * steepest
    high = known + jnp.minimum(rest * s, num - top.shape[0])
    return Bracket(_complexity(s, low, num), _complexity(s, high, num))


def local_rademacher(
    complexity: ArrayLike, times: ArrayLike, noise: ArrayLike, radius: ArrayLike = 1.0
) -> Stop:
    """The last time with ητ R(1/√(ητ)) ≤ B/(2e σ), the rule of arXiv 1306.3574.

    Args:
        complexity: the left side `[S]`, or the `high` of a bracket, which stops no later.
        times: τ, ascending.
        noise: σ of one output (root mean square over t where it depends on t).
        radius: B, 1 in the rule as published.

    Returns:
        `value` is left over right side; the first time, not inside, where none satisfies the rule.

    Raises:
        InputError: for arrays that are no real numbers `[S]`.
    """
    complexity, times = _on_grid(complexity, times)
    ratio = complexity * noise * (2 * math.e) / radius
    count = jnp.sum(jnp.cumprod(ratio <= 1))
    index = jnp.maximum(count - 1, 0)
    inside = (count > 0) & (count < times.shape[0])
    return Stop(index, times[index], ratio[index], inside)


def _rescaled(eta: ArrayLike, times: ArrayLike) -> Array:
    return jnp.multiply(eta, jnp.atleast_1d(real_array("times", times, (0, 1))))


def _of_path(loss: ArrayLike, freedom: Freedom, num: int) -> tuple[Array, Freedom]:
    """Losses `[S, columns]` and the degrees of freedom of the same path."""
    losses = real_array("loss", loss)
    dof = Freedom(*(real_array("degrees of freedom", x, 1) for x in freedom))
    if losses.ndim == 0 or {x.shape[0] for x in dof} != {losses.shape[0]}:
        raise InputError(
            "loss and degrees of freedom must be of as many training times, got shapes "
            f"{losses.shape}, {dof.fitted.shape} and {dof.left.shape}"
        )
    if num < 1:
        raise InputError(f"the number of points must be at least 1, got {num}")
    return losses.reshape(losses.shape[0], -1), dof


def _saturated(values: Array, s: Array) -> Array:
    return jnp.sum(jnp.minimum(s[:, None] * values[None, :], 1), axis=1)


def _complexity(s: Array, total: Array, num: int) -> Array:
    return jnp.where(jnp.isinf(s), jnp.inf, jnp.sqrt(s * total / num))


def _on_grid(curve: ArrayLike, times: ArrayLike) -> tuple[Array, Array]:
    curve, times = real_array("a curve", curve), real_array("times", times)
    if curve.shape != times.shape or times.ndim != 1 or not times.size:
        raise InputError(
            f"there must be one value for each training time, got {curve.shape} for {times.shape}"
        )
    return curve, times
