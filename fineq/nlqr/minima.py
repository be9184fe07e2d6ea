"""Many starts and where they lead: how many minima a cost has, as far as was looked."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike


def stabilising_starts(
    key: Array,
    K: Array,
    radius: ArrayLike,
    num: int,
    stabilises: Callable[[Array], Array],
) -> tuple[Array, Array]:
    """Random policies around K, with a mask of those that stabilise.

    Each is `K + s U` with U uniform on the Frobenius sphere and s uniform on [0, radius]; where it
    does not stabilise, s is halved up to ten times.

    Args:
        key: random key.
        K: centre `[p, n+d]`.
        radius: largest distance from the centre.
        num: how many starts (static).
        stabilises: `K -> bool`, jittable.

    Returns:
        `(starts [num, p, n+d], stable [num])`.
    """
    key_direction, key_length = jax.random.split(key)
    U = jax.random.normal(key_direction, (num, *K.shape), K.dtype)
    U = U / jnp.linalg.norm(U, axis=(1, 2), keepdims=True)
    length = radius * jax.random.uniform(key_length, (num,), K.dtype)

    def shrink(_: int, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        length, stable = carry
        length = jnp.where(stable, length, length / 2)
        return length, stable | jax.vmap(stabilises)(K[None] + length[:, None, None] * U)

    stable = jax.vmap(stabilises)(K[None] + length[:, None, None] * U)
    length, stable = jax.lax.fori_loop(0, 10, shrink, (length, stable))
    return K[None] + length[:, None, None] * U, stable


class Minima(NamedTuple):
    """Distinct minima among the end points of several descents.

    Attributes:
        number: how many distinct minima.
        labels: which minimum each end point reached `[S]`; 0 is the lowest, -1 not converged.
        fraction: share of all end points that reached the lowest minimum.
    """

    number: int
    labels: np.ndarray
    fraction: float


def distinct_minima(
    costs: np.ndarray, policies: np.ndarray, converged: np.ndarray, tolerance: float = 1e-5
) -> Minima:
    """Group end points whose costs and policies agree.

    Two end points are the same minimum when both their costs and their policies agree to
    `tolerance`, relative to the lower of the two (policies: to one plus its norm).

    Args:
        costs: `[S]`.
        policies: `[S, p, n+d]`.
        converged: `[S]`; the others are labelled -1.
        tolerance: relative.
    """
    labels = np.full(len(costs), -1)
    representatives: list[int] = []
    for index in np.argsort(costs, kind="stable"):
        if not converged[index]:
            continue
        same = [
            label
            for label, other in enumerate(representatives)
            if _same(costs, policies, index, other, tolerance)
        ]
        labels[index] = same[0] if same else len(representatives)
        if not same:
            representatives.append(int(index))
    fraction = float(np.mean(labels == 0)) if len(labels) else 0.0
    return Minima(len(representatives), labels, fraction)


def _same(costs: np.ndarray, policies: np.ndarray, i: int, j: int, tolerance: float) -> bool:
    scale = 1.0 + np.linalg.norm(policies[j])
    close = np.linalg.norm(policies[i] - policies[j]) <= tolerance * scale
    return bool(close and abs(costs[i] - costs[j]) <= tolerance * abs(costs[j]))


def label_minima(
    cost: np.ndarray, K: np.ndarray, settled: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which minimum each start of many instances reached, and how many minima each instance has.

    Args:
        cost: at the end points, `[start, *axes]`.
        K: end points, `[start, *axes, p, n + d]`.
        settled: which of them are minima, `[start, *axes]`.

    Returns:
        `(labels [start, *axes], number [*axes])`: 0 is the lowest, -1 where nothing settled; NaN
        minima where no start did.
    """
    labels = np.full(settled.shape, -1)
    number = np.full(settled.shape[1:], np.nan)
    for index in np.ndindex(*settled.shape[1:]):
        at = (slice(None), *index)
        found = distinct_minima(cost[at], K[at], settled[at])
        labels[at] = found.labels
        number[index] = found.number or np.nan
    return labels, number
