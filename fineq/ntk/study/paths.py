"""Kernel gradient descent of one member, on noisy and on clean labels, seen on fresh points."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from fineq.ntk import spectral
from fineq.ntk.config import NtkConfig
from fineq.ntk.kernel import gram
from fineq.ntk.spectral import Path, Spectrum
from fineq.ntk.study.instances import Data, Instance


class Paths(NamedTuple):
    """Predictions on the test points, and what stopping rules look at.

    Attributes:
        spectrum: of K/N.
        eta: step size η.
        noisy: descent on the labels X_0, at S times.
        clean: descent on the labels f*, at S times and at infinity.
        of_noisy: predictions of `noisy`, `[S, M, d]`.
        of_clean: predictions of `clean`, `[S, M, d]`.
        limit: the interpolant of clean labels, `[M, d]`.
    """

    spectrum: Spectrum
    eta: Array
    noisy: Path
    clean: Path
    of_noisy: Array
    of_clean: Array
    limit: Array


def step_of(config: NtkConfig, z: Array) -> Array:
    """The configured step size, or 1/E κ(z, z)."""
    if config.descent.step is not None:
        return jnp.asarray(config.descent.step, z.dtype)
    # κ(z, z) = |z|²/2.
    return spectral.default_step(jnp.mean(jnp.sum(z**2, axis=-1)) / 2)


def kernel_paths(instance: Instance, eta: Array, times: Array) -> Paths:
    """Descend on both kinds of labels; `times` `[S]` are numbers of steps."""
    train, test = instance.train, instance.test
    spectrum = spectral.spectrum(gram(train.z))
    ends = jnp.append(times, jnp.inf)
    noisy = spectral.descend(spectrum, train.noisy, eta, times, force=True)
    clean = spectral.descend(spectrum, train.clean, eta, ends, force=True)
    both = jnp.concatenate([noisy.coefficients, clean.coefficients])
    found = spectral.predict(test.z, train.z, both)
    num = times.shape[0]
    of_noisy, of_clean, limit = found[:num], found[num:-1], found[-1]
    return Paths(spectrum, eta, noisy, clean, of_noisy, of_clean, limit)


def error(data: Data, apart: Array) -> Array:
    """√(E w |apart|²) over points, for differences `[..., M, d]`: `[...]`."""
    return jnp.sqrt(jnp.sum(apart**2, axis=-1) @ data.weight / data.weight.shape[0])
