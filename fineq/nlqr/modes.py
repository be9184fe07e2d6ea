"""Modes of a plant that its inputs cannot move: stabilisability and detectability, mode by mode.

A mode λ of A is controllable when no left eigenvector is orthogonal to B, that is, when
`[λI - A, B]` has full rank (Hautus). On the host, in NumPy.
"""

import numpy as np

# Modes this close to the unit circle count as on it: an eigenvalue of a Jordan block of size 2 on
# the circle is computed to the square root of the rounding unit only.
ON_THE_CIRCLE = 1.5e-8


def uncontrollable_modes(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Return the eigenvalues of A `[n, n]` that no input through B `[n, m]` can move.

    They are exactly the λ at which `[λI - A, B]` loses rank. Instead of that test at computed
    eigenvalues, which misses multiple ones (they are known to a root of the rounding unit only), A
    is split by orthogonal rotations into what B reaches, what that reaches, and so on; the modes of
    the rest are returned, complex, largest modulus first. Ranks are decided at 10 n rounding units
    of |B| and |A|.
    """
    slack = 10 * max(A.shape) * np.finfo(np.result_type(A, float)).eps
    tolerance = slack * np.linalg.norm(B)
    A, B = np.asarray(A, float), np.asarray(B, float)
    whole = slack * np.linalg.norm(A)
    while len(A):
        rotation, sizes, _ = np.linalg.svd(B)
        rank = int(np.sum(sizes > tolerance))
        if rank == 0:
            break
        A = rotation.T @ A @ rotation
        A, B = A[rank:, rank:], A[rank:, :rank]
        tolerance = whole
    modes = np.linalg.eigvals(A).astype(complex) if len(A) else np.zeros(0, complex)
    return modes[np.argsort(-np.abs(modes), kind="stable")]


def fixed_modes(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Return the uncontrollable modes with |λ| >= 1: (A, B) is stabilisable when there are none.

    (A, Q) is detectable when `fixed_modes(A.T, Q)` is empty, Q symmetric.
    """
    modes = uncontrollable_modes(A, B)
    return modes[np.abs(modes) >= 1 - ON_THE_CIRCLE]


def name_mode(mode: complex) -> str:
    """Write an eigenvalue with its modulus where that is not plain: `0.8±0.9i (modulus 1.204)`."""
    # A computed real pair may carry an imaginary part of a root of the rounding unit.
    if abs(mode.imag) <= ON_THE_CIRCLE * abs(mode):
        return f"{mode.real:.6g}"
    return f"{mode.real:.6g}±{abs(mode.imag):.6g}i (modulus {abs(mode):.6g})"
