"""Kernel gradient descent of one member, as it is configured."""

from typing import cast

from jax import Array

from fineq.ntk import paths, rules
from fineq.ntk.instance import Instance
from fineq.ntk.memory import Storage
from fineq.ntk.step_size import step_or_default
from fineq.studies.ntk.config import NtkConfig


def step_of(config: NtkConfig, z: Array) -> Array:
    """The configured step size, or 1/E κ(z, z)."""
    return step_or_default(config.descent.step, z)


def kernel_paths(
    config: NtkConfig, instance: Instance, times: Array, eta: Array | None = None
) -> paths.Paths:
    """Descend on both kinds of labels; `times` `[S]` are numbers of steps of size `eta`."""
    eta = step_of(config, instance.train.z) if eta is None else eta
    descent = config.descent
    if descent.method == "spectral":
        return paths.kernel_paths(instance, times, eta)
    storage = cast(Storage, descent.method)
    return paths.kernel_paths(instance, times, eta, storage, descent.num_products)


def stop_by_rules(config: NtkConfig, instance: Instance, times: Array) -> rules.Rules:
    """Stop at one of `times` `[S]` by every rule."""
    # The step size of all points, also where some are held out: its times mean the same.
    eta = step_of(config, instance.train.z)
    whole = config.descent.method == "spectral"

    def descend(part: Instance) -> paths.Paths:
        return kernel_paths(config, part, times, eta)

    return rules.every_rule(instance, times, descend, config.stopping.holdout, whole)
