"""What the user brings to nearly linear-quadratic control: a plant, initial points, a kernel."""

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fineq.errors import InputError
from fineq.limits import MOST_QUADRATURE
from fineq.studies import inputs
from fineq.studies.nlqr.config import NlqrConfig
from fineq.studies.nlqr.effects import DRAWN

NUM_TRIED = 256  # states at which a kernel is tried before anything runs
POINTS = ("x0", "weights")  # what a plant file may hold of the initial law
MOST_EIGENVALUES = 512  # states up to which the spectral radius of a plant costs no time


def load(config: NlqrConfig) -> inputs.Loaded:
    """Load and check what the configuration names: plant, law and kernel.

    Raises:
        InputError: for a file or function that cannot be loaded, and as the checks of
            `fineq.nlqr.checks`.
    """
    from fineq.studies.nlqr.instances import Given
    from fineq.traced import check_values

    given, read = Given(), {}
    arrays = {} if config.system.source == "random" else _plant(config)
    states = _states(config, arrays)
    if config.kernel.name == "python":
        given = given._replace(function=_kernel(config, states))
    given = given._replace(system=_system(config, given, arrays, states))
    if config.system.source == "file":
        read["system.path"] = _plant_in_words(config, arrays, given.system)
    _check_law(config, max(states))
    if config.law.name == "file":
        law, words = _law(config, arrays, states)
        given, read = given._replace(law=law), read | words
    if given.function is not None:
        for n in states:
            check_values(_kernel_name(config), given.function, _tried(config, given.law, n))
    return inputs.Loaded(given, read)


def _states(config: NlqrConfig, plant: Mapping[str, Any]) -> dict[int, str]:
    """Every number of states that the study meets, and what says so."""
    if plant:
        return {len(plant["A"]): f"system.A has shape {np.shape(plant['A'])}"}
    if config.study == "exact_recovery":
        return {n: f"recovery.sizes holds n = {n}" for n, _ in config.recovery.sizes}
    return {config.system.n: f"system.n={config.system.n}"}


def _system(
    config: NlqrConfig, given: Any, plant: Mapping[str, Any], states: Collection[int]
) -> Any:
    """The plant with its kernel; None where plants are drawn. The kernel is checked either way."""
    from fineq.nlqr.checks import check_features, system_from_arrays
    from fineq.studies.nlqr.instances import make_features

    name = _kernel_name(config) if given.function else f"kernel.name={config.kernel.name}"
    scale = np.asarray(config.system.lipschitz)
    with inputs.named(_plant_name(config)):
        d = _size(plant, "C", 1) if plant else config.kernel.d
        asked = f"system.C has {d} columns" if plant else f"kernel.d={d}"
        for n in states:
            phi = make_features(config, given, n, d if plant else None)
            wanted = phi.num_features(n) if d is None else d
            check_features(phi, scale, n, wanted, name=name, asked=asked)
        if not plant:
            return None
        phi = make_features(config, given, next(iter(states)), d)
        return system_from_arrays(plant, phi=phi, scale=scale, dtype=config.precision)


def _check_law(config: NlqrConfig, n: int) -> None:
    """Refuse a law that n states do not have, and a degree that nothing reads."""
    law = config.law
    if law.name == "quadrature" and n > MOST_QUADRATURE:
        raise InputError(
            f"law=quadrature needs at most {MOST_QUADRATURE} states, got {n}: take law=sphere, "
            "law=gaussian, law=ball or law=file"
        )
    # Where the configuration says n, the table of effects has refused it.
    given = law.degree != type(law)().degree
    if config.system.source == "file" and law.name in DRAWN and n > MOST_QUADRATURE and given:
        raise InputError(
            f"law.degree has no effect when law.name={law.name} and the plant of system.path has "
            f"{n} states: drop it, or take a plant of at most {MOST_QUADRATURE}"
        )


