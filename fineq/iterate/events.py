"""How a run speaks with the world outside: what it reports, and where it keeps its work.

Nothing here reads, writes or prints. Whoever starts a run passes objects that do.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np


class Event(NamedTuple):
    """What a progress display needs, sent when compiling begins, after each chunk and at the end.

    stage: the name of the run or sweep.
    phase: what it is doing.
    members_done, members: how many members have finished all their steps (1 for a single run).
    iteration, num_steps: how far the members now running are, and their budget.
    iterations: recorded iterations so far, ints [k].
    metrics: {name: [k, ...]} for one member, {name: [members of this block, k, ...]} in a sweep;
        views of the run's own arrays, to be read at once and not kept.
    elapsed: seconds since the stage began, compilation included.
    swept: values of the axes for the members of this block that count, {axis: [members]}.
    """

    stage: str
    phase: Literal["compiling", "running", "finished"]
    members_done: int
    members: int
    iteration: int
    num_steps: int
    iterations: np.ndarray
    metrics: dict[str, np.ndarray]
    elapsed: float
    swept: Mapping[str, np.ndarray] = MappingProxyType({})


class Progress(Protocol):
    """Receives events; must return quickly, for the run waits."""

    def __call__(self, event: Event, /) -> None:
        """Show the event."""
        ...


class Store(Protocol):
    """Keeps named pytrees of arrays across processes."""

    def load(self, name: str, like: Any) -> Any | None:
        """What was last saved under the name, in the structure of `like`, or None.

        Leaves may be host arrays. A damaged, partial or foreign entry (other structure, shapes or
        dtypes than `like`) is discarded and None returned: it is never an error and never used.
        """
        ...

    def save(self, name: str, tree: Any) -> None:
        """Replace what is kept under the name: either wholly or, when killed, not at all."""
        ...
