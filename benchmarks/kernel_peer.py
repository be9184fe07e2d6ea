"""Times neural-tangents' kernel in its own environment: run by its Python, imports nothing of ours.

Reads lines of JSON on standard input. `[D, N, dtype, path]` draws points as the benchmark does,
compiles, and saves the Gram matrix of the first rows to the path; `[]` times one call of it. Each
is answered by one line on standard output: seconds of the call, 0 for the first kind.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

jax.config.update("jax_enable_x64", True)

ROWS = 256


def kernel(D: int) -> Callable[..., Any]:
    """Two layers with standard normal weights: its tangent kernel of the inner layer is κ."""
    stax = importlib.import_module("neural_tangents").stax
    _, _, both = stax.serial(stax.Dense(1, W_std=np.sqrt(D)), stax.Relu())
    return jax.jit(lambda z: both(z, None, "ntk"))


def main() -> None:
    """Answer until the input ends."""
    gram, z = kernel(1), None
    for line in sys.stdin:
        given, seconds = json.loads(line), 0.0
        if given:
            D, N, dtype, path = given
            z = jax.numpy.asarray(np.random.default_rng(0).normal(size=(N, D)).astype(dtype))
            gram = kernel(D)
            jax.block_until_ready(gram(z))
            np.save(path, np.asarray(gram(z[:ROWS])))
        else:
            begin = time.perf_counter()
            jax.block_until_ready(gram(z))
            seconds = time.perf_counter() - begin
        print(json.dumps(seconds), flush=True)


if __name__ == "__main__":
    main()
