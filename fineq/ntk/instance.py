"""What one member learns and is tested on: points of the forward process with both kinds of labels.

The noisy label of (t, X_t) is X_0, the clean one f*(t, X_t) = E[X_0 | X_t] (arXiv 2401.15604).
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from fineq.ntk import targets
from fineq.ntk.forward import Process, Times, inputs, triples, uniform, weight
from fineq.ntk.targets import Target


class Labelled(NamedTuple):
    """Points and their labels.

    Attributes:
        t: times `[N]`.
        x: states X_t `[N, d]`.
        z: regression inputs `[N, D]`.
        noisy: labels X_0, `[N, d]`.
        clean: f*(t, x), `[N, d]`.
        weight: factor of the squared error in reports, `[N]`.
    """

    t: Array
    x: Array
    z: Array
    noisy: Array
    clean: Array
    weight: Array


class Instance(NamedTuple):
    """One member: what it learns, and from what.

    What else is drawn names its purpose, from the `key` of the member's seed.
    """

    process: Process
    law: Target
    train: Labelled
    test: Labelled
    key: Array


def draw_labelled(
    process: Process,
    law: Target,
    key: Array,
    num: int,
    *,
    times: Times = uniform,
    weights: str = "regression",
    constant: bool = True,
) -> Labelled:
    """`num` independent points with both kinds of labels.

    Args:
        process: the forward process.
        law: of X_0.
        key: of the draws.
        num: N.
        times: law of t.
        weights: name of the weight of errors (`fineq.ntk.forward.weight`).
        constant: whether inputs have their constant coordinate.

    Raises:
        InputError: for an unknown weight.
    """
    found = triples(process, law, key, num, times)
    z = inputs(process, found.t, found.x, constant)
    clean = targets.denoise(process, law, found.t, found.x)
    return Labelled(found.t, found.x, z, found.x0, clean, weight(process, found.t, weights))


def weighted_error(data: Labelled, apart: Array) -> Array:
    """√(E w |apart|²) over points, for differences `[..., M, d]`: `[...]`."""
    return jnp.sqrt(jnp.sum(apart**2, axis=-1) @ data.weight / data.weight.shape[0])


def score_error(process: Process, data: Labelled, apart: Array) -> Array:
    """√(E (a/h)² |apart|²), the error of the score, for differences `[..., M, d]`: `[...]`."""
    return weighted_error(data._replace(weight=weight(process, data.t, "score")), apart)
