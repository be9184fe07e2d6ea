"""Copies of what is trained, kept at the records of its training: methods that measure them."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax import Array

from fineq.ddpm.training import DenoiserTraining
from fineq.finetune import PolicyIteration
from fineq.iterate import method
from fineq.sweep import SweepResult


@method
class KeptVariables(DenoiserTraining):
    """Pre-training whose records hold the averaged variables."""

    def measure(self, state: Any, info: Any, problem: Any, reference: Any) -> dict[str, Array]:
        """The variables."""
        del info, problem, reference
        return leaves_of(state.average)


@method
class KeptAdapters(PolicyIteration):
    """PI-FT whose records hold the adapters."""

    def measure(self, state: Any, info: Any, problem: Any, reference: Any) -> dict[str, Array]:
        """The adapters."""
        del info, problem, reference
        return leaves_of(state.average)


def leaves_of(variables: Any) -> dict[str, Array]:
    """A tree of arrays as what a method measures: `copies` makes trees of the records again."""
    return {f"leaf {i}": leaf for i, leaf in enumerate(jax.tree.leaves(variables))}


def copies(trained: SweepResult, steps: Sequence[int]) -> Any:
    """Averaged variables at records, whose method measured `leaves_of` them: `[step, *axes, ...]`.

    Args:
        trained: with final states that have the same average.
        steps: records that are kept.
    """
    wanted, axis = np.isin(trained.iterations, steps), len(trained.axes)
    tree = jax.tree.structure(trained.final.average)
    leaves = (trained.metrics[f"leaf {i}"] for i in range(tree.num_leaves))
    kept = [np.moveaxis(np.compress(wanted, x, axis), axis, 0) for x in leaves]
    return jax.tree.unflatten(tree, kept)
