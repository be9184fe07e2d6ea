"""Full-batch steps of the two-layer network against PyTorch, automatic differentiation and NumPy.

With the path of a Python that has PyTorch in `FINEQ_TORCH_PYTHON` that library is the alternative,
in a process of its own which takes turns with this one. All do the same step in float32, eager
PyTorch and NumPy as a user would write it; PyTorch by its own differentiation and by the closed
form, on one thread and on all, and the fastest of the four counts.
"""

import os
import subprocess
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from benchmarks.timing import Row, best_times
from fineq.ntk.network import Weights
from fineq.ntk.problem import Regression
from fineq.ntk.training import NetworkTraining

TITLE = "Full-batch steps of the two-layer network, N = 256, D = 4, d = 2, float32"
PEER = "FINEQ_TORCH_PYTHON"
N, D, OUTPUTS, ETA = 256, 4, 2, 0.1
STEPS = 10

TORCH = """
import sys, time, os
import torch
torch.manual_seed(0)
N, D, d, m, steps = map(int, sys.argv[1:])
z, y, W, A = torch.randn(N, D), torch.randn(N, d), torch.randn(m, D), torch.randn(m, d).sign()
scale = m ** -0.5

def auto(W):
    W = W.detach().requires_grad_()
    loss = ((scale * torch.relu(z @ W.T) @ A - y) ** 2).sum() / (2 * N)
    loss.backward()
    return W.detach() - 0.1 * W.grad

def closed(W):
    with torch.no_grad():
        P = z @ W.T
        R = scale * torch.relu(P) @ A - y
        return W - 0.1 * scale / N * torch.where(P > 0, R @ A.T, 0.0).T @ z

for line in sys.stdin:
    best = float("inf")
    for threads in (1, os.cpu_count()):
        torch.set_num_threads(threads)
        for step in (auto, closed):
            step(W)
            begin, V = time.perf_counter(), W
            for _ in range(steps):
                V = step(V)
            best = min(best, (time.perf_counter() - begin) / steps)
    print(best, flush=True)
"""


def instance(width: int) -> tuple[Weights, Regression]:
    """Standard normal inputs, labels and weights."""
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> Array:
        return jnp.asarray(rng.normal(size=shape), jnp.float32)

    weights = Weights(draw(width, D), jnp.sign(draw(width, OUTPUTS)))
    return weights, Regression(draw(N, D), draw(N, OUTPUTS), draw(1, D))


def fused(weights: Weights, data: Regression) -> Callable[[], Array]:
    """Steps of fineq."""
    by = NetworkTraining(np.float32(ETA), weights.W.shape[0])
    state = by.init(None, data, weights)

    @jax.jit
    def run(by: NetworkTraining, state: Any, problem: Regression) -> Any:
        return lax.fori_loop(0, STEPS, lambda _, s: by.step(None, s, problem)[0], state)

    return lambda: run(by, state, data).W


def differentiated(weights: Weights, data: Regression) -> Callable[[], Array]:
    """The same by `jax.grad` of the loss, compiled."""
    A, scale = weights.A, np.float32(weights.W.shape[0] ** -0.5)

    def loss(W: Array, data: Regression) -> Array:
        f = scale * jax.nn.relu(data.z @ W.T) @ A
        return jnp.sum((f - data.labels) ** 2) / (2 * N)

    @jax.jit
    def run(W: Array, data: Regression) -> Array:
        return lax.fori_loop(
            0, STEPS, lambda _, W: W - np.float32(ETA) * jax.grad(loss)(W, data), W
        )

    return lambda: run(weights.W, data)


def in_numpy(weights: Weights, data: Regression) -> Callable[[], np.ndarray]:
    """The same in NumPy."""
    z, y, A, W0 = map(np.asarray, (data.z, data.labels, weights.A, weights.W))
    scale = np.float32(W0.shape[0] ** -0.5)

    def run() -> np.ndarray:
        W = W0
        for _ in range(STEPS):
            P = z @ W.T
            R = scale * np.maximum(P, 0) @ A - y
            W = W - np.float32(ETA / N) * scale * (np.where(P > 0, R @ A.T, np.float32(0)).T @ z)
        return W

    return run


@contextmanager
def torch_peer(width: int):
    """Seconds per step of PyTorch in its own process, a call each; None without one."""
    python = os.environ.get(PEER)
    if not python:
        yield None
        return
    command = [python, "-c", TORCH, *map(str, (N, D, OUTPUTS, width, STEPS))]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin is not None
    assert child.stdout is not None
    given, answers = child.stdin, child.stdout

    def ask() -> float:
        print("go", file=given, flush=True)
        return float(answers.readline())

    try:
        yield ask
    finally:
        given.close()
        child.wait()


def compare(width: int, repeats: int) -> list[Row]:
    """Milliseconds per step, and the ratio to each alternative."""
    weights, data = instance(width)
    runs = {
        "fineq": fused(weights, data),
        "jax.grad, compiled": differentiated(weights, data),
        "NumPy": in_numpy(weights, data),
    }
    apart = float(np.max(np.abs(_weights(runs["fineq"](), width) - runs["NumPy"]())))
    seconds: dict[str, float] = {}
    with torch_peer(width) as ask:
        for _ in range(repeats):
            found = {k: v / STEPS for k, v in best_times(runs, 1).items()}
            if ask is not None:
                found["PyTorch"] = ask()
            seconds = {k: min(v, seconds.get(k, v)) for k, v in found.items()}
    own, note = seconds.pop("fineq"), f"weights agree to {apart:.0e} after {STEPS} steps"
    return [
        Row(f"m = {width}", 1e3 * own, "ms/step", other / own, name, note)
        for name, other in seconds.items()
    ]


def _weights(W: Array, width: int) -> np.ndarray:
    return np.asarray(W).swapaxes(1, 2).reshape(-1, D)[:width]


def run(quick: bool) -> list[Row]:
    """Widths 2^10 and 2^14; `quick` the larger only, and fewer repeats."""
    widths, repeats = ((2**14,), 3) if quick else ((2**10, 2**14), 9)
    return [row for width in widths for row in compare(width, repeats)]
