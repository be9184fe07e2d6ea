"""Nearly linear-quadratic control from the shell: `python -m experiments.nlqr --help`."""

import sys

from experiments.entry import enter

if __name__ == "__main__":
    sys.exit(enter("nlqr"))

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.area import Area
from experiments.execute import Job, Study, execute
from experiments.inputs import Loaded, load_function, load_npz, load_points, regular_file
from experiments.shell import main
from fineq.errors import InputError
from fineq.nlqr.config import NlqrConfig
from fineq.nlqr.effects import EFFECTS

NUM_TRIED = 256  # states at which a kernel is tried before anything runs
MOST_EIGENVALUES = 512  # states up to which the spectral radius of a plant costs no time


def run(config: NlqrConfig) -> tuple[int, Path]:
    """Run the configured study; returns the exit code and the run folder."""
    own = config.kernel.name == "python"
    return execute(
        Job(
            "nlqr",
            config,
            files_of(config),
            lambda: begin(config),
            str(config.kernel.target) if own else None,
            lambda given: given.function,
        )
    )


def begin(config: NlqrConfig) -> tuple[Study, Loaded]:
    """The configured study and what it needs; as `load`."""
    from fineq.nlqr.study import STUDIES

    return STUDIES[config.study], load(config)


def files_of(config: NlqrConfig) -> dict[str, Path]:
    """The files whose content changes the results.

    Raises:
        InputError: for one that is not there, or cannot be read to an end.
    """
    files: dict[str, Path] = {}
    if config.system.source == "file":
        files["system.path"] = regular_file("system.path", config.system.path)
    if config.law.name == "file" and config.law.path:
        files["law.path"] = regular_file("law.path", config.law.path)
    return files


def load(config: NlqrConfig) -> Loaded:
    """Load and check what the configuration names: plant, law and kernel.

    Raises:
        InputError: for a file or function that cannot be loaded, and as the checks of
            `fineq.nlqr.checks`.
    """
    from fineq.nlqr.checks import check_features, law_from_arrays, system_from_arrays
    from fineq.nlqr.study import Given, make_features
    from fineq.traced import check_values

    given, read = Given(), {}
    arrays = {} if config.system.source == "random" else _plant(config)
    n = _size(arrays, "A", 0) if arrays else config.system.n
    if config.kernel.name == "python":
        given = given._replace(function=_kernel(config, n))
    if not arrays:
        phi = make_features(config, given)
        d = config.kernel.d or phi.num_features(n)
        check_features(phi, np.asarray(config.system.lipschitz), n, d)
    else:
        phi = make_features(config, given, n, _size(arrays, "C", 1))
        system = system_from_arrays(
            arrays, phi=phi, scale=config.system.lipschitz, dtype=config.precision
        )
        given = given._replace(system=system)
        if config.system.source == "file":
            read["system.path"] = _plant_in_words(config.system.path, arrays)
    if config.law.name == "quadrature" and n > 3:
        raise InputError(
            f"law=quadrature needs at most 3 states, got {n}: take law=sphere, law=gaussian, "
            "law=ball or law=file"
        )
    if config.law.name == "file":
        points, words = _law(config, arrays)
        read |= words
        given = given._replace(law=law_from_arrays(points, n, dtype=config.precision))
        if given.law is None:
            raise InputError("law.name=file needs points: an array x0 [S, n] in law.path")
    if given.function is not None:
        check_values(_kernel_name(config), given.function, _tried(config, given.law, n))
    return Loaded(given, read)


def _kernel_name(config: NlqrConfig) -> str:
    return f"kernel.target={config.kernel.target}"


def _kernel(config: NlqrConfig, n: int) -> Callable[..., Any]:
    """The user's kernel, fit for n states of the configured precision."""
    import jax

    from fineq.traced import traced

    function = load_function("kernel.target", str(config.kernel.target))
    state = jax.ShapeDtypeStruct((n,), np.dtype(config.precision))
    traced(_kernel_name(config), function, state, "state", order=2)
    return function


def _tried(config: NlqrConfig, law: Any, n: int) -> Any:
    """States `[S, n]` at which a kernel is tried: the origin, and those of the initial law."""
    import jax.numpy as jnp

    if law is not None:
        drawn = np.asarray(law.points)[:NUM_TRIED]
    else:
        drawn = np.random.default_rng(0).normal(size=(NUM_TRIED, n))
        drawn *= config.law.radius / np.linalg.norm(drawn, axis=1, keepdims=True)
    return jnp.asarray(np.concatenate([np.zeros((1, n)), drawn]), config.precision)


def _plant(config: NlqrConfig) -> dict[str, Any]:
    """The arrays A, B, C, Q, R; identities where Q or R are not given."""
    if config.system.source == "file":
        arrays: dict[str, Any] = {**load_npz("system.path", config.system.path).arrays}
    else:
        rows = {name: getattr(config.system, name) for name in "ABCQR"}
        arrays = {name: matrix for name, matrix in rows.items() if matrix}
    for weight, of, axis in (("Q", "A", 0), ("R", "B", 1)):
        if weight not in arrays and of in arrays:
            arrays[weight] = np.eye(_size(arrays, of, axis))
    for name in "ABC":
        _size(arrays, name, 0)
    return arrays


def _plant_in_words(path: str | None, arrays: Mapping[str, Any]) -> str:
    """Name, shapes and spectral radius of a plant whose arrays have been checked."""
    A = arrays["A"]
    shapes = ", ".join(
        f"{name} the identity"
        if name in "QR" and np.array_equal(array, np.eye(len(array)))
        else f"{name} {list(array.shape)}"
        for name, array in arrays.items()
    )
    size = np.abs(np.linalg.eigvals(A)).max() if len(A) <= MOST_EIGENVALUES else np.nan
    radius = f"; spectral radius of A {size:.4g}" if np.isfinite(size) else ""
    return f"{Path(str(path)).name}: {shapes}{radius}"


def _law(config: NlqrConfig, plant: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The arrays x0 and, where they are given, weights, and what was read."""
    law = config.law
    if not law.path:
        return {name: plant[name] for name in ("x0", "weights") if name in plant}, {}
    found = load_points("law.path", law.path, law.columns, law.header, array="x0")
    arrays = {"x0": found.x} | ({} if found.weights is None else {"weights": found.weights})
    return arrays, {"law.path": found.words}


def _size(arrays: dict[str, Any], name: str, axis: int) -> int:
    shape = np.shape(arrays[name]) if name in arrays else ()
    if len(shape) != 2:
        given = f"got shape {shape}" if name in arrays else "it is missing"
        raise InputError(f"system.{name} must be given as a matrix; {given}")
    return shape[axis]


AREA = Area("nlqr", NlqrConfig, run, EFFECTS)


def command() -> int:
    """Run the command line and return the exit code."""
    return main(AREA)
