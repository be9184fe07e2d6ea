"""Times neural-tangents' gradient descent in its own environment: run by its Python.

Imports nothing of ours but the kernel of `kernel_peer.py` beside it. Reads lines of JSON on
standard input. `[PATH]` loads points z, fresh points, labels, times and step size from PATH.npz,
compiles, and saves the predictions to PATH-peer.npz; `[]` times Gram matrix, decomposition and
predictions at all times once more. Each is answered by one line: seconds, 0 for the first kind.
"""

import importlib
import json
import sys
import time
from typing import Any

import jax
import numpy as np
from kernel_peer import kernel

jax.config.update("jax_enable_x64", True)


def whole_path(given: dict[str, Any]) -> Any:
    """Predictions on the points and on fresh points, `[S, N, d]` and `[S, M, d]`."""
    predict = importlib.import_module("neural_tangents").predict
    z, labels = given["z"], given["labels"]
    # Its loss is a mean over outputs too: its training time is d times ours.
    descent = predict.gradient_descent_mse(
        given["gram"](z), labels, learning_rate=float(given["eta"]) * labels.shape[1]
    )
    ahead = given["cross"](given["fresh"], z)
    return jax.block_until_ready(descent(given["times"], 0.0, 0.0, ahead))


def load(path: str) -> dict[str, Any]:
    """The arrays of the file on the device, and a compiled kernel between two sets of points."""
    arrays = {name: jax.numpy.asarray(x) for name, x in np.load(f"{path}.npz").items()}
    stax = importlib.import_module("neural_tangents").stax
    D = arrays["z"].shape[1]
    _, _, both = stax.serial(stax.Dense(1, W_std=np.sqrt(D)), stax.Relu())
    cross = jax.jit(lambda one, two: both(one, two, "ntk"))
    return {**arrays, "gram": kernel(D), "cross": cross}


def main() -> None:
    """Answer until the input ends."""
    arrays: dict[str, Any] = {}
    for line in sys.stdin:
        given, seconds = json.loads(line), 0.0
        if given:
            arrays = load(given[0])
            fitted, ahead = whole_path(arrays)
            np.savez(f"{given[0]}-peer.npz", fitted=fitted, ahead=ahead)
        else:
            begin = time.perf_counter()
            whole_path(arrays)
            seconds = time.perf_counter() - begin
        print(json.dumps(seconds), flush=True)


if __name__ == "__main__":
    main()
