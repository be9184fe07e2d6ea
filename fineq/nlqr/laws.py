"""Laws of the initial state, and weighted points that make expectations over them exact.

Every law is a pytree with `n`, `sample(key, num) -> [num, n]`, `second_moment() -> E xx' [n, n]`
and `bound`, the paper's D0 with |x0| <= D0 (None for the Gaussian); all but `Points` have mean 0.
A quadrature rule for a law is again a law, `Points`: its expectations are finite sums.
Draws follow the dtype of the law's numbers.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from fineq.errors import InputError
from fineq.limits import MOST_QUADRATURE
from fineq.nlqr.problem import InitialLaw, System, psi


def _directions(key: Array, num: int, n: int, dtype: jnp.dtype) -> Array:
    draws = jax.random.normal(key, (num, n), dtype)
    return draws / jnp.linalg.norm(draws, axis=-1, keepdims=True)


@dataclass(frozen=True)
class _Round:
    radius: ArrayLike
    n: int

    @property
    def bound(self) -> Array:
        """D0 = radius."""
        return jnp.asarray(self.radius, jnp.result_type(self.radius, float))


@partial(jax.tree_util.register_dataclass, data_fields=["radius"], meta_fields=["n"])
@dataclass(frozen=True)
class Sphere(_Round):
    """The uniform law on the sphere `|x0| = radius` in R^n."""

    def sample(self, key: Array, num: int) -> Array:
        """Draw `num` independent states, `[num, n]`."""
        return self.bound * _directions(key, num, self.n, self.bound.dtype)

    def second_moment(self) -> Array:
        """Return `E xx' = radius²/n I`."""
        return self.bound**2 / self.n * jnp.eye(self.n, dtype=self.bound.dtype)


@partial(jax.tree_util.register_dataclass, data_fields=["radius"], meta_fields=["n"])
@dataclass(frozen=True)
class Ball(_Round):
    """The uniform law on the ball `|x0| <= radius` in R^n."""

    def sample(self, key: Array, num: int) -> Array:
        """Draw `num` independent states, `[num, n]`."""
        key_direction, key_radius = jax.random.split(key)
        inside = jax.random.uniform(key_radius, (num, 1), self.bound.dtype) ** (1 / self.n)
        return self.bound * inside * _directions(key_direction, num, self.n, self.bound.dtype)

    def second_moment(self) -> Array:
        """Return `E xx' = radius²/(n + 2) I`."""
        return self.bound**2 / (self.n + 2) * jnp.eye(self.n, dtype=self.bound.dtype)


@partial(jax.tree_util.register_dataclass, data_fields=["covariance"], meta_fields=[])
@dataclass(frozen=True)
class Gaussian:
    """The law N(0, covariance) with a positive semidefinite covariance `[n, n]`."""

    covariance: Array

    @property
    def n(self) -> int:
        """Dimension of the state."""
        return self.covariance.shape[-1]

    @property
    def bound(self) -> None:
        """None: the law is unbounded."""
        return

    def square_root(self) -> Array:
        """Return the symmetric S with `S S' = covariance`, `[n, n]`; singular ones are fine."""
        values, vectors = jnp.linalg.eigh(self.covariance)
        return (vectors * jnp.sqrt(jnp.maximum(values, 0.0))[None, :]) @ vectors.T

    def sample(self, key: Array, num: int) -> Array:
        """Draw `num` independent states, `[num, n]`."""
        draws = jax.random.normal(key, (num, self.n), self.covariance.dtype)
        return draws @ self.square_root()

    def second_moment(self) -> Array:
        """Return the covariance."""
        return self.covariance


@partial(jax.tree_util.register_dataclass, data_fields=["points", "weights"], meta_fields=[])
@dataclass(frozen=True)
class Points:
    """Finitely many states `points [S, n]` with probabilities `weights [S]`."""

    points: Array
    weights: Array

    @property
    def n(self) -> int:
        """Dimension of the state."""
        return self.points.shape[-1]

    @property
    def bound(self) -> Array:
        """D0, the largest |x0| among the points."""
        return jnp.max(jnp.linalg.norm(self.points, axis=-1))

    def sample(self, key: Array, num: int) -> Array:
        """Draw `num` independent states with the weights, `[num, n]`."""
        return jax.random.choice(key, self.points, (num,), p=self.weights)

    def second_moment(self) -> Array:
        """Return `E xx' = Σ w x x'`."""
        return jnp.einsum("s,si,sj->ij", self.weights, self.points, self.points)


def _unit_sphere_rule(n: int, degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points `[S, n]` and weights `[S]`, exact for polynomials up to `degree`."""
    if n == 1:
        return np.array([[1.0], [-1.0]]), np.full(2, 0.5)
    # An even number of angles makes the rule symmetric under x -> -x: odd degrees vanish exactly.
    num_angles = 2 * (degree // 2 + 1)
    angles = 2 * np.pi * np.arange(num_angles) / num_angles
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    if n == 2:
        return circle, np.full(num_angles, 1 / num_angles)
    heights, weights = np.polynomial.legendre.leggauss(degree // 2 + 1)
    rings = np.sqrt(1 - heights**2)[:, None, None] * circle[None]
    tops = np.broadcast_to(heights[:, None, None], (*rings.shape[:2], 1))
    points = np.concatenate([rings, tops], axis=2).reshape(-1, 3)
    return points, np.repeat(weights / 2, num_angles) / num_angles


def _one_of_each_pair(points: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of a rule symmetric under x -> -x keep one point of each pair, with the weight of both."""
    large = np.abs(points) > 1e-9 * np.max(np.abs(points))  # rounding of cos and sin is not
    first = np.take_along_axis(points, np.argmax(large, axis=1)[:, None], axis=1)[:, 0]
    side = np.where(np.any(large, axis=1), np.sign(first), 0.0)
    keep = side >= 0
    return points[keep], (weights * np.where(side == 0, 1.0, 2.0))[keep]


def _check_rule(n: int, degree: int) -> None:
    if not 1 <= n <= MOST_QUADRATURE:
        raise InputError(
            f"a quadrature rule needs a state of dimension 1 to {MOST_QUADRATURE}, got n = {n}"
        )
    if degree < 1:
        raise InputError(f"the degree of a quadrature rule must be at least 1, got {degree}")


def sphere_points(n: int, radius: ArrayLike, degree: int = 20, *, half: bool = False) -> Points:
    """Return a quadrature rule for the uniform law on the sphere `|x| = radius`, n <= 3.

    Its expectations are exact for polynomials of total degree up to `degree`. n = 1: two points;
    n = 2: the trapezoidal rule in the angle; n = 3: Gauss-Legendre in the height times the
    trapezoidal rule in the angle, (degree/2 + 1)(degree + 2) points for an even degree. All weights
    are positive and the rule is symmetric under x -> -x. With `half`, one point of each mirrored
    pair with twice the weight: the same expectation of even functions. `radius` may be traced.
    Raises `InputError` for another n or degree < 1.
    """
    _check_rule(n, degree)
    points, weights = _unit_sphere_rule(n, degree)
    if half:
        points, weights = _one_of_each_pair(points, weights)
    radius = jnp.asarray(radius, jnp.result_type(radius, float))
    return Points(radius * points.astype(radius.dtype), jnp.asarray(weights, radius.dtype))


def ball_points(n: int, radius: ArrayLike, degree: int = 20, *, half: bool = False) -> Points:
    """Return a quadrature rule for the uniform law on the ball `|x| <= radius`, n <= 3.

    The sphere's rule times Gauss-Legendre in the radius (whose density n r^(n-1) is a polynomial):
    exact up to `degree`. `half` and errors as for `sphere_points`.
    """
    _check_rule(n, degree)
    points, weights = _unit_sphere_rule(n, degree)
    if half:
        points, weights = _one_of_each_pair(points, weights)
    nodes, slopes = np.polynomial.legendre.leggauss((degree + n + 1) // 2)
    radii = (nodes + 1) / 2
    density = slopes / 2 * n * radii ** (n - 1)
    all_points = (radii[:, None, None] * points[None]).reshape(-1, n)
    all_weights = np.outer(density, weights).ravel()
    radius = jnp.asarray(radius, jnp.result_type(radius, float))
    return Points(radius * all_points.astype(radius.dtype), jnp.asarray(all_weights, radius.dtype))


def gaussian_points(covariance: Array, degree: int = 20, *, half: bool = False) -> Points:
    """Return a quadrature rule for N(0, covariance) `[n, n]`, n <= 3.

    A product of Gauss-Hermite rules, mapped by the symmetric square root: exact up to `degree`.
    `half` and errors as for `sphere_points`.
    """
    n = covariance.shape[-1]
    _check_rule(n, degree)
    nodes, slopes = np.polynomial.hermite_e.hermegauss(degree // 2 + 1)
    grid = np.stack(np.meshgrid(*[nodes] * n, indexing="ij"), axis=-1).reshape(-1, n)
    slopes = slopes / slopes.sum()
    weights = np.prod(np.stack(np.meshgrid(*[slopes] * n, indexing="ij"), -1), -1).ravel()
    if half:
        grid, weights = _one_of_each_pair(grid, weights)
    points = jnp.asarray(grid, covariance.dtype) @ Gaussian(covariance).square_root()
    return Points(points, jnp.asarray(weights, covariance.dtype))


def drawn_points(law: InitialLaw, key: Array, num: int) -> Points:
    """Return `num` draws of `law` with equal weights: an empirical law, for any dimension."""
    points = law.sample(key, num)
    return Points(points, jnp.full(num, 1 / num, points.dtype))


def quadrature(law: InitialLaw, degree: int = 20, *, half: bool = False) -> Points:
    """Return weighted points that stand for `law`, exact for polynomials up to `degree`.

    With `half`, half as many points, exact for even polynomials. `Points` are returned as they are.
    Raises `InputError` for n > 3 and for a law without a rule.
    """
    match law:
        case Points():
            return law
        case Sphere():
            return sphere_points(law.n, law.radius, degree, half=half)
        case Ball():
            return ball_points(law.n, law.radius, degree, half=half)
        case Gaussian():
            return gaussian_points(law.covariance, degree, half=half)
    raise InputError(f"no quadrature rule is known for an initial law of type {type(law).__name__}")


def sigma_x(system: System, law: Points) -> Array:
    """Return `σ_x = λ_min(E ψψ')`, a scalar: how well the law excites state and features.

    Computed as the square of the least singular value of the weighted regressors, so that values
    far below the rounding unit of E ψψ' (σ_x = O(ℓ²) on a small sphere) keep their digits.
    0 when there are fewer points than regressors. Source: arXiv 2303.08431 (`nlqr/landscape`).
    """
    regressors = jax.vmap(lambda x: psi(system, x))(law.points)
    if regressors.shape[0] < regressors.shape[1]:
        return jnp.zeros((), regressors.dtype)
    scaled = jnp.sqrt(law.weights)[:, None] * regressors
    return jnp.linalg.svd(scaled, compute_uv=False)[-1] ** 2
