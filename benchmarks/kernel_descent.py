"""Seconds to every early-stopped fit of kernel descent: 100 times, fresh points, stopping time.

The Krylov path of 30 products against neural-tangents' `gradient_descent_mse` (in a process of its
own, with its Python in `FINEQ_PEER_PYTHON`) and always against the eigendecomposition alone of
`scipy.linalg.eigh`. Each begins with the points. Then a size that no decomposition reaches, in a
process of its own whose peak of memory is told. Labels: 5 points of the plane, T0 = 0.1, T = 3.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jax import Array

from benchmarks.kernel import PEER, Peer
from benchmarks.timing import Row, best_times
from fineq.ntk import lanczos, spectral, stopping
from fineq.ntk.accuracy import error_bounds
from fineq.ntk.tangent import gram

TITLE = "Kernel gradient descent at 100 training times up to 10^4, with the stopping time"
TIMES = np.geomspace(1, 1e4, 100)
FRESH = 256
NOISE = 0.5
GOAL = 60.0


class Data(NamedTuple):
    """Points `[N, D]`, fresh points `[M, D]` and labels `[N, 2]`."""

    z: Array
    fresh: Array
    labels: Array


class Fit(NamedTuple):
    """Predictions on points and fresh points, stopping time, largest bound on the error."""

    fitted: Array
    ahead: Array
    time: Array
    bound: Array


def draw(N: int) -> Data:
    """Score regression in the plane, inputs (x, t - T0, 1)."""
    rng = np.random.default_rng(0)
    atoms = rng.uniform(-1, 1, (5, 2))
    t = rng.uniform(0.1, 3, N + FRESH)
    a = np.exp(-t / 2)[:, None]
    labels = atoms[rng.integers(0, 5, N + FRESH)]
    x = a * labels + np.sqrt(1 - a**2) * rng.standard_normal(labels.shape)
    z = np.concatenate([x, t[:, None] - 0.1, np.ones((N + FRESH, 1))], axis=1)
    return Data(jnp.asarray(z[:N]), jnp.asarray(z[N:]), jnp.asarray(labels[:N]))


def krylov_fit(data: Data, storage: lanczos.Storage = "float64") -> Fit:
    """Everything a study needs, from products."""
    space = lanczos.krylov_at(data.z, data.labels, storage=storage)
    eta = spectral.default_step(space.trace)
    path = spectral.descend(space.spectrum, data.labels, eta, TIMES, "flow")
    bound = error_bounds(space, eta, TIMES, "flow").fitted
    ahead = spectral.predict(data.fresh, data.z, path.coefficients)
    known = space.spectrum.values
    bracket = stopping.complexity_bracket(known, space.trace, eta, TIMES, len(data.z))
    stop = stopping.local_rademacher(bracket.high, TIMES, NOISE)
    return Fit(path.fitted, ahead, stop.time, jnp.max(bound))


def spectral_fit(data: Data) -> Fit:
    """The same from all eigenvalues."""
    found = spectral.spectrum_at(data.z)
    eta = spectral.default_step(jnp.sum(found.values))
    path = spectral.descend(found, data.labels, eta, TIMES, "flow")
    ahead = spectral.predict(data.fresh, data.z, path.coefficients)
    left = stopping.complexity(found.values, eta, TIMES)
    stop = stopping.local_rademacher(left, TIMES, NOISE)
    return Fit(path.fitted, ahead, stop.time, jnp.zeros(()))


def compare(N: int, python: str | None, repeats: int) -> list[Row]:
    """The Krylov path against each alternative."""
    data = draw(N)
    K = np.asarray(gram(data.z)) / N
    runs: dict[str, Any] = {
        "fineq": lambda: krylov_fit(data),
        "all": lambda: spectral_fit(data),
        "scipy": lambda: scipy.linalg.eigh(K, driver="evd"),
    }
    names = {
        "all": "fineq, eigendecomposition",
        "scipy": "scipy.linalg.eigh alone",
        "peer": "neural-tangents",
    }
    ours, exact = krylov_fit(data), spectral_fit(data)
    difference = {"all": largest(ours, exact)}
    peer = Peer(python, "kernel_descent_peer.py") if python else None
    if peer is not None:
        with tempfile.TemporaryDirectory() as folder:
            eta = spectral.default_step(lanczos.mean_diagonal(data.z))
            np.savez(f"{folder}/data.npz", **data._asdict(), times=TIMES, eta=eta)
            peer.ask(f"{folder}/data")
            theirs = np.load(f"{folder}/data-peer.npz")
            difference["peer"] = largest(ours, theirs["fitted"], theirs["ahead"])
        runs["peer"] = peer.ask
    best = best_times(runs, repeats)
    if peer is not None:
        peer.close()
    note = f"stops at {float(ours.time):.4g} (all eigenvalues: {float(exact.time):.4g}), "
    note += f"error at most {float(ours.bound):.0e}"
    return [
        Row(
            f"N = {N}",
            best["fineq"],
            "s",
            best[other] / best["fineq"],
            f"{names[other]}, {best[other]:.3g} s",
            f"differ by {difference[other]:.1e}" if other in difference else note,
        )
        for other in runs
        if other != "fineq"
    ]


def largest(ours: Fit, *theirs: Any) -> float:
    """The largest difference of predictions."""
    fitted, ahead = theirs if len(theirs) == 2 else (theirs[0].fitted, theirs[0].ahead)
    return float(max(np.max(np.abs(ours.fitted - fitted)), np.max(np.abs(ours.ahead - ahead))))


def beyond(N: int, storage: lanczos.Storage) -> Row:
    """A size that no decomposition reaches, against the time one may want to wait."""
    words = [sys.executable, "-m", "benchmarks.kernel_descent", str(N), storage]
    seconds, peak, bound = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
    note = f"peak {peak:.3g} GiB, error at most {bound:.0e}"
    note += ", compilation and the process's start counted"
    return Row(f"N = {N}, K {storage}", seconds, "s", GOAL / seconds, f"{GOAL:g} s", note)


def alone(N: int, storage: lanczos.Storage) -> None:
    """What `beyond` measures, in this process."""
    jax.config.update("jax_enable_x64", True)
    begin = time.perf_counter()
    fit = jax.block_until_ready(krylov_fit(draw(N), storage))
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps([seconds, peak, float(fit.bound)]))


def run(quick: bool) -> list[Row]:
    """N = 1024 and 4096, then 16384; quick: the first alone. Says so if the peer was not given."""
    python = os.environ.get(PEER)
    if not python:
        print(f"\n{PEER} is not set: no comparison with neural-tangents (docs/benchmarks.md)")
    if quick:
        return compare(1024, python, 3)
    rows = [*compare(1024, python, 5), *compare(4096, python, 1)]
    return [*rows, *(beyond(16384, storage) for storage in ("float64", "float32", "blocked"))]


if __name__ == "__main__":
    alone(int(sys.argv[1]), sys.argv[2])  # pyright: ignore[reportArgumentType]
