"""What the shell needs of an area."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from fineq.config import RunConfig
from fineq.effects import Effect


class Area(NamedTuple):
    """What the shell needs of an area.

    Attributes:
        name: as in `experiments.<name>` and `configs/<name>.yaml`.
        config_type: dataclass of its configuration.
        run: runs one configuration; returns its exit code and the run folder.
        effects: which fields are read under which choices.
    """

    name: str
    config_type: type[RunConfig]
    run: Callable[[Any], tuple[int, Path]]
    effects: tuple[Effect, ...]
