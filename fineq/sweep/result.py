"""What a sweep, and a function evaluated over members, leave."""

from typing import Any, NamedTuple

import jax
import numpy as np

from fineq.sweep.axes import Axis, assemble


class MembersResult(NamedTuple):
    """What `over_members` leaves.

    values: what the function returns, leaves [*axes, ...], in host memory.
    block_size, compile_seconds, run_seconds, peak_bytes: as of a `SweepResult`.
    """

    values: Any
    block_size: int
    compile_seconds: float
    run_seconds: float
    peak_bytes: int


class SweepResult(NamedTuple):
    """Arrays over named axes, all in host memory.

    dims: the names of the axes, in the order given. coords: {name: [len of the axis]}.
    iterations: record points, ints [R].
    metrics: {name: [*axes, R, ...]}; beyond a member's last accepted step a converged member
        repeats its final value and a diverged one has NaN (integers and booleans repeat).
    valid: iterations <= num_steps, bool [*axes, R]: the record belongs to a step that was made.
    converged, diverged: bool [*axes]. num_steps: accepted steps, ints [*axes].
    diverged_at: the iteration whose state was refused, ints [*axes]; 0 where not diverged.
    finals: last accepted states, one pytree of [*traced axes, ...] for each combination of static
        values (last static axis fastest); random keys as their data.
    block_size: members in a block. compile_seconds, run_seconds: wall time of this process.
    peak_bytes: device memory that the largest program needs for one block.
    """

    axes: tuple[Axis, ...]
    dims: tuple[str, ...]
    coords: dict[str, np.ndarray]
    iterations: np.ndarray
    metrics: dict[str, np.ndarray]
    valid: np.ndarray
    converged: np.ndarray
    diverged: np.ndarray
    diverged_at: np.ndarray
    num_steps: np.ndarray
    finals: tuple[Any, ...]
    block_size: int
    compile_seconds: float
    run_seconds: float
    peak_bytes: int

    @property
    def final(self) -> Any:
        """The last accepted states as one pytree of [*axes, ...].

        Raises `ValueError` when their shapes differ between static values: see `finals`.
        """
        shapes = {str(jax.tree.map(np.shape, final)) for final in self.finals}
        if len(shapes) > 1:
            raise ValueError(f"the final states differ in shape between static values: {shapes}")
        num_traced = sum(not axis.static for axis in self.axes)

        def join(*parts: np.ndarray) -> np.ndarray:
            flat = [part.reshape(-1, *part.shape[num_traced:]) for part in parts]
            return assemble(list(self.axes), flat)

        return jax.tree.map(join, *self.finals)
