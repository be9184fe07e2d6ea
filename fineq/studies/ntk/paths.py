"""Kernel gradient descent of one member, on noisy and on clean labels, seen on fresh points."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from fineq.ntk import lanczos, spectral, stopping
from fineq.ntk.accuracy import accuracy, estimated_freedom
from fineq.ntk.spectral import Freedom, Path
from fineq.ntk.tangent import entry_error, gram
from fineq.studies.ntk.config import NtkConfig
from fineq.studies.ntk.instances import Data, Instance

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


def step_of(config: NtkConfig, z: Array) -> Array:
    """The configured step size, or 1/E κ(z, z)."""
    if config.descent.step is not None:
        return jnp.asarray(config.descent.step, z.dtype)
    return spectral.default_step(lanczos.mean_diagonal(z))


def kernel_paths(
    config: NtkConfig, instance: Instance, times: Array, eta: Array | None = None
) -> Paths:
    """Descend on both kinds of labels; `times` `[S]` are numbers of steps of size `eta`."""
    train, test = instance.train, instance.test
    descent = config.descent
    eta = step_of(config, train.z) if eta is None else eta
    if descent.method == "spectral":
        spectrum = spectral.spectrum(gram(train.z))
        freedom = spectral.degrees_of_freedom(spectrum.values, eta, times)
        complexity = stopping.complexity(spectrum.values, eta, times)
        known = jnp.ones(times.shape, bool)
    else:
        labels = jnp.concatenate([train.noisy, train.clean], axis=1)
        probes = lanczos.draw_probes(instance.key, len(labels), NUM_PROBES, config.precision)
        if descent.method == "stored":
            space = lanczos.krylov(
                gram(train.z), labels, descent.num_products, probes, entry_error(train.z.dtype)
            )
        else:
            space = lanczos.krylov_blocked(train.z, labels, descent.num_products, probes)
        spectrum = space.spectrum
        freedom = estimated_freedom(space, eta, times)[0]
        top = spectrum.values[:NUM_TOP]
        complexity = stopping.complexity_bracket(top, space.trace, eta, times, len(labels)).high
        known = jnp.all(accuracy(space, eta, times, tolerance=TOLERANCE).converged, axis=1)
    noisy = spectral.descend(spectrum, train.noisy, eta, times, force=True)
    clean = spectral.descend(spectrum, train.clean, eta, jnp.append(times, jnp.inf), force=True)
    both = jnp.concatenate([noisy.coefficients, clean.coefficients])
    found = spectral.predict(test.z, train.z, both)
    num = times.shape[0]
    ended = jnp.where(known, 0, jnp.nan)[:, None, None]
    limit = found[-1] if descent.method == "spectral" else jnp.full_like(found[-1], jnp.nan)
    return Paths(
        *(spectrum.values, freedom, complexity, known, noisy, clean),
        *(found[:num] + ended, found[num:-1] + ended, limit),
    )


def error(data: Data, apart: Array) -> Array:
    """√(E w |apart|²) over points, for differences `[..., M, d]`: `[...]`."""
    return jnp.sqrt(jnp.sum(apart**2, axis=-1) @ data.weight / data.weight.shape[0])
