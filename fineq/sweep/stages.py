"""A study runs as named stages, with one store, one progress display, one block size."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fineq.iterate import Progress, Store
from fineq.sweep.axes import Axis, Table
from fineq.sweep.members import over_members
from fineq.sweep.program import Program
from fineq.sweep.result import MembersResult, SweepResult
from fineq.sweep.run import sweep

Member = Mapping[str, Any]


@dataclass
class Stages:
    """How the stages of one study are carried out, and what they cost so far.

    Attributes:
        store: keeps finished blocks and states for resuming; None keeps nothing.
        progress: receives events; None for silence.
        block_size: members at once; None computes it.
        save_seconds: time between checkpoints.
        costs: what each finished stage cost, by name.
        tables: inputs of every stage.
    """

    store: Store | None = None
    progress: Progress | None = None
    block_size: int | None = None
    save_seconds: float = 30.0
    costs: dict[str, "Cost"] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)

    def holding(self, name: str, axes: Sequence[Axis], values: Any) -> "Stages":
        """The same stages, each member of which holds its entry of a table under a name.

        Args:
            name: among the inputs of every stage.
            axes: those that lead the table, which every stage has; perhaps with fewer values.
            values: leaves `[*axes, ...]`.
        """
        return dataclasses.replace(self, tables={**self.tables, name: Table(list(axes), values)})

    def sweep(
        self,
        name: str,
        make_program: Callable[[dict[str, Any]], Program],
        axes: Sequence[Axis],
        *,
        inputs: Mapping[str, Any] | None = None,
        block_size: int | None = None,
    ) -> SweepResult:
        """Run one stage; see `fineq.sweep.sweep`.

        Args:
            name: of the stage.
            make_program: from the static values to the program.
            axes: as for `sweep`.
            inputs: as for `sweep`.
            block_size: most members at once, where fewer than the study's own.

        Raises:
            ValueError: for a repeated name.
        """
        self._check_new(name)
        result = sweep(
            make_program,
            axes,
            inputs={**self.tables, **(inputs or {})},
            block_size=min(filter(None, (self.block_size, block_size)), default=None),
            store=self.store,
            progress=self.progress,
            name=name,
            save_seconds=self.save_seconds,
        )
        self._account(name, result)
        return result

    def measure(
        self,
        name: str,
        function: Callable[[Member], Any],
        axes: Sequence[Axis],
        inputs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Evaluate a pure function of a member over all members; see `fineq.sweep.over_members`.

        Returns:
            The pytree that `function` returns, each leaf `[*axes, ...]`, on the host.

        Raises:
            ValueError: for a repeated name.
        """
        self._check_new(name)
        result = over_members(
            function,
            axes,
            inputs={**self.tables, **(inputs or {})},
            block_size=self.block_size,
            store=self.store,
            progress=self.progress,
            name=name,
            save_seconds=self.save_seconds,
        )
        self._account(name, result)
        return result.values

    def _check_new(self, name: str) -> None:
        if name in self.costs:
            raise ValueError(f"two stages are called {name!r}")

    def _account(self, name: str, result: SweepResult | MembersResult) -> None:
        self.costs[name] = Cost(
            result.compile_seconds, result.run_seconds, result.peak_bytes, result.block_size
        )

    @property
    def timing(self) -> dict[str, float]:
        """Seconds spent compiling and running, over all stages."""
        costs = self.costs.values()
        return {
            "compile": sum(cost.compile_seconds for cost in costs),
            "run": sum(cost.run_seconds for cost in costs),
        }

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds that each stage took, in order, compiling among them."""
        return {n: cost.compile_seconds + cost.run_seconds for n, cost in self.costs.items()}

    @property
    def blocks(self) -> dict[str, int]:
        """Members at once, by stage."""
        return {name: cost.block_size for name, cost in self.costs.items()}


@dataclass(frozen=True)
class Cost:
    """Seconds and bytes of one stage, and how many members it computed at once."""

    compile_seconds: float
    run_seconds: float
    peak_bytes: int
    block_size: int


def seeds_kept(axes: Sequence[Axis], keep: np.ndarray) -> list[Axis]:
    """The axes with only those seeds that `keep [*axes]` holds for at every other value."""
    names = [axis.name for axis in axes]
    position = names.index("seed")
    others = tuple(i for i in range(len(axes)) if i != position)
    mask = np.all(keep, axis=others)
    seeds = [value for value, kept in zip(axes[position].values, mask, strict=True) if kept]
    return [dataclasses.replace(a, values=seeds) if a.name == "seed" else a for a in axes]
