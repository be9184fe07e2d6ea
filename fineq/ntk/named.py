"""Targets of score regression by name: laws of X_0 in the cube [-1, 1]^d with exact f*."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from fineq.ddpm.laws import points
from fineq.errors import InputError
from fineq.ntk.data import Scaling, check_cube, digits, merge, to_cube
from fineq.ntk.targets import Target
from fineq.ntk.truncated import box_mixture, truncated_mixture

NAMES = ("three_points", "five_points", "mixture", "boxes", "digits", "points")


class Made(NamedTuple):
    """A target and what was done to get it.

    Attributes:
        law: of X_0, in the cube.
        num_merged: duplicates that became weights.
        scaling: from the data given to those used; None where none was applied.
    """

    law: Target
    num_merged: int
    scaling: Scaling | None


def point_target(
    x: ArrayLike, weights: ArrayLike | None = None, *, scale: bool = False, field: str = ""
) -> Made:
    """The law on the rows of `x [S, d]`, duplicates merged.

    Args:
        x: points, in the cube unless `scale`.
        weights: `[S]`; None: equal.
        scale: bring the points to the cube first (`to_cube`).
        field: under which a configuration has path, weights and scale, for messages.

    Raises:
        InputError: as `check_cube` and `merge`.
    """
    name, advice = "points", "scale=True scales them"
    if field:
        name, advice = f"{field}.path", f"{field}.scale=true scales them"
    rows, scaling = to_cube(x, name) if scale else (check_cube(name, x, advice), None)
    merged = merge(rows, weights, f"{field}.weights".removeprefix("."))
    return Made(points(merged.locations, merged.weights), merged.num_merged, scaling)


def make_target(
    name: str,
    d: int | None = None,
    *,
    num_components: int = 3,
    size: float = 0.1,
    seed: int = 0,
    given: tuple[ArrayLike, ArrayLike | None] | None = None,
    scale: bool = False,
    field: str = "",
) -> Made:
    """A target by name.

    Args:
        name: `three_points` (d = 1), `five_points` (d = 2), `mixture` (narrow Gaussians truncated
            to the cube) and `boxes` (flat on small cubes), both with equal weights and centers
            drawn once, `digits` (d = 2..16), or `points` that are given.
        d: dimension of mixture and boxes (default 2) and of digits (default 8).
        num_components: of mixture and boxes.
        size: standard deviation of a Gaussian, half the side of a box; below 1.
        seed: of the drawn centers.
        given: points `[S, d]` and weights `[S]` or None, for `points`.
        scale: bring given points to the cube.
        field: under which a configuration has these, for messages.

    Raises:
        InputError: for an unknown name, and as the builders of the targets.
    """
    if name == "three_points":
        return point_target(np.array([[-0.8], [0.1], [0.7]]))
    if name == "five_points":
        cross = [[-0.8, -0.6], [0.7, -0.8], [0.1, 0.0], [-0.5, 0.8], [0.8, 0.5]]
        return point_target(np.array(cross))
    if name == "digits":
        found = digits(8 if d is None else d, f"{field}.d".removeprefix("."))
        return Made(points(found.locations, found.weights), found.num_merged, found.scaling)
    if name == "points":
        if given is None:
            raise InputError("points must be given where the name is points")
        return point_target(*given, scale=scale, field=field)
    if name not in NAMES:
        raise InputError(f"name must be one of {', '.join(NAMES)}, got {name}")
    return Made(_drawn(name, 2 if d is None else d, num_components, size, seed), 0, None)


def _drawn(name: str, d: int, num_components: int, size: float, seed: int) -> Target:
    if d < 1 or num_components < 1 or not 0 < size < 1:
        raise InputError(
            "d and num_components must be at least 1 and size in (0, 1), got "
            f"{d}, {num_components} and {size:g}"
        )
    reach = 1 - size
    centers = np.random.default_rng(seed).uniform(-reach, reach, (num_components, d))
    weights = np.full(num_components, 1 / num_components)
    if name == "mixture":
        return truncated_mixture(weights, centers, jnp.full(num_components, size))
    return box_mixture(weights, centers - size, centers + size)
