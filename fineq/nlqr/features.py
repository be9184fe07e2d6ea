"""The nonlinearity φ of the dynamics: the kernels of arXiv 2303.08431 and a user's own function.

Each kernel is a hashable frozen dataclass, static under `jit`; what is swept is its traced `scale`.
All are linear in `scale` and vanish at 0. `lipschitz` and `gradient_lipschitz` give upper bounds on
the paper's ℓ and ℓ' (Euclidean norms; spectral norm for ∇φ), or None where no formula is known:
then `fineq.nlqr.lipschitz.estimate_lipschitz` gives lower ones.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from fineq.errors import InputError
from fineq.nlqr.problem import Features


@dataclass(frozen=True)
class Sine:
    """`φ(x) = scale · sin(x)`, coordinate by coordinate; d = n, ℓ = ℓ' = scale."""

    def __call__(self, x: Array, scale: Array) -> Array:
        """Evaluate φ at one state, `[n] -> [n]`."""
        return scale * jnp.sin(x)

    def num_features(self, n: int) -> int:
        """Return d = n."""
        return n

    def lipschitz(self, scale: ArrayLike) -> Array:
        """Return ℓ = |scale|, reached at 0."""
        return jnp.abs(scale)

    def gradient_lipschitz(self, scale: ArrayLike) -> Array:
        """Return ℓ' = |scale|, reached at π/2."""
        return jnp.abs(scale)


@dataclass(frozen=True)
class Tanh:
    """`φ(x) = scale · tanh(x)`, coordinate by coordinate; d = n, ℓ = scale, ℓ' = 4 scale/(3√3)."""

    def __call__(self, x: Array, scale: Array) -> Array:
        """Evaluate φ at one state, `[n] -> [n]`."""
        return scale * jnp.tanh(x)

    def num_features(self, n: int) -> int:
        """Return d = n."""
        return n

    def lipschitz(self, scale: ArrayLike) -> Array:
        """Return ℓ = |scale|, reached at 0."""
        return jnp.abs(scale)

    def gradient_lipschitz(self, scale: ArrayLike) -> Array:
        """Return ℓ' = 4|scale|/(3√3), the largest |tanh''|, reached where tanh² = 1/3."""
        return jnp.abs(scale) * (4 / (3 * math.sqrt(3)))


@dataclass(frozen=True)
class Zero:
    """`φ(x) = 0` with `d` features: the linear-quadratic regulator. `d = 0` is allowed."""

    d: int

    def __post_init__(self) -> None:
        if self.d < 0:
            raise InputError(f"phi.d must be at least 0, got {self.d}")

    def __call__(self, x: Array, scale: Array) -> Array:
        """Evaluate φ at one state, `[n] -> [d]`."""
        del scale
        return jnp.zeros(self.d, x.dtype)

    def num_features(self, n: int) -> int:
        """Return d, whatever the number of states."""
        del n
        return self.d

    def lipschitz(self, scale: ArrayLike) -> Array:
        """Return ℓ = 0."""
        return jnp.zeros_like(jnp.asarray(scale, float))

    def gradient_lipschitz(self, scale: ArrayLike) -> Array:
        """Return ℓ' = 0."""
        return jnp.zeros_like(jnp.asarray(scale, float))


def _amplitudes(given: Sequence[float] | None, d: int) -> tuple[float, ...]:
    amplitudes = (1.0,) * d if given is None else tuple(float(a) for a in given)
    if len(amplitudes) != d:
        raise InputError(f"phi.amplitudes has {len(amplitudes)} entries, but phi.signs has {d}")
    if not all(math.isfinite(a) for a in amplitudes):
        raise InputError(f"phi.amplitudes must be finite, got {list(amplitudes)}")
    return amplitudes


def _signs(given: Sequence[Sequence[Sequence[int]]]) -> tuple[tuple[tuple[int, ...], ...], ...]:
    signs = tuple(tuple(tuple(int(s) for s in w) for w in factors) for factors in given)
    if not signs or not all(signs):
        raise InputError("phi.signs must give every feature at least one factor")
    widths = {len(w) for factors in signs for w in factors}
    if len(widths) != 1 or 0 in widths:
        raise InputError(f"the factors in phi.signs must all have n entries, got {sorted(widths)}")
    flat = [s for factors in given for w in factors for s in w]
    if any(s not in (-1, 1) for s in flat):
        raise InputError("the entries of phi.signs must be -1 or 1")
    return signs


