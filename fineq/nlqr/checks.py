"""Checks of a control problem when it is built, on the host: each failure is one `InputError`.

The checks read concrete numbers, so they run once per object and never inside a compiled program.
Random systems need none of them but stabilisability, which is seen in the status of the Riccati
solve; what a user hands over needs them all.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from fineq.arrays import finite_array
from fineq.errors import InputError
from fineq.nlqr.features import Custom, Sine
from fineq.nlqr.laws import Ball, Gaussian, Points, Sphere
from fineq.nlqr.modes import fixed_modes, name_mode, unit_diagonal
from fineq.nlqr.problem import Features, InitialLaw, System
from fineq.traced import traced

SYSTEM_KEYS = ("A", "B", "C", "Q", "R")
REQUIRED_KEYS = ("A", "B", "C")
LAW_KEYS = ("x0", "weights")


def _check_shapes(matrices: Mapping[str, np.ndarray]) -> None:
    shape = {name: matrix.shape for name, matrix in matrices.items()}
    n, p = shape["A"][0], shape["B"][1]
    if shape["A"] != (n, n) or n == 0:
        raise InputError(f"system.A must be a square matrix, got shape {shape['A']}")
    if p == 0:
        raise InputError(f"system.B must have at least one column, got shape {shape['B']}")
    for name in ("B", "C"):
        if shape[name][0] != n:
            raise InputError(
                f"system.{name} has shape {shape[name]}, but system.A has shape {shape['A']}: "
                f"system.{name} must have {n} rows"
            )
    for name, other, size in (("Q", "A", n), ("R", "B", p)):
        if shape[name] != (size, size):
            raise InputError(
                f"system.{name} has shape {shape[name]}, but system.{other} has shape "
                f"{shape[other]}: system.{name} must have shape {(size, size)}"
            )


def check_symmetric(name: str, matrix: np.ndarray, *, definite: bool) -> None:
    """Raise unless `matrix` is symmetric and positive (semi)definite, up to rounding.

    Entries are judged beside the diagonal entries of their row and column, definiteness at a
    diagonal of ones: neither depends on the units of the coordinates.
    """
    matrix = np.asarray(matrix)
    # The entry [i, j] of a product M'M is rounded by a few units of the columns' lengths.
    slack = 10 * len(matrix) * np.finfo(matrix.dtype).eps
    scaled = unit_diagonal(matrix.astype(float))[0]
    gap = np.abs(scaled - scaled.T) - slack * np.maximum(1.0, np.abs(scaled))
    if gap.max(initial=0.0) > 0:
        i, j = (int(k) for k in np.unravel_index(gap.argmax(), gap.shape))
        raise InputError(
            f"{name} must be symmetric, but its entries [{i}, {j}] and [{j}, {i}] are "
            f"{matrix[i, j]:g} and {matrix[j, i]:g}, which differ by "
            f"{abs(matrix[i, j] - matrix[j, i]):.2g}"
        )
    least = np.linalg.eigvalsh((scaled + scaled.T) / 2)[0]
    # A coordinate without a cost of its own may not be coupled to others, by however little.
    coupled = np.flatnonzero((np.diagonal(scaled) <= 0) & np.any(scaled, axis=1))
    if not len(coupled) and (least > slack or (least >= -slack and not definite)):
        return
    kind = "definite" if definite else "semidefinite"
    plain = np.linalg.eigvalsh((matrix + matrix.T) / 2)[0]
    if abs(plain) > slack * np.abs(matrix).max() or (definite and not len(coupled)):
        reason = f"its least eigenvalue is {plain:g}"
    elif len(coupled):
        i = int(coupled[0])
        j = int(np.abs(matrix[i]).argmax())
        reason = f"its entry [{i}, {i}] is {matrix[i, i]:g} beside {matrix[i, j]:g} at [{i}, {j}]"
    else:
        reason = f"with its diagonal scaled to about one its least eigenvalue is {least:g}"
    raise InputError(f"{name} must be positive {kind}, but {reason}")


def check_features(
    phi: Features, scale: np.ndarray, n: int, d: int, *, name: str = "system.phi", asked: str = ""
) -> None:
    """Raise `InputError` unless φ is fit for JAX, takes n states to d features, vanishes at 0.

    The sentence calls φ by `name`, and says by `asked` what wants d features; default: system.C.
    """
    x = jnp.zeros(n, jax.dtypes.canonicalize_dtype(scale.dtype))

    def function(x: jax.Array) -> jax.Array:
        phi.num_features(n)
        return phi.function(x) if isinstance(phi, Custom) else phi(x, jnp.asarray(scale))

    got = traced(name, function, jax.ShapeDtypeStruct(x.shape, x.dtype), "state", 2).shape
    if got != (d,):
        raise InputError(
            f"{name} returns shape {got} for a state of shape {(n,)}, but "
            f"{asked or f'system.C has {d} columns'}: it must return shape {(d,)}"
        )
    at_zero = np.asarray(phi(x, jnp.asarray(scale)))
    if not np.all(at_zero == 0):
        raise InputError(f"{name} must vanish at 0, but phi(0) = {at_zero.tolist()}")


def _check_modes(A: np.ndarray, B: np.ndarray, Q: np.ndarray, R: np.ndarray) -> None:
    stuck = fixed_modes(A, B / unit_diagonal(R)[1])
    if len(stuck):
        raise InputError(
            f"(A, B) is not stabilisable: no control moves the mode of A with eigenvalue "
            f"{name_mode(stuck[0])}; every mode with |eigenvalue| >= 1 must be controllable"
        )
    scaled, units = unit_diagonal(Q)
    unseen = fixed_modes(A.T, units[:, None] * scaled)
    if len(unseen):
        raise InputError(
            f"(A, Q) is not detectable: the cost x'Qx does not see the mode of A with eigenvalue "
            f"{name_mode(unseen[0])}; every mode with |eigenvalue| >= 1 must show in Q"
        )


def build_system(
    A: ArrayLike,
    B: ArrayLike,
    C: ArrayLike,
    Q: ArrayLike | None = None,
    R: ArrayLike | None = None,
    *,
    phi: Features,
    scale: ArrayLike = 1.0,
    dtype: Any = None,
) -> System:
    """Build one checked `System` from host arrays A `[n,n]`, B `[n,p]`, C `[n,d]`, Q, R.

    Q and R are identities where they are not given. Raises `InputError` unless the shapes agree,
    all entries are finite, Q is symmetric positive semidefinite and R positive definite,
    `scale >= 0`, φ takes n states to d features with φ(0) = 0, (A, B) is stabilisable and (A, Q)
    detectable; modes within 1e-8 of the unit circle count as on it. `dtype` is that of the result,
    by default JAX's default float.
    """
    Q = np.eye(finite_array("system.A", A, 2).shape[0]) if Q is None else Q
    R = np.eye(finite_array("system.B", B, 2).shape[1]) if R is None else R
    given = dict(zip(SYSTEM_KEYS, (A, B, C, Q, R), strict=True))
    matrices = {name: finite_array(f"system.{name}", M, 2) for name, M in given.items()}
    _check_shapes(matrices)
    check_symmetric("system.Q", matrices["Q"], definite=False)
    check_symmetric("system.R", matrices["R"], definite=True)
    factor = finite_array("system.scale", scale, 0)
    if factor < 0:
        raise InputError(f"system.scale must be at least 0, got {factor:g}")
    n, d = matrices["C"].shape
    check_features(phi, factor, n, d)
    _check_modes(*(matrices[name] for name in ("A", "B", "Q", "R")))
    dtype = jnp.result_type(float) if dtype is None else dtype
    arrays = {name: jnp.asarray(M, dtype) for name, M in matrices.items()}
    return System(**arrays, scale=jnp.asarray(factor, dtype), phi=phi)


def check_system(system: System) -> System:
    """Return the same `system` after the checks of `build_system`; raises `InputError`.

    For one system: take a member out of a batch first.
    """
    matrices = [getattr(system, name) for name in SYSTEM_KEYS]
    build_system(*matrices, phi=system.phi, scale=system.scale)
    return system


def check_law(law: InitialLaw, n: int) -> InitialLaw:
    """Return the same `law` if it is a law on R^n; raises `InputError`.

    Radii must be positive and finite, a covariance symmetric positive semidefinite, weights
    nonnegative with sum 1 (up to 1e-6), everything finite and of dimension n.
    """
    match law:
        case Sphere() | Ball():
            radius = finite_array("law.radius", law.radius, 0)
            if radius <= 0:
                raise InputError(f"law.radius must be positive, got {radius:g}")
        case Gaussian():
            covariance = finite_array("law.covariance", law.covariance, 2)
            if covariance.shape[0] != covariance.shape[1]:
                raise InputError(f"law.covariance must be square, got shape {covariance.shape}")
            check_symmetric("law.covariance", covariance, definite=False)
            if not np.any(covariance):
                raise InputError("law.covariance is 0: every state stays at rest")
        case Points():
            _check_points(law, "law.")
    _check_dimension(law, n)
    return law


def _check_dimension(law: InitialLaw, n: int) -> None:
    if law.n != n:
        raise InputError(
            f"the initial law has dimension {law.n}, but system.A has shape {(n, n)}: the law must "
            f"have dimension {n}"
        )


def _check_points(law: Points, owner: str = "") -> None:
    points = finite_array(f"{owner}points", law.points, 2)
    weights = finite_array(f"{owner}weights", law.weights, 1)
    if len(points) != len(weights) or len(points) == 0:
        raise InputError(
            f"{owner}points has shape {points.shape}, but {owner}weights has shape "
            f"{weights.shape}: there must be one weight for each of at least one point"
        )
    if weights.min() < 0:
        raise InputError(f"{owner}weights must be at least 0, got {weights.min():g}")
    if abs(weights.sum() - 1) > 1e-6:
        raise InputError(f"{owner}weights must sum to 1, got {weights.sum():g}")
    if not np.any(weights[:, None] * points):
        raise InputError(
            f"{owner}points are all 0: a state at rest stays there whatever the policy"
        )


def _check_keys(arrays: Mapping[str, Any]) -> None:
    missing = [key for key in REQUIRED_KEYS if key not in arrays]
    optional = [key for key in (*SYSTEM_KEYS, *LAW_KEYS) if key not in REQUIRED_KEYS]
    allowed = f"required are {', '.join(REQUIRED_KEYS)}, optional {', '.join(optional)}"
    if missing:
        raise InputError(f"the arrays of a system lack {', '.join(missing)}; {allowed}")
    unknown = sorted(set(arrays) - {*SYSTEM_KEYS, *LAW_KEYS})
    if unknown:
        raise InputError(f"the arrays of a system hold unknown {', '.join(unknown)}; {allowed}")


def system_from_arrays(
    arrays: Mapping[str, ArrayLike],
    *,
    phi: Features | None = None,
    scale: ArrayLike = 1.0,
    dtype: Any = None,
) -> System:
    """Build a checked `System` from named arrays A, B, C, Q, R, such as those of an npz file.

    Q and R are identities where they are not given. `x0` and `weights` may be there too (see
    `law_from_arrays`); other names are refused. `phi` is `Sine()` by default. Raises `InputError`
    as `build_system` and for missing or unknown names.
    """
    _check_keys(arrays)
    matrices: Any = {key: arrays.get(key) for key in SYSTEM_KEYS}
    return build_system(**matrices, phi=Sine() if phi is None else phi, scale=scale, dtype=dtype)


def law_from_arrays(arrays: Mapping[str, ArrayLike], n: int, *, dtype: Any = None) -> Points | None:
    """Build the law on R^n of the weighted points `x0 [S, n]`, or None where there is no `x0`.

    `weights [S]` are equal where absent; other names may be there, those of a system for example.
    Raises `InputError` as `check_law`, and for weights without points.
    """
    if "x0" not in arrays:
        if "weights" in arrays:
            raise InputError("the arrays of a system hold weights but no x0 to weigh")
        return None
    x0 = finite_array("x0", arrays["x0"], 2)
    count = max(len(x0), 1)
    weights = finite_array("weights", arrays.get("weights", np.full(count, 1 / count)), 1)
    law = Points(jnp.asarray(x0), jnp.asarray(weights))
    _check_points(law)
    _check_dimension(law, n)
    dtype = jnp.result_type(float) if dtype is None else dtype
    return Points(jnp.asarray(x0, dtype), jnp.asarray(weights / weights.sum(), dtype))
