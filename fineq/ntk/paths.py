"""Kernel gradient descent of one member, on noisy and on clean labels, seen on fresh points.

The four terms of an error and all stopping rules are read off these paths
(`ntk/error-decomposition`, `ntk/early-stopping`; arXiv 2401.15604).
"""

from typing import NamedTuple, get_args

import jax.numpy as jnp
from jax import Array

from fineq.errors import InputError
from fineq.ntk import lanczos, spectral, stopping
from fineq.ntk.accuracy import error_bounds, estimated_freedom
from fineq.ntk.instance import Instance, Labelled
from fineq.ntk.memory import Storage
from fineq.ntk.spectral import Freedom, Path, Spectrum
from fineq.ntk.tangent import entry_error, gram

NUM_PROBES = 8  # behind degrees of freedom in a Krylov space
NUM_TOP = 8  # Ritz values that are taken for eigenvalues
TOLERANCE = 1e-6  # of the labels' root mean square: what a Krylov path may be off by


class Paths(NamedTuple):
    """Predictions on the test points, and what stopping rules look at.

    Attributes:
        values: eigenvalues of K/N, all N of them or Ritz values.
        freedom: degrees of freedom at S times, estimated by probes in a Krylov space.
        complexity: ητ R(1/√(ητ)) at S times, its upper bound where not all eigenvalues are known.
        known: whether the path is known at each of the S times to `TOLERANCE`.
        noisy: descent on the labels X_0, at S times.
        clean: descent on the labels f*, at S times and at infinity.
        of_noisy: predictions of `noisy`, `[S, M, d]`.
        of_clean: predictions of `clean`, `[S, M, d]`.
        limit: the interpolant of clean labels, `[M, d]`; NaN in a Krylov space.
    """

    values: Array
    freedom: Freedom
    complexity: Array
    known: Array
    noisy: Path
    clean: Path
    of_noisy: Array
    of_clean: Array
    limit: Array


class _Space(NamedTuple):
    """Eigenpairs, or Ritz pairs that stand in for them, and what they tell at S times."""

    spectrum: Spectrum
    freedom: Freedom
    complexity: Array
    known: Array


def kernel_paths(
    instance: Instance,
    times: Array,
    eta: Array,
    storage: Storage = "spectral",
    num_products: int = lanczos.PRODUCTS,
) -> Paths:
    """Descend on both kinds of labels.

    Args:
        instance: what is learned.
        times: numbers of steps τ, `[S]`.
        eta: step size η.
        storage: all eigenpairs of the Gram matrix, a Krylov space of a stored one, or of one that
            is computed anew for each product.
        num_products: that span the Krylov space.

    Raises:
        InputError: for another storage.
    """
    if storage not in get_args(Storage):
        raise InputError(f"storage must be one of {', '.join(get_args(Storage))}, got {storage}")
    train, whole = instance.train, storage == "spectral"
    space = (
        _all_pairs(train, times, eta)
        if whole
        else _krylov(instance, times, eta, storage, num_products)
    )
    noisy = spectral.descend(space.spectrum, train.noisy, eta, times, force=True)
    clean = spectral.descend(
        space.spectrum, train.clean, eta, jnp.append(times, jnp.inf), force=True
    )
    both = jnp.concatenate([noisy.coefficients, clean.coefficients])
    found = spectral.predict(instance.test.z, train.z, both)
    num = times.shape[0]
    ended = jnp.where(space.known, 0, jnp.nan)[:, None, None]
    limit = found[-1] if whole else jnp.full_like(found[-1], jnp.nan)
    return Paths(
        *(space.spectrum.values, *space[1:], noisy, clean),
        *(found[:num] + ended, found[num:-1] + ended, limit),
    )


def _all_pairs(train: Labelled, times: Array, eta: Array) -> _Space:
    spectrum = spectral.spectrum(gram(train.z))
    freedom = spectral.degrees_of_freedom(spectrum.values, eta, times)
    complexity = stopping.complexity(spectrum.values, eta, times)
    return _Space(spectrum, freedom, complexity, jnp.ones(times.shape, bool))


def _krylov(
    instance: Instance, times: Array, eta: Array, storage: Storage, num_products: int
) -> _Space:
    z, labels = instance.train.z, jnp.concatenate([instance.train.noisy, instance.train.clean], 1)
    probes = lanczos.draw_probes(instance.key, len(labels), NUM_PROBES, z.dtype.name)
    if storage == "stored":
        found = lanczos.krylov(gram(z), labels, num_products, probes, entry_error(z.dtype))
    else:
        found = lanczos.krylov_blocked(z, labels, num_products, probes)
    freedom = estimated_freedom(found, eta, times)[0]
    top = found.spectrum.values[:NUM_TOP]
    complexity = stopping.complexity_bracket(top, found.trace, eta, times, len(labels)).high
    known = jnp.all(error_bounds(found, eta, times, tolerance=TOLERANCE).converged, axis=1)
    return _Space(found.spectrum, freedom, complexity, known)
