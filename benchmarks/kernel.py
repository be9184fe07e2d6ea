"""Nanoseconds per entry of the tangent kernel's Gram matrix, and of products without the matrix.

With the path of a Python that has neural-tangents in `FINEQ_PEER_PYTHON` that library is the
alternative, in a process of its own which takes turns with this one; always the same formula with
an arccosine in plain jnp and in NumPy. Errors are the largest of 256² entries, diagonal included,
against extended precision, relative to |z| |z'|.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.timing import Row, best_times
from fineq.ntk.tangent import gram, product

TITLE = "Gram matrices of the tangent kernel"
PEER = "FINEQ_PEER_PYTHON"
SIZES = (1024, 4096, 8192)
COORDINATES = (4, 66)
ROWS = 256


def points(D: int, N: int, dtype: str) -> np.ndarray:
    """Standard normal points, the same in the peer's process."""
    return np.random.default_rng(0).normal(size=(N, D)).astype(dtype)


def with_arccos(xp: Any, z: Any) -> Any:
    """The textbook formula in the array library `xp`."""
    dots, r = z @ z.T, xp.sqrt(xp.sum(z * z, axis=1))
    cosines = xp.clip(dots / (r[:, None] * r[None, :]), -1, 1)
    return dots * (xp.pi - xp.arccos(cosines)) / (2 * xp.pi)


def error(found: Any, z: np.ndarray) -> float:
    """Largest error of a Gram matrix relative to |z| |z'|."""
    exact = z.astype(np.longdouble)
    r = np.sqrt(np.sum(exact**2, axis=1))
    u = exact / r[:, None]
    gap, total = (np.sqrt(np.sum((u[:, None] - s * u[None]) ** 2, axis=-1)) for s in (1, -1))
    pi = 4 * np.arctan(np.longdouble(1))
    angle = 2 * np.arctan2(gap, total)
    share = np.cos(angle) * (pi - angle) / (2 * pi)
    return float(np.max(np.abs(np.asarray(found) / np.outer(r, r) - share)))


class Peer:
    """The process that runs neural-tangents, by a script beside this one."""

    def __init__(self, python: str, script: str = "kernel_peer.py"):
        self.process = subprocess.Popen(
            [python, str(Path(__file__).with_name(script))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"},
        )

    def ask(self, *words: object) -> float:
        """Send one line and wait for its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


def compare(D: int, N: int, dtype: str, peer: Peer | None, repeats: int) -> list[Row]:
    """Nanoseconds an entry, against each alternative."""
    host = points(D, N, dtype)
    z, plain = jnp.asarray(host), jax.jit(lambda z: with_arccos(jnp, z))
    runs: dict[str, Callable[[], Any]] = {"fineq": lambda: gram(z), "jnp": lambda: plain(z)}
    errors = {
        "fineq": error(gram(z[:ROWS]), host[:ROWS]),
        "jnp": error(plain(z[:ROWS]), host[:ROWS]),
    }
    names = {"jnp": "plain jnp with arccos", "numpy": "NumPy", "peer": "neural-tangents"}
    if min(SIZES) == N:
        runs["numpy"] = lambda: with_arccos(np, host)
        errors["numpy"] = error(with_arccos(np, host[:ROWS]), host[:ROWS])
    if peer is not None:
        with tempfile.TemporaryDirectory() as folder:
            peer.ask(D, N, dtype, f"{folder}/gram.npy")
            errors["peer"] = error(np.load(f"{folder}/gram.npy"), host[:ROWS])
        runs["peer"] = peer.ask
    best = best_times(runs, repeats)
    measured = best["fineq"] / N**2 * 1e9
    return [
        Row(
            f"D = {D}, N = {N}, {dtype}",
            measured,
            "ns/entry",
            best[other] / best["fineq"],
            f"{names[other]}, {best[other] / N**2 * 1e9:.3g} ns",
            f"errors {errors['fineq']:.1e} and {errors[other]:.1e}",
        )
        for other in runs
        if other != "fineq"
    ]


def without_matrix(D: int, N: int, repeats: int) -> Row:
    """A product with two columns, tile by tile, against Gram matrix and product."""
    z, v = jnp.asarray(points(D, N, "float64")), jnp.ones((N, 2))
    tiles = jax.jit(lambda z, v: product(z, z, v)).lower(z, v).compile()
    runs = {"fineq": lambda: tiles(z, v), "whole": lambda: gram(z) @ v}
    best = best_times(runs, repeats)
    found = tiles.memory_analysis()
    note = "" if found is None else f"{found.temp_size_in_bytes / 2**20:.0f} MiB held"
    return Row(
        f"product without the matrix, D = {D}, N = {N}",
        best["fineq"] / N**2 * 1e9,
        "ns/entry",
        best["whole"] / best["fineq"],
        "forming the matrix, then the product",
        note,
    )


def run(quick: bool) -> list[Row]:
    """All sizes; quick leaves out the largest. Says so if the peer was not given."""
    python, repeats = os.environ.get(PEER), 3 if quick else 7
    if not python:
        print(f"\n{PEER} is not set: no comparison with neural-tangents (docs/benchmarks.md)")
    peer = Peer(python) if python else None
    rows = []
    for D in COORDINATES:
        for N in SIZES[:-1] if quick else SIZES:
            for dtype in ("float64", "float32"):
                rows += compare(D, N, dtype, peer, repeats)
        rows.append(without_matrix(D, SIZES[1 if quick else 2], repeats))
    if peer is not None:
        peer.close()
    return rows
