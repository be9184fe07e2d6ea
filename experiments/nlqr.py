"""Nearly linear-quadratic control from the shell: `python -m experiments.nlqr --help`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.area import Area
from experiments.execute import Job, Study, execute
from experiments.inputs import load_function, load_npz
from experiments.shell import main
from fineq.errors import InputError
from fineq.nlqr.config import NlqrConfig

if TYPE_CHECKING:
    from fineq.nlqr.study import Given


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


def begin(config: NlqrConfig) -> tuple[Study, "Given"]:
    """The configured study and what it is given; as `load`."""
    from fineq.nlqr.study import STUDIES

    if config.study not in STUDIES:
        raise InputError(f"study must be one of {', '.join(sorted(STUDIES))}, got {config.study}")
    return STUDIES[config.study], load(config)


def files_of(config: NlqrConfig) -> dict[str, Path]:
    """The files whose content changes the results."""
    files: dict[str, Path] = {}
    if config.system.source == "file":
        files["system.path"] = Path(str(config.system.path))
    if config.law.name == "file" and config.law.path:
        files["law.path"] = Path(config.law.path)
    return files


def load(config: NlqrConfig) -> "Given":
    """Load and check what the configuration names: plant, law and kernel.

    Raises:
        InputError: for a file or function that cannot be loaded, and as the checks of
            `fineq.nlqr.checks`.
    """
    from fineq.nlqr.checks import check_features, law_from_arrays, system_from_arrays
    from fineq.nlqr.study import Given, make_features

    given = Given()
    if config.kernel.name == "python":
        given = given._replace(function=load_function("kernel.target", str(config.kernel.target)))
    arrays = _plant(config)
    if arrays is None:
        n = config.system.n
        phi = make_features(config, given)
        d = config.kernel.d or phi.num_features(n)
        check_features(phi, np.asarray(config.system.lipschitz), n, d)
    else:
        for name in "ABC":
            _size(arrays, name, 0)
        shapes = {"n": _size(arrays, "A", 0), "d": _size(arrays, "C", 1)}
        phi = make_features(config, given, **shapes)
        system = system_from_arrays(arrays, phi=phi, scale=config.system.lipschitz)
        given = given._replace(system=system)
        n = system.n
    if config.law.name == "quadrature" and n > 3:
        raise InputError(
            f"law=quadrature needs at most 3 states, got {n}: take law=sphere, law=gaussian, "
            "law=ball or law=file"
        )
    if config.law.name == "file":
        law = load_npz("law.path", config.law.path) if config.law.path else arrays or {}
        given = given._replace(law=law_from_arrays(law, n))
        if given.law is None:
            raise InputError("law.name=file needs points: an array x0 [S, n] in law.path")
    return given


def _plant(config: NlqrConfig) -> dict[str, Any] | None:
    """The arrays A, B, C, Q, R; identities where Q or R are not given."""
    if config.system.source == "random":
        return None
    if config.system.source == "file":
        arrays = load_npz("system.path", str(config.system.path))
    else:
        rows = {name: getattr(config.system, name) for name in "ABCQR"}
        arrays = {name: matrix for name, matrix in rows.items() if matrix}
    for weight, of, axis in (("Q", "A", 0), ("R", "B", 1)):
        if weight not in arrays and of in arrays:
            arrays[weight] = np.eye(_size(arrays, of, axis))
    return arrays


def _size(arrays: dict[str, Any], name: str, axis: int) -> int:
    shape = np.shape(arrays[name]) if name in arrays else ()
    if len(shape) != 2:
        given = f"got shape {shape}" if name in arrays else "it is missing"
        raise InputError(f"system.{name} must be given as a matrix; {given}")
    return shape[axis]


AREA = Area("nlqr", NlqrConfig, run)

if __name__ == "__main__":
    sys.exit(main(AREA))
