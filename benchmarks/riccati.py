"""Many Riccati equations at once against a loop over SciPy's solver."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jax import Array

from benchmarks.timing import Row, best_times
from fineq.nlqr.doubling import EquationStatus
from fineq.nlqr.riccati import dare

TITLE = "Riccati equations, float64"
AGAINST = "loop over scipy.linalg.solve_discrete_are"


class Case(NamedTuple):
    """A batch of `num` systems with n states and p controls; the loop solves `sample` of them."""

    n: int
    p: int
    num: int
    sample: int


CASES = (Case(4, 2, 10_000, 10_000), Case(16, 4, 1_000, 1_000))
QUICK = tuple(case._replace(sample=case.sample // 20) for case in CASES)


def systems(case: Case) -> list[np.ndarray]:
    """Gaussian A of spectral radius 1 and Gaussian B, unit costs."""
    rng = np.random.default_rng(0)
    A = rng.normal(size=(case.num, case.n, case.n))
    A /= np.abs(np.linalg.eigvals(A)).max(-1)[:, None, None]
    B = rng.normal(size=(case.num, case.n, case.p))
    unit = [np.broadcast_to(np.eye(m), (case.num, m, m)).copy() for m in (case.n, case.p)]
    return [A, B, *unit]


def loop(matrices: list[np.ndarray], count: int) -> np.ndarray:
    """The first `count` solutions, one after the other."""
    return np.stack(
        [scipy.linalg.solve_discrete_are(*(x[i] for x in matrices)) for i in range(count)]
    )


def compare(case: Case, repeats: int) -> list[Row]:
    """Systems per second, batched and as the derivative of every solution."""
    matrices = systems(case)
    batch = [jnp.asarray(x) for x in matrices]
    mapped, slope = jax.jit(jax.vmap(dare)), jax.jit(jax.grad(total))
    out = dare(*batch)
    worst = np.abs(np.asarray(out.P[: case.sample]) - loop(matrices, case.sample)).max()
    solved = int((np.asarray(out.status) == EquationStatus.SOLVED).sum())
    note = f"{solved} of {case.num} solved; largest difference {worst:.1e}"
    seconds = best_times(
        {
            "loop": lambda: loop(matrices, case.sample),
            "one batch": lambda: dare(*batch),
            "jit(vmap)": lambda: mapped(*batch),
            "gradient": lambda: slope(*batch),
        },
        repeats,
    )
    base = case.sample / seconds.pop("loop")
    size = f"{case.num} of n={case.n}, p={case.p}"
    return [
        Row(f"{size}: {name}", case.num / t, "systems/s", case.num / t / base, AGAINST, note)
        for name, t in seconds.items()
    ]


def total(A: Array, B: Array, Q: Array, R: Array) -> Array:
    """Sum of tr P over the batch: its gradient needs one Lyapunov equation for each system."""
    return jnp.sum(jnp.trace(dare(A, B, Q, R).P, axis1=-2, axis2=-1))


def run(quick: bool) -> list[Row]:
    """All cases; `quick` lets the loop solve a twentieth of each batch."""
    return [row for case in (QUICK if quick else CASES) for row in compare(case, 2 if quick else 3)]
