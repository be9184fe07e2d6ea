"""Modes of a plant that its inputs cannot move: stabilisability and detectability, mode by mode.

A mode λ of A is controllable when no left eigenvector is orthogonal to B, that is, when
`[λI - A, B]` has full rank (Hautus). Units are no property of a plant: whatever is judged against
rounding is first brought to units of its own, by powers of two, so that nothing is rounded.
On the host, in NumPy.
"""

import numpy as np

# Modes this close to the unit circle count as on it: an eigenvalue of a Jordan block of size 2 on
# the circle is computed to the square root of the rounding unit only.
ON_THE_CIRCLE = 1.5e-8


def nearest_power(x: np.ndarray) -> np.ndarray:
    """Return powers of two near positive x, at most a factor 1.5 off; 1 where x is 0.

    A factor 2^k of x is one of the result. The cut is no number that entries of a plant like to be.
    """
    logarithms = np.log2(np.where(x > 0, x, 1.0))
    return np.exp2(np.floor(logarithms + 0.4142))


def unit_diagonal(M: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return `D^-1 M D^-1` and the diagonal of D, powers of two, for M `[n, n]`.

    The diagonal of the result is about 1, or 0 where that of M is not positive.
    """
    root = np.sqrt(np.maximum(np.diagonal(M), 0.0))
    units = nearest_power(root)
    return M / units[:, None] / units, units


def reach(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Return how far inputs of size 1 carry each state, `[n]`; 0 for those that they never reach.

    The sum over all paths from an input of the products of |B| and |A|/2ρ along them, ρ the
    spectral radius of |A|. States in other units T x have reach T v: divided by it, they have the
    units that the inputs give them.
    """
    size = np.abs(A)
    radius = np.abs(np.linalg.eigvals(size)).max(initial=0.0)
    size = size / (2 * radius if radius > 0 else 1.0)
    start = total = np.abs(B).sum(axis=1)
    # Beyond the longest path without a loop each pass adds at most half of the one before.
    for _ in range(len(A) + 60):
        total = start + size @ total
    return total


def uncontrollable_modes(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Return the eigenvalues of A `[n, n]` that no input through B `[n, m]` can move.

    They are exactly the λ at which `[λI - A, B]` loses rank. Instead of that test at computed
    eigenvalues, which misses multiple ones (they are known to a root of the rounding unit only), A
    is split by orthogonal rotations into what B reaches, what that reaches, and so on; the modes of
    the rest are returned, complex, largest modulus first. States are first divided by their `reach`
    and inputs by their largest effect on them; then ranks are decided at 10 n rounding units of |B|
    and |A|, as many more as |A| is over the least that was reached on the way.
    """
    slack = 10 * max(A.shape) * np.finfo(np.result_type(A, float)).eps
    A, B = np.asarray(A, float), np.asarray(B, float)
    units = reach(A, B)
    reached = units > 0
    largest = np.abs(B) / np.where(reached, units, 1.0)[:, None]
    B = B / nearest_power(np.max(largest, axis=0, initial=0.0))
    units = reach(A, B)
    # No path leads from an input to the others: their block drives the rest and is not driven.
    modes = [] if np.all(reached) else [np.linalg.eigvals(A[~reached][:, ~reached])]
    units = nearest_power(units[reached])
    A = A[reached][:, reached] * units / units[:, None]
    modes.append(_unmoved(A, B[reached] / units[:, None], slack))
    found = np.concatenate(modes).astype(complex)
    return found[np.argsort(-np.abs(found), kind="stable")]


def _unmoved(A: np.ndarray, B: np.ndarray, slack: float) -> np.ndarray:
    tolerance, size = slack * np.linalg.norm(B), np.linalg.norm(A)
    least = size
    while len(A):
        rotation, sizes, _ = np.linalg.svd(B)
        rank = int(np.sum(sizes > tolerance))
        if rank == 0:
            break
        A = rotation.T @ A @ rotation
        A, B = A[rank:, rank:], A[rank:, :rank]
        # What is barely reached has a direction known as much worse, and so has what follows it.
        least = min(least, sizes[rank - 1])
        tolerance = slack * size * size / least
    return np.linalg.eigvals(A) if len(A) else np.zeros(0)


def fixed_modes(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Return the uncontrollable modes with |λ| >= 1: (A, B) is stabilisable when there are none.

    With Q = D M D, the diagonal of M one, (A, Q) is detectable when `fixed_modes(A.T, D M)` is
    empty: see `unit_diagonal`.
    """
    modes = uncontrollable_modes(A, B)
    return modes[np.abs(modes) >= 1 - ON_THE_CIRCLE]


def name_mode(mode: complex) -> str:
    """Write an eigenvalue with its modulus where that is not plain: `0.8±0.9i (modulus 1.204)`."""
    # A computed real pair may carry an imaginary part of a root of the rounding unit.
    if abs(mode.imag) <= ON_THE_CIRCLE * abs(mode):
        return f"{mode.real:.6g}"
    return f"{mode.real:.6g}±{abs(mode.imag):.6g}i (modulus {abs(mode):.6g})"
