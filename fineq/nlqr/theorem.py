"""The constants of the paper's theorem for given instances, beside what is measured.

Source: arXiv 2303.08431 (`nlqr/landscape`); absolute factors, which the paper leaves open, are 1.
Host code on whole batches: plain NumPy, any leading dimensions.
"""

from typing import NamedTuple

import numpy as np

# Places between ρ(A - B K1) and 1 at which ρ1 is tried: near 0 c1 explodes, near 1 1 - ρ1 vanishes.
RHO_PLACES = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7)


class Plants(NamedTuple):
    """Systems `[..., rows, columns]` each, with their linear policies `K_lin [..., p, n+d]`."""

    A: np.ndarray
    B: np.ndarray
    C: np.ndarray
    Q: np.ndarray
    R: np.ndarray
    K_lin: np.ndarray


class TheoremConstants(NamedTuple):
    """What the paper's sufficient condition asks of an instance, up to absolute factors.

    Attributes:
        lipschitz: largest ℓ the theorem allows.
        gradient_lipschitz: largest ℓ' the theorem allows.
        delta: radius δ of its ball around K_lin.
        smoothness: its bound on h.
        strong_convexity: its lower bound σ_x σ on μ.
    """

    lipschitz: np.ndarray
    gradient_lipschitz: np.ndarray
    delta: np.ndarray
    smoothness: np.ndarray
    strong_convexity: np.ndarray


def _norm(M: np.ndarray) -> np.ndarray:
    return np.linalg.norm(M, 2, axis=(-2, -1))


def excitation(regressors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """`σ_x = λ_min(E ψψ')` of regressors ψ `[..., S, n+d]` with weights `[..., S]`.

    The square of a singular value, so that σ_x = O(ℓ²) keeps its digits; 0 when S < n + d.
    """
    if regressors.shape[-2] < regressors.shape[-1]:
        return np.zeros(regressors.shape[:-2])
    scaled = np.sqrt(weights)[..., None] * regressors
    return np.linalg.svd(scaled, compute_uv=False)[..., -1] ** 2


def theorem_constants(
    plants: Plants, sigma_x: np.ndarray, bound: np.ndarray, c1_lin: np.ndarray, rho1_lin: np.ndarray
) -> TheoremConstants:
    """The theorem's constants.

    With `c1 = 2 c1_lin`, `ρ1 = (1 + ρ1_lin)/2`, `c2 = 2|C - B K2_lin|` and
    `Γ = max(|A|, |B|, |C|, |K_lin|_F, 1)`. The theorem assumes `|Q|, |R| <= 1`: the cost is
    divided by their larger norm when that exceeds 1, and what scales with it is scaled back.

    Args:
        plants: systems and linear policies.
        sigma_x: `λ_min(E ψψ')` over the initial law.
        bound: D0 with `|x0| <= D0`.
        c1_lin: with `rho1_lin`, `|(A - B K1_lin)^t| <= c1_lin rho1_lin^t`.
        rho1_lin: see `c1_lin`.
    """
    A, B, C, Q, R, K_lin = plants
    unit = np.maximum(np.maximum(_norm(Q), _norm(R)), 1.0)
    sigma = np.linalg.eigvalsh(R + np.swapaxes(B, -1, -2) @ Q @ B)[..., 0] / unit
    c1, gap = 2 * c1_lin, 1 - (1 + rho1_lin) / 2
    c2 = 2 * _norm(C - B @ K_lin[..., A.shape[-1] :])
    sizes = (_norm(A), _norm(B), _norm(C), np.linalg.norm(K_lin, axis=(-2, -1)))
    gamma = np.maximum(np.max(np.stack(sizes), axis=0), 1.0)
    s = sigma_x * sigma
    with np.errstate(divide="ignore", invalid="ignore"):
        return TheoremConstants(
            gap**7 * s**2 / ((c1 + c2) * c2 * c1**7 * (1 + gamma) ** 8 * bound**3),
            gap**8 * s**2 / ((c1 + c2) ** 2 * c2**2 * c1**16 * (1 + gamma) ** 6 * bound**4),
            gap**4 * s / ((c1 + c2) * c1**6 * gamma**2 * bound),
            gamma**4 * c1**4 * bound**2 / gap**2 * unit,
            s * unit,
        )


def best_theorem_constants(
    plants: Plants, sigma_x: np.ndarray, bound: np.ndarray, c1_lin: np.ndarray, rho1_lin: np.ndarray
) -> tuple[TheoremConstants, np.ndarray, np.ndarray]:
    """The constants for that of several `(c1_lin, ρ1_lin) [..., P]` which allows the largest ℓ.

    Any ρ1_lin above the spectral radius of `A - B K1_lin` has its c1_lin; the theorem leaves the
    choice open, so it is given the best. A pair that is not finite is not taken.

    Returns:
        The constants, and the c1_lin and ρ1_lin they rest on, `[...]`.
    """

    def at(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        index = np.broadcast_to(places, c1_lin.shape[:-1])[..., None]
        return tuple(np.take_along_axis(x, index, -1)[..., 0] for x in (c1_lin, rho1_lin))  # type: ignore[return-value]

    allowed = [
        theorem_constants(plants, sigma_x, bound, *at(np.asarray(place))).lipschitz
        for place in range(c1_lin.shape[-1])
    ]
    stacked = np.stack(allowed, axis=-1)
    c1, rho1 = at(np.argmax(np.where(np.isfinite(stacked), stacked, -np.inf), axis=-1))
    return theorem_constants(plants, sigma_x, bound, c1, rho1), c1, rho1
