"""Data laws with exact densities, scores and moments at every noise level.

Each law is a pytree with `d`, `noised(alpha_bar)`, `log_density(x)`, `score(x)` for one point
`x [d]`, `sample(key, num) -> [num, d]` and `moments() -> (mean [d], covariance [d, d])`. Gaussians
keep the eigenvectors of their covariance, which noise leaves alone: a score at any level costs one
change of basis and no factorisation.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple, Protocol

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.typing import ArrayLike

from fineq.arrays import real_array
from fineq.errors import InputError

LARGEST_SHARED = 16  # components written out one by one


class Law(Protocol):
    """What every data law can do."""

    @property
    def d(self) -> int:
        """Dimension of the data."""
        ...

    def noised(self, alpha_bar: ArrayLike) -> "Law":
        """The law of √ᾱ X + √(1 - ᾱ) Z."""
        ...

    def log_density(self, x: Array) -> Array:
        """Log p(x) at one point `[d]`."""
        ...

    def score(self, x: Array) -> Array:
        """∇ log p(x) at one point, `[d]`."""
        ...

    def sample(self, key: Array, num: int) -> Array:
        """Independent draws `[num, d]`."""
        ...

    def moments(self) -> tuple[Array, Array]:
        """Mean `[d]` and covariance `[d, d]`."""
        ...


class Gaussian(NamedTuple):
    """N(mean, U diag(eigenvalues) U'); make it with `gaussian`.

    Attributes:
        mean: `[d]`.
        eigenvalues: `[d]`, of the covariance, positive.
        eigenvectors: `[d, d]`, U, one per column.
    """

    mean: Array
    eigenvalues: Array
    eigenvectors: Array

    @property
    def d(self) -> int:
        """Dimension of the data."""
        return self.mean.shape[-1]

    def noised(self, alpha_bar: ArrayLike) -> "Gaussian":
        """The law of √ᾱ X + √(1 - ᾱ) Z."""
        a = jnp.asarray(alpha_bar)
        return Gaussian(jnp.sqrt(a) * self.mean, a * self.eigenvalues + (1 - a), self.eigenvectors)

    def log_density(self, x: Array) -> Array:
        """Log p(x) at one point `[d]`."""
        chex.assert_shape(x, (self.d,))
        z = (x - self.mean) @ self.eigenvectors
        logs = jnp.log(2 * jnp.pi * self.eigenvalues)
        return -0.5 * jnp.sum(z * z / self.eigenvalues + logs)

    def score(self, x: Array) -> Array:
        """∇ log p(x) at one point, `[d]`."""
        chex.assert_shape(x, (self.d,))
        z = (x - self.mean) @ self.eigenvectors
        return -self.eigenvectors @ (z / self.eigenvalues)

    def precision(self) -> Array:
        """The inverse covariance `[d, d]`; the score is -precision (x - mean)."""
        return (self.eigenvectors / self.eigenvalues[None]) @ self.eigenvectors.T

    def sample(self, key: Array, num: int) -> Array:
        """Independent draws `[num, d]`."""
        z = jax.random.normal(key, (num, self.d), self.mean.dtype)
        return self.mean[None] + (z * jnp.sqrt(self.eigenvalues)[None]) @ self.eigenvectors.T

    def moments(self) -> tuple[Array, Array]:
        """Mean `[d]` and covariance `[d, d]`."""
        return self.mean, (self.eigenvectors * self.eigenvalues[None]) @ self.eigenvectors.T


class Mixture(NamedTuple):
    """A Gaussian mixture; make it with `mixture`.

    Attributes:
        log_weights: `[M]`, of probabilities that sum to 1.
        components: Gaussians with a leading axis `[M, ...]`.
    """

    log_weights: Array
    components: Gaussian

    @property
    def d(self) -> int:
        """Dimension of the data."""
        return self.components.d

    @property
    def num_components(self) -> int:
        """M."""
        return self.log_weights.shape[-1]

    def noised(self, alpha_bar: ArrayLike) -> "Mixture":
        """The law of √ᾱ X + √(1 - ᾱ) Z."""
        return Mixture(self.log_weights, jax.vmap(lambda c: c.noised(alpha_bar))(self.components))

    def log_joint(self, x: Array) -> Array:
        """Log of weight times density of each component at one point, `[M]`."""
        return self.log_weights + jax.vmap(lambda c: c.log_density(x))(self.components)

    def log_density(self, x: Array) -> Array:
        """Log p(x) at one point `[d]`."""
        return jax.nn.logsumexp(self.log_joint(x))

    def score(self, x: Array) -> Array:
        """∇ log p(x) at one point, `[d]`: component scores averaged by responsibility."""
        chex.assert_shape(x, (self.d,))
        return jax.nn.softmax(self.log_joint(x)) @ jax.vmap(lambda c: c.score(x))(self.components)

    def shared_score(self) -> Callable[[Array], Array]:
        """`score` for many points of this one law, under `vmap`: about half its time for small M.

        Precision matrices are formed first, d³ operations for each component, and applied to a
        point in one product; components are then written out one by one.
        """
        if self.num_components > LARGEST_SHARED:
            return self.score
        c, d = self.components, self.d
        precisions = jax.vmap(Gaussian.precision)(c)
        stacked = precisions.reshape(-1, d)
        shifts = jax.vmap(jnp.matmul)(precisions, c.mean)
        sizes = self.log_weights - 0.5 * jnp.sum(jnp.log(2 * jnp.pi * c.eigenvalues), axis=-1)

        def score(x: Array) -> Array:
            chex.assert_shape(x, (d,))
            products = jnp.split(stacked @ x, self.num_components)
            pulls = [product - shift for product, shift in zip(products, shifts, strict=True)]
            squares = [jnp.sum((x - m) * pull) for m, pull in zip(c.mean, pulls, strict=True)]
            shares = jax.nn.softmax(sizes - 0.5 * jnp.stack(squares))
            terms = [share * pull for share, pull in zip(shares, pulls, strict=True)]
            return -functools.reduce(jnp.add, terms)

        return score

    def sample(self, key: Array, num: int) -> Array:
        """Independent draws `[num, d]`."""
        key_which, key_noise = jax.random.split(key)
        which = jax.random.categorical(key_which, self.log_weights, shape=(num,))
        c = self.components
        z = jax.random.normal(key_noise, (num, self.d), c.mean.dtype)
        scaled = z * jnp.sqrt(c.eigenvalues[which])
        return c.mean[which] + jnp.einsum("nij,nj->ni", c.eigenvectors[which], scaled)

    def moments(self) -> tuple[Array, Array]:
        """Mean `[d]` and covariance `[d, d]`."""
        weights = jnp.exp(self.log_weights)
        means, covariances = jax.vmap(Gaussian.moments)(self.components)
        mean = weights @ means
        apart = means - mean[None]
        between = jnp.einsum("m,mi,mj->ij", weights, apart, apart)
        return mean, jnp.einsum("m,mij->ij", weights, covariances) + between


class Points(NamedTuple):
    """Finitely many points with probabilities, blurred by isotropic noise; make it with `points`.

    Attributes:
        locations: `[S, d]`.
        log_weights: `[S]`, of probabilities that sum to 1.
        variance: of the blur; 0 for the data themselves, which have neither density nor score.
    """

    locations: Array
    log_weights: Array
    variance: Array

    @property
    def d(self) -> int:
        """Dimension of the data."""
        return self.locations.shape[-1]

    def noised(self, alpha_bar: ArrayLike) -> "Points":
        """The law of √ᾱ X + √(1 - ᾱ) Z."""
        a = jnp.asarray(alpha_bar)
        return Points(jnp.sqrt(a) * self.locations, self.log_weights, a * self.variance + (1 - a))

    def log_joint(self, x: Array) -> Array:
        """Log of weight times density of each blurred point at x `[d]`, `[S]`."""
        chex.assert_shape(x, (self.d,))
        squares = jnp.sum((x[None] - self.locations) ** 2, axis=-1)
        size = self.d * jnp.log(2 * jnp.pi * self.variance)
        return self.log_weights - 0.5 * (squares / self.variance + size)

    def log_density(self, x: Array) -> Array:
        """Log p(x) at one point `[d]`."""
        return jax.nn.logsumexp(self.log_joint(x))

    def score(self, x: Array) -> Array:
        """∇ log p(x) at one point, `[d]`: towards the softmax average of the points."""
        return (jax.nn.softmax(self.log_joint(x)) @ self.locations - x) / self.variance

    def sample(self, key: Array, num: int) -> Array:
        """Independent draws `[num, d]`."""
        key_which, key_noise = jax.random.split(key)
        which = jax.random.categorical(key_which, self.log_weights, shape=(num,))
        z = jax.random.normal(key_noise, (num, self.d), self.locations.dtype)
        return self.locations[which] + jnp.sqrt(self.variance) * z

    def moments(self) -> tuple[Array, Array]:
        """Mean `[d]` and covariance `[d, d]`."""
        weights = jnp.exp(self.log_weights)
        mean = weights @ self.locations
        apart = self.locations - mean[None]
        spread = jnp.einsum("s,si,sj->ij", weights, apart, apart)
        return mean, spread + self.variance * jnp.eye(self.d, dtype=mean.dtype)


def gaussian(mean: ArrayLike, covariance: ArrayLike) -> Gaussian:
    """N(mean `[d]`, covariance `[d, d]`).

    Works under `jit` and `vmap`; on concrete numbers raises `InputError` for shapes that disagree
    or a covariance that is not symmetric positive definite.
    """
    mean, covariance = _real("mean", mean), _real("covariance", covariance)
    _check_shapes(mean=mean, covariance=covariance)
    values, vectors = jnp.linalg.eigh(covariance)
    _check_positive("covariance", covariance, values)
    return Gaussian(mean, values, vectors)


def mixture(weights: ArrayLike, means: ArrayLike, covariances: ArrayLike) -> Mixture:
    """Σ_m weights_m N(means_m, covariances_m): `[M]`, `[M, d]`, `[M, d, d]`.

    Works under `jit` and `vmap`; on concrete numbers raises `InputError` for shapes that disagree,
    weights that are negative or do not sum to 1, or covariances that are not positive definite.
    """
    weights, means = _real("weights", weights), _real("means", means)
    covariances = _real("covariances", covariances)
    _check_shapes(means=means, covariances=covariances)
    if weights.ndim != 1 or means.shape[:-1] != weights.shape:
        raise InputError(
            f"weights has shape {weights.shape}, but means has shape {means.shape}: "
            "there must be one weight per mean"
        )
    check_weights("weights", weights)
    values, vectors = jnp.linalg.eigh(covariances)
    _check_positive("covariances", covariances, values)
    return Mixture(jnp.log(weights), Gaussian(means, values, vectors))


def points(locations: ArrayLike, weights: ArrayLike | None = None) -> Points:
    """The law on the rows of `locations [S, d]`, with equal probabilities unless given `[S]`.

    Raises:
        InputError: for shapes that disagree, what is no real or finite number, or weights that are
            negative or do not sum to 1.
    """
    locations = _real("locations", locations)
    if locations.ndim != 2 or not locations.size:
        raise InputError(f"locations must have shape [S, d], got {locations.shape}")
    num = locations.shape[0]
    weights = jnp.full(num, 1 / num) if weights is None else _real("weights", weights)
    if weights.shape != (num,):
        raise InputError(f"weights has shape {weights.shape}, but there are {num} points")
    if _concrete(locations) and not np.all(np.isfinite(locations)):
        raise InputError("locations must be finite")
    check_weights("weights", weights)
    return Points(locations, jnp.log(weights), jnp.zeros((), locations.dtype))


def standard_normal(d: int, dtype: jnp.dtype | None = None) -> Gaussian:
    """N(0, I) in d dimensions: the law of Y_0."""
    dtype = dtype or jnp.result_type(float)
    return Gaussian(jnp.zeros(d, dtype), jnp.ones(d, dtype), jnp.eye(d, dtype=dtype))


def _real(name: str, values: ArrayLike) -> Array:
    return real_array(name, values).astype(float)


def _concrete(x: Array) -> bool:
    return not isinstance(x, Tracer)


def _check_shapes(**given: Array) -> None:
    """Raise `InputError` unless the second has one more axis than the first, of the same length."""
    (name, means), (other, covariances) = given.items()
    d = means.shape[-1] if means.ndim else 0
    if not d or covariances.shape != (*means.shape, d):
        raise InputError(
            f"{name} has shape {means.shape}, but {other} has shape {covariances.shape}: it must "
            f"have shape {(*means.shape, d)}"
        )


def _check_positive(name: str, covariances: Array, eigenvalues: Array) -> None:
    if not _concrete(covariances):
        return
    c = np.asarray(covariances)
    if not np.all(np.isfinite(c)):
        raise InputError(f"{name} must be finite")
    size = np.abs(c).max(initial=0.0)
    if np.abs(c - np.swapaxes(c, -1, -2)).max(initial=0.0) > 1e-12 * size:
        raise InputError(f"{name} must be symmetric")
    least = float(np.min(np.asarray(eigenvalues)))
    if least <= 10 * c.shape[-1] * np.finfo(c.dtype).eps * size:
        raise InputError(f"{name} must be positive definite, but its least eigenvalue is {least:g}")


def check_weights(name: str, weights: Array) -> None:
    """Raise `InputError` unless concrete weights are positive and sum to 1."""
    if not _concrete(weights):
        return
    w = np.asarray(weights)
    if not np.all(w > 0):
        raise InputError(f"{name} must be positive, got {w.min():g}")
    if abs(w.sum() - 1) > 1e-6:
        raise InputError(f"{name} must sum to 1, got {w.sum():g}")
