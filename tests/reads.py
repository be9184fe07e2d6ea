"""Which fields a study reads, found by tracing it: nothing is compiled and little is computed."""

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any

import jax
import numpy as np

from fineq.iterate.record import record_points
from fineq.settings.config import RunConfig
from fineq.settings.effects import unread
from fineq.settings.fields import flatten, leaves
from fineq.studies.area import Area
from fineq.studies.ntk.effects import UNTRAINED
from fineq.sweep import Axis, Program, SweepResult
from fineq.sweep.axes import parts_of
from fineq.sweep.blocks import example_of
from fineq.sweep.program import shapes_of
from fineq.sweep.stages import Stages

# Where every field is read, for its help, to check it or to copy it.
EVERYWHERE = ("dataclasses.py", "fields.py", "config.py", "effects.py", "reads.py", "compose.py")


# Read where a study is set up, before it runs; `covariances` stand beside `means`.
BEFORE = {
    "base",
    "data.holdout",
    "system.source",
    "target.name",
    "target.d",
    "data.covariances",
    "setting",
}
BEFORE |= {field.name for field in dataclasses.fields(RunConfig)}
# Of kernel_limit it only says which widths are allowed.
BEFORE |= {"network.start", *(f"system.{name}" for name in "ABCQR")}
# Read, and then replaced by an axis of the study, or not used by the method that was chosen.
HARMLESS = {
    "descent.start": {"initialisation", "global", "landscape", "sample_complexity"},
    "descent.start_radius": {"robustness", "lipschitz_sweep", "linear_convergence"},
    "estimator.radius": {"robustness", "linear_convergence", "initialisation"},
    "floors.num_rollouts": {"linear_convergence"},
    "floors.radii": {"linear_convergence"},
    "system.n": {"exact_recovery"},
    "system.p": {"exact_recovery"},
    "data.constant": {"inputs"},
    "data.num": {"inputs", "generalisation", "assumptions"},
    **{key: {"mixture"} for key in ("data.d", "data.spread", "data.size")},
    "data.name": {"beta", "mixture", "image", "prompts", "methods", "ablations"},
    "data.path": {"pretrain"},
    "data.num_test": {*UNTRAINED},
    "data.weight": {*UNTRAINED},
    "descent.step": {*UNTRAINED, "assumptions"},
    "beta": {"threshold"},
    "reward.curvature": {"threshold"},
    "schedule.num_steps": {"terminal_law", "continuous_limit"},
    "schedule.variance": {"terminal_law", "continuous_limit"},
    "parametric.batches": {"parametric"},
}


class Traced(Stages):
    """Stages that trace one member and fill arrays of the right shapes."""

    def sweep(
        self,
        name: str,
        make_program: Callable[[dict[str, Any]], Program],
        axes: Sequence[Axis],
        *,
        inputs: Mapping[str, Any] | None = None,
        block_size: int | None = None,
    ) -> SweepResult:
        """As that of `Stages`, of made-up numbers."""
        sizes = tuple(len(axis) for axis in axes)
        inner = tuple(len(axis) for axis in axes if not axis.static)
        finals, metrics, iterations = [], {}, np.zeros(1, int)
        for static, members in parts_of(list(axes), {**self.tables, **(inputs or {})}):
            program, member = make_program(static), example_of(members)
            shapes = shapes_of(program, member)
            found = program.metrics and jax.eval_shape(
                program.metrics, shapes.carry.state, shapes.carry.info, shapes.problem
            )
            iterations = record_points(
                program.num_steps, [0] if program.record is None else program.record
            )
            metrics = {
                k: _made((*sizes, len(iterations), *x.shape), x.dtype, len(sizes))
                for k, x in (found or {}).items()
            }
            state = shapes.carry.state
            finals.append(jax.tree.map(lambda x: _made((*inner, *x.shape), x.dtype), state))
        done = np.full(sizes, iterations[-1])
        return SweepResult(
            tuple(axes),
            tuple(axis.name for axis in axes),
            {axis.name: np.asarray(axis.values) for axis in axes},
            iterations,
            metrics,
            np.ones((*sizes, len(iterations)), bool),
            np.ones(sizes, bool),
            np.zeros(sizes, bool),
            np.zeros(sizes, int),
            done,
            tuple(finals),
            *(1, 0.0, 0.0, 0),
        )

    def measure(
        self,
        name: str,
        function: Callable[[Mapping[str, Any]], Any],
        axes: Sequence[Axis],
        inputs: Mapping[str, Any] | None = None,
    ) -> Any:
        """As that of `Stages`, of made-up numbers."""
        sizes = tuple(len(axis) for axis in axes)
        shapes = [
            jax.eval_shape(lambda member, static=static: function({**member, **static}), example)
            for static, members in parts_of(list(axes), {**self.tables, **(inputs or {})})
            for example in [example_of(members)]
        ]
        return jax.tree.map(lambda x: _made((*sizes, *x.shape), x.dtype), shapes[-1])


def _made(shape: tuple[int, ...], dtype: Any, falling: int = -1) -> np.ndarray:
    """Ones that fall along the axis of records and rise elsewhere, a little."""
    if jax.numpy.issubdtype(dtype, jax.dtypes.prng_key):
        shape, dtype = (*shape, 2), np.uint32
    if not jax.numpy.issubdtype(dtype, np.floating):
        return np.ones(shape, dtype)
    values = 1 + 0.01 * np.sin(np.arange(int(np.prod(shape)))).reshape(shape)
    if 0 <= falling < len(shape):
        steps = np.arange(shape[falling]).reshape(-1, *[1] * (len(shape) - falling - 1))
        values = values * 0.9**steps
    return values.astype(dtype)


@contextmanager
def recorded(config: Any) -> Iterator[set[str]]:
    """The dotted paths that are read of a configuration and of its copies."""
    found: set[str] = set()
    blocks = {type(config): ""}
    blocks |= {
        type(getattr(config, f.name)): f"{f.name}."
        for f in fields(config)
        if is_dataclass(getattr(config, f.name))
    }

    def watch(kind: type, prefix: str) -> Callable[[Any, str], Any]:
        names = {f.name for f in fields(kind)}

        def read(self: Any, name: str) -> Any:
            if name in names:
                here = inspect.currentframe()
                caller = here and here.f_back
                if caller and not caller.f_code.co_filename.endswith(EVERYWHERE):
                    found.add(prefix + name)
            return object.__getattribute__(self, name)

        return read

    try:
        for kind, prefix in blocks.items():
            kind.__getattribute__ = watch(kind, prefix)  # type: ignore[method-assign]
        yield found
    finally:
        for kind in blocks:
            del kind.__getattribute__


def assert_reads(area: Area, config: Any, read: set[str]) -> None:
    """Both ways: what the table calls read is read, and what it calls unread is not."""
    values = {leaf.path: leaf.value for leaf in leaves(config)}
    known = values | {f"sweep.{path}": axis for path, axis in flatten(config.sweep).items()}
    idle = {path for path in values if unread(path, area.effects, known) is not None}
    missed = values.keys() - idle - read - BEFORE
    assert missed == set(), f"{config.study} does not read {sorted(missed)}"
    needless = {path for path in idle & read if config.study not in HARMLESS.get(path, ())}
    assert needless == set(), f"{config.study} reads {sorted(needless)}, which have no effect on it"