@dataclass(frozen=True)
class Products:
    """Polynomials `φ_i(x) = scale · a_i · Π_j (w_ij · x)` with signs `w_ij` in {±1}^n.

    `signs[i][j]` is w_ij: feature i has `N_i = len(signs[i])` factors (they may differ);
    `amplitudes [d]` holds a_i (1 each by default). φ is defined everywhere, but ℓ and ℓ' are those
    on the ball |x| <= radius, the paper's M0. Raises `InputError` for malformed arguments.
    """

    signs: Sequence[Sequence[Sequence[int]]]
    amplitudes: Sequence[float] | None = None
    radius: float = 1.0

    def __post_init__(self) -> None:
        # Tuples make the object hashable, which a static argument of jit must be.
        signs = _signs(self.signs)
        object.__setattr__(self, "signs", signs)
        object.__setattr__(self, "amplitudes", _amplitudes(self.amplitudes, len(signs)))
        if not (math.isfinite(self.radius) and self.radius > 0):
            raise InputError(f"phi.radius must be positive and finite, got {self.radius}")

    @property
    def n(self) -> int:
        """Dimension of the states."""
        return len(self.signs[0][0])

    def __call__(self, x: Array, scale: Array) -> Array:
        """Evaluate φ at one state, `[n] -> [d]`."""
        most = max(len(factors) for factors in self.signs)
        # Features with fewer factors are filled up with the constant factor 1 = 0 · x + 1.
        fill = [[0] * self.n]
        weights = np.array([[*f, *fill * (most - len(f))] for f in self.signs], x.dtype)
        ones = np.array([[j >= len(f) for j in range(most)] for f in self.signs], x.dtype)
        factors = [weights[:, j] @ x + ones[:, j] for j in range(most)]
        start = scale * jnp.asarray(self.amplitudes, x.dtype)
        return reduce(jnp.multiply, factors, start)

    def num_features(self, n: int) -> int:
        """Return d; raises `InputError` unless n is the length of the sign vectors."""
        if n != self.n:
            raise InputError(f"phi.signs has factors of length {self.n}, but the state has {n}")
        return len(self.signs)

    def _root_sum_squares(self, derivative: int, scale: ArrayLike) -> Array:
        # |w| = √n and |w·x| <= √n M0: k derivatives leave N!/(N-k)! products of N factors,
        # each at most n^(N/2) M0^(N-k). The paper prints the power of n differently.
        terms = [
            a * math.perm(N, derivative) * self.n ** (N / 2) * self.radius ** (N - derivative)
            for a, N in zip(cast("tuple", self.amplitudes), map(len, self.signs), strict=True)
        ]
        return jnp.abs(scale) * math.hypot(*terms)

    def lipschitz(self, scale: ArrayLike) -> Array:
        """Bound ℓ on the ball by √Σ ℓ_i² with `ℓ_i = a_i N_i n^{N_i/2} M0^{N_i-1}`."""
        return self._root_sum_squares(1, scale)

    def gradient_lipschitz(self, scale: ArrayLike) -> Array:
        """Bound ℓ' on the ball by √Σ ℓ'_i² with `ℓ'_i = a_i N_i (N_i-1) n^{N_i/2} M0^{N_i-2}`."""
        return self._root_sum_squares(2, scale)


def is_odd(phi: Features) -> bool:
    """Say whether φ(-x) = -φ(x) is known of a kernel."""
    return isinstance(phi, Sine | Tanh | Zero)


def random_products(key: Array, n: int, degrees: Sequence[int], *, radius: float = 1.0) -> Products:
    """Draw `Products` with independent fair signs; feature i has `degrees[i]` factors.

    Runs on the host: the signs are static, so every draw is a compilation of its own.
    """
    if n < 1 or not degrees or min(degrees) < 1:
        raise InputError(f"products need n >= 1 and degrees >= 1, got n = {n}, {list(degrees)}")
    draw = np.asarray(jax.random.rademacher(key, (sum(degrees), n), int))
    signs = [rows.tolist() for rows in np.split(draw, np.cumsum(degrees)[:-1])]
    return Products(signs, radius=radius)


@dataclass(frozen=True)
class Custom:
    """A user's function: `φ(x) = scale · function(x)`, with `function` from `[n]` to `[d]`.

    `function` must be an ordinary JAX function with `function(0) = 0`. It counts as the same kernel
    only while it is the same Python object. `bounds = (ℓ, ℓ')` at scale 1 may be given if known.
    """

    function: Callable[[Array], Array]
    d: int
    bounds: tuple[float, float] | None = None

    def __call__(self, x: Array, scale: Array) -> Array:
        """Evaluate φ at one state, `[n] -> [d]`."""
        return scale * self.function(x)

    def num_features(self, n: int) -> int:
        """Return d; that `function` accepts n states is seen when the system is checked."""
        del n
        return self.d

    def lipschitz(self, scale: ArrayLike) -> Array | None:
        """Return ℓ as given, or None."""
        return None if self.bounds is None else jnp.abs(scale) * self.bounds[0]

    def gradient_lipschitz(self, scale: ArrayLike) -> Array | None:
        """Return ℓ' as given, or None."""
        return None if self.bounds is None else jnp.abs(scale) * self.bounds[1]
