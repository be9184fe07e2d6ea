"""Rollouts a second against vectorised NumPy and a plain Python loop.

Every number of rollouts is timed under its own policy K + U_j, n = p = d = 3, φ = sin, float64.
With several seeds each has its own system as well. "One core" confines both to the same core, where
they take turns; on all cores NumPy runs one process per core, which is the best it can do.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from benchmarks.timing import Row, best_times

TITLE = "Rollouts a second (n = p = d = 3, φ = sin, float64, one policy a rollout)"
ROLLOUTS = 300
MEMBERS = 64
HORIZONS = (10, 100)
FEW = 20  # rollouts of the Python loop
ROUNDS = 3

Arrays = dict[str, np.ndarray]


def draw(members: int) -> Arrays:
    """Systems [members, 3, 3], policies [members, 3, 6, J] and states [members, 3, J]."""
    rng = np.random.default_rng(0)
    stack = rng.normal(size=(members, 3, 9))
    stack /= np.linalg.norm(stack, 2, axis=(1, 2))[:, None, None]
    x0 = rng.normal(size=(members, 3, ROLLOUTS))
    return {
        "A": stack[..., :3],
        "B": stack[..., 3:6],
        "C": stack[..., 6:],
        "K": 0.1 * rng.normal(size=(members, 3, 6, ROLLOUTS)),
        "x0": x0 / np.linalg.norm(x0, axis=1, keepdims=True),
    }


def numpy_rollouts(given: Arrays, horizon: int) -> np.ndarray:
    """Costs [members, J], member by member: arrays [component, rollout], products by einsum."""
    Q = R = np.eye(3)
    costs = np.zeros((len(given["K"]), ROLLOUTS))
    for A, B, C, K, x, total in zip(*(given[k] for k in ("A", "B", "C", "K", "x0")), costs):
        for _ in range(horizon):
            features = np.sin(x)
            u = -np.einsum("pmj,mj->pj", K, np.concatenate([x, features]))
            total += np.einsum("nj,nj->j", x, Q @ x) + np.einsum("pj,pj->j", u, R @ u)
            x = A @ x + B @ u + C @ features
    return costs


def python_rollouts(given: Arrays, horizon: int, num: int) -> list[float]:
    """Costs of the first `num` rollouts of the first member, one after the other."""
    A, B, C = (given[k][0] for k in "ABC")
    Q = R = np.eye(3)
    costs = []
    for j in range(num):
        K, x, total = given["K"][0, :, :, j], given["x0"][0, :, j], 0.0
        for _ in range(horizon):
            features = np.sin(x)
            u = -K @ np.concatenate([x, features])
            total += x @ Q @ x + u @ R @ u
            x = A @ x + B @ u + C @ features
        costs.append(total)
    return costs


def fineq_rollouts(given: Arrays, horizon: int) -> Callable[[], object]:
    """A call of one compiled program: `jax.vmap` over the members of `rollout_costs`."""
    import jax
    import jax.numpy as jnp

    from fineq.nlqr.features import Sine
    from fineq.nlqr.problem import System
    from fineq.nlqr.rollout import rollout_costs

    jax.config.update("jax_enable_x64", True)
    eye, one = jnp.eye(3), jnp.asarray(1.0)

    def member(A: jax.Array, B: jax.Array, C: jax.Array, K: jax.Array, x0: jax.Array) -> jax.Array:
        return rollout_costs(K, x0, System(A, B, C, eye, eye, one, Sine()), horizon)

    arrays = [jnp.asarray(given[k]) for k in ("A", "B", "C", "K", "x0")]
    compiled = jax.jit(jax.vmap(member))
    np.testing.assert_allclose(
        compiled(*arrays)[0, :3], python_rollouts(given, horizon, 3), rtol=1e-9
    )
    return lambda: compiled(*arrays).block_until_ready()


def rates(whats: Sequence[str], members: int, horizon: int, repeats: int) -> dict[str, float]:
    """Rollouts a second of `fineq`, `numpy` and `python` in this process, taking turns."""
    given = draw(members)
    every = {
        "fineq": (members * ROLLOUTS, lambda: fineq_rollouts(given, horizon)),
        "numpy": (members * ROLLOUTS, lambda: partial(numpy_rollouts, given, horizon)),
        "python": (FEW, lambda: partial(python_rollouts, given, horizon, FEW)),
    }
    best = best_times({what: every[what][1]() for what in whats}, repeats)
    return {what: every[what][0] / best[what] for what in whats}


def start(
    whats: Sequence[str], members: int, horizon: int, repeats: int, core: int | None
) -> subprocess.Popen:
    """Start `rates` in a process of its own, on one core or, with None, on all of them."""
    words = [",".join(whats), members, horizon, repeats, "" if core is None else core]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.rollouts", *map(str, words)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **threads, "JAX_PLATFORMS": "cpu"},
    )


def on_cores(
    whats: Sequence[str], members: int, horizon: int, repeats: int, cores: Sequence[int | None]
) -> dict[str, float]:
    """Sum of the rates of one process on each of `cores`, all running at the same time."""
    running = [start(whats, members, horizon, repeats, core) for core in cores]
    found = [json.loads(process.communicate()[0]) for process in running]
    return {what: sum(rate[what] for rate in found) for what in whats}


def available_cores() -> list[int]:
    """The cores this process may use; on systems that cannot say, one."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]


def _one_core(members: int, horizon: int, repeats: int) -> list[Row]:
    found = on_cores(("fineq", "numpy", "python"), members, horizon, repeats, available_cores()[:1])
    ours, name = found["fineq"], f"{_seeds(members)}, T = {horizon}, one core"
    return [
        Row(name, ours, "/s", ours / found["numpy"], f"NumPy, {found['numpy']:.3g}/s"),
        Row(name, ours, "/s", ours / found["python"], f"a Python loop, {found['python']:.3g}/s"),
    ]


def _all_cores(members: int, horizon: int, repeats: int) -> list[Row]:
    cores = available_cores()
    ours = numpy = 0.0
    for _ in range(ROUNDS):
        ours = max(ours, on_cores(["fineq"], members, horizon, repeats, [None])["fineq"])
        numpy = max(numpy, on_cores(["numpy"], members, horizon, repeats, cores)["numpy"])
    name = f"{_seeds(members)}, T = {horizon}, {len(cores)} cores"
    return [Row(name, ours, "/s", ours / numpy, f"NumPy in {len(cores)} processes, {numpy:.3g}/s")]


def _seeds(members: int) -> str:
    return "1 seed" if members == 1 else f"{members} seeds, each its own system"


def run(quick: bool) -> list[Row]:
    """The rows of the table; quick takes about a minute."""
    repeats = 10 if quick else 40
    rows = []
    for horizon in HORIZONS:
        rows += _one_core(1, horizon, repeats) + _one_core(MEMBERS, horizon, repeats)
        if len(available_cores()) > 1:
            rows += _all_cores(MEMBERS, horizon, repeats)
    return rows


if __name__ == "__main__":
    whats, *numbers, core = sys.argv[1:]
    if core and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(core)})
    members, horizon, repeats = map(int, numbers)
    print(json.dumps(rates(whats.split(","), members, horizon, repeats)))
