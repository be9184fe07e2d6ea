"""Policy iteration on many linear-quadratic fine-tuning problems at once, against NumPy."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from benchmarks.timing import Row, best_times
from fineq.ddpm.laws import Gaussian
from fineq.ddpm.schedules import linear_rate, make_schedule
from fineq.pift import lq
from fineq.pift.problem import ddpm_chain, make_problem
from fineq.pift.rewards import quadratic

TITLE = "Linear-quadratic policy iteration, d = 4, T = 50, 30 sweeps, float64"
D, T, SWEEPS = 4, 50, 30


class Plain(NamedTuple):
    """The arrays NumPy works on: A `[..., T, d, d]`, b, σ² and β `[..., T]`, reward P, p."""

    A: np.ndarray
    b: np.ndarray
    variance: np.ndarray
    beta: np.ndarray
    P: np.ndarray
    p: np.ndarray


def problems(num: int) -> lq.LinearQuadratic:
    """Gaussian data and concave rewards drawn at random, β = 2."""
    rng = np.random.default_rng(0)
    U = np.linalg.qr(rng.normal(size=(num, D, D)))[0]
    M = rng.normal(size=(num, D, D))
    P = -M @ np.swapaxes(M, 1, 2) / D
    law = Gaussian(
        *map(jnp.asarray, (rng.normal(size=(num, D)), rng.uniform(0.3, 1.5, (num, D)), U))
    )
    schedule = make_schedule(linear_rate(T, 0.1, 10.0))

    def one(law: Gaussian, P: Array, center: Array) -> lq.LinearQuadratic:
        problem = make_problem(ddpm_chain(law, schedule), quadratic(P, center), 2.0)
        return lq.linear_quadratic(problem)

    return jax.vmap(one)(law, jnp.asarray(P), jnp.asarray(rng.normal(size=(num, D))))


def plain(batch: lq.LinearQuadratic) -> Plain:
    """The same for NumPy."""
    sigma = np.asarray(batch.L)[..., 0, 0]
    arrays = (batch.A, batch.b, sigma**2, batch.betas, batch.terminal.P, batch.terminal.p)
    return Plain(*(np.array(x) for x in arrays))


def numpy_sweeps(q: Plain) -> np.ndarray:
    """`SWEEPS` sweeps of one problem, or of a batch with axes before T; returns F."""
    F, f = q.A.copy(), q.b.copy()
    shape = q.P.shape[:-2]
    for _ in range(SWEEPS):
        P, p = q.P, q.p
        for t in range(T - 1, -1, -1):
            A, b = q.A[..., t, :, :], q.b[..., t, :]
            k = (q.beta[..., t] / q.variance[..., t])[..., None]
            now, off = F[..., t, :, :].copy(), f[..., t, :].copy()
            FT, D_, e = np.swapaxes(now, -1, -2), now - A, off - b
            PF, g = P @ now, (P @ off[..., None])[..., 0] + p
            F[..., t, :, :] = A + PF / k[..., None]
            f[..., t, :] = b + g / k
            P = FT @ PF - k[..., None] * np.swapaxes(D_, -1, -2) @ D_
            p = (FT @ g[..., None])[..., 0] - k * (np.swapaxes(D_, -1, -2) @ e[..., None])[..., 0]
    assert F.shape[:-3] == shape
    return F


@jax.jit
def sweeps(batch: lq.LinearQuadratic) -> Array:
    """`SWEEPS` sweeps of the whole batch."""

    def one(arrays: lq.LinearQuadratic) -> Array:
        return lq.policy_iterations(arrays, lq.pretrained(arrays), SWEEPS)[0].F

    return jax.vmap(one)(batch)


def run(quick: bool) -> list[Row]:
    """1,000 problems; the loop over problems solves a sample of them."""
    num, sample = (200 if quick else 1000), (2 if quick else 10)
    batch = problems(num)
    arrays = plain(batch)
    singles = [Plain(*(x[i] for x in arrays)) for i in range(sample)]
    worst = np.abs(np.asarray(sweeps(batch)) - numpy_sweeps(arrays)).max()
    seconds = best_times(
        {
            "fineq": lambda: sweeps(batch),
            "loop": lambda: [numpy_sweeps(q) for q in singles],
            "batched": lambda: numpy_sweeps(arrays),
        },
        2 if quick else 3,
    )
    rate = num / seconds["fineq"]
    note = f"largest difference {worst:.0e}"
    return [
        Row(
            f"{num} problems",
            rate,
            "problems/s",
            rate * seconds["loop"] / sample,
            "NumPy loop",
            note,
        ),
        Row(
            f"{num} problems", rate, "problems/s", rate * seconds["batched"] / num, "batched NumPy"
        ),
    ]
