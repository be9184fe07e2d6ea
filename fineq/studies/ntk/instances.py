"""From a configuration to what a member of a sweep learns from: process, target, data."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq.keys import key_for
from fineq.ntk import forward
from fineq.ntk.instance import Instance, Labelled, draw_labelled
from fineq.ntk.named import Made, make_target
from fineq.ntk.targets import Target
from fineq.settings.fields import replace_at
from fineq.studies.ntk.config import NtkConfig
from fineq.sweep.stages import Member

OWN = ("seed", "width")  # axes that are no fields


class Given(NamedTuple):
    """What the user brought, or a name stands for.

    Attributes:
        target: the law of X_0, and what was done to get it.
    """

    target: Made


def target_of(config: NtkConfig, points: tuple[np.ndarray, np.ndarray | None] | None) -> Made:
    """The configured law of X_0, from `points` and weights where it is read from a file.

    Raises:
        InputError: as `fineq.ntk.named.make_target`.
    """
    t = config.target
    return make_target(
        *(t.name, t.d),
        num_components=t.num_components,
        size=t.size,
        seed=t.draw,
        given=points,
        scale=t.scale,
        field="target",
    )


def process_of(config: NtkConfig) -> forward.Process:
    """The configured forward process, in the configured precision."""
    p = config.process
    made = forward.make_process(p.g, p.last, T0=p.T0, T=p.T)
    return jax.tree.map(lambda x: x.astype(config.precision), made)


def data_of(
    config: NtkConfig, process: forward.Process, law: Target, key: Array, num: int
) -> Labelled:
    """`num` independent points with noisy and clean labels."""
    c = config.data
    return draw_labelled(
        *(process, law, key, num),
        times=forward.TIMES[c.times],
        weights=c.weight,
        constant=c.constant,
    )


def configured(config: NtkConfig, member: Member) -> NtkConfig:
    """The configuration with a member's values in place of its fields."""
    return replace_at(config, {k: v for k, v in member.items() if k not in OWN})


def make_instance(config: NtkConfig, given: Given) -> Callable[[Member], Instance]:
    """A pure function from a member (`{"seed": ..., "process.T0": ...}`) to its instance.

    A member's values take the place of fields; `OWN` names axes that are no fields.
    """
    law = jax.tree.map(
        lambda x: (
            jnp.asarray(x, config.precision)
            if jnp.issubdtype(jnp.asarray(x).dtype, jnp.floating)
            else x
        ),
        given.target.law,
    )

    def instance(member: Member) -> Instance:
        at = configured(config, member)
        process = process_of(at)
        seed = jax.random.key(member["seed"])
        train = data_of(at, process, law, key_for(seed, "points to learn"), at.data.num)
        test = data_of(at, process, law, key_for(seed, "points to test on"), at.data.num_test)
        return Instance(process, law, train, test, seed)

    return instance