def _kernel_name(config: NlqrConfig) -> str:
    return f"kernel.target={config.kernel.target}"


def _kernel(config: NlqrConfig, states: Iterable[int]) -> Callable[..., Any]:
    """The user's kernel, fit for these numbers of states of the configured precision."""
    import jax

    from fineq.traced import traced

    function = inputs.load_function("kernel.target", str(config.kernel.target))
    for n in states:
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


def _plant_name(config: NlqrConfig) -> str:
    return f"system.path={config.system.path}" if config.system.source == "file" else ""


def _plant(config: NlqrConfig) -> dict[str, Any]:
    """The arrays of the plant, with A, B and C among them as matrices."""
    if config.system.source == "file":
        arrays: dict[str, Any] = {**inputs.load_npz("system.path", config.system.path).arrays}
    else:
        rows = {name: getattr(config.system, name) for name in "ABCQR"}
        arrays = {name: matrix for name, matrix in rows.items() if matrix}
    with inputs.named(_plant_name(config)):
        for name in "ABC":
            _size(arrays, name, 0)
    return arrays


def _plant_in_words(config: NlqrConfig, arrays: Mapping[str, Any], system: Any) -> str:
    """Name, shapes and spectral radius of a plant that has been checked, and what was not read."""
    matrices = {name: np.asarray(getattr(system, name)) for name in "ABCQR"}
    shapes = ", ".join(
        f"{name} the identity"
        if name in "QR" and np.array_equal(matrix, np.eye(len(matrix)))
        else f"{name} {list(matrix.shape)}"
        for name, matrix in matrices.items()
    )
    points = [f"{name} {list(arrays[name].shape)}" for name in POINTS if name in arrays]
    if config.law.name == "file" and not config.law.path:
        shapes, left = ", ".join([shapes, *points]), ""
    else:
        names = ", ".join(name for name in POINTS if name in arrays)
        left = f"; not read: {names} (law=file without law.path takes them)" if names else ""
    A = arrays["A"]
    size = np.abs(np.linalg.eigvals(A)).max() if len(A) <= MOST_EIGENVALUES else np.nan
    radius = f"; spectral radius of A {size:.4g}" if np.isfinite(size) else ""
    return f"{Path(str(config.system.path)).name}: {shapes}{radius}{left}"


def _law(
    config: NlqrConfig, plant: Mapping[str, Any], states: Mapping[int, str]
) -> tuple[Any, dict[str, str]]:
    """The law of the points x0, by their weights where there are some, and what was read."""
    from fineq.nlqr.checks import law_from_arrays

    arrays, read = _points(config, plant)
    with inputs.named(f"law.path={config.law.path}" if config.law.path else _plant_name(config)):
        dimension = np.shape(arrays.get("x0", 0.0))[1:]
        for n, where in states.items():
            if len(dimension) == 1 and dimension != (n,):
                raise InputError(
                    f"the points have dimension {dimension[0]}, but {where}: they must have "
                    f"dimension {n}"
                )
        law = law_from_arrays(arrays, next(iter(states)), dtype=config.precision)
    if law is None:
        raise InputError("law.name=file needs points: an array x0 [S, n] in law.path")
    return law, read


def _points(config: NlqrConfig, plant: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The arrays x0 and, where they are given, weights, and what was read."""
    law = config.law
    if not law.path:
        return {name: plant[name] for name in POINTS if name in plant}, {}
    found = inputs.load_points("law.path", law.path, law.columns, law.header, array="x0")
    arrays = {"x0": found.x} | ({} if found.weights is None else {"weights": found.weights})
    return arrays, {"law.path": found.words}


def _size(arrays: Mapping[str, Any], name: str, axis: int) -> int:
    shape = np.shape(arrays[name]) if name in arrays else ()
    if len(shape) != 2:
        given = f"got shape {shape}" if name in arrays else "it is missing"
        raise InputError(f"system.{name} must be given as a matrix; {given}")
    return shape[axis]
