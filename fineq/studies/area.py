"""What the shell needs to know of an area before anything is loaded, JAX included."""

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fineq.settings.config import RunConfig
from fineq.settings.effects import Effect

if TYPE_CHECKING:
    from fineq.studies.common import Run
    from fineq.studies.inputs import Loaded

AREAS = ("nlqr", "pift", "ntk")


class Area(NamedTuple):
    """What the shell needs to know of an area.

    Attributes:
        name: as in `experiments.<name>`, `configs/<name>.yaml` and `fineq.studies.<name>`.
        config_type: dataclass of its configuration.
        effects: which fields are read under which choices.
        studies: name of a study to its module in `fineq.studies.<area>`.
        files: from a configuration, field to the file it names, whose content changes the results;
            raises `InputError` for one that is not there.
        target: the `module:function` of the user's that a configuration names; None for none.
    """

    name: str
    config_type: type[RunConfig]
    effects: tuple[Effect, ...]
    studies: Mapping[str, str]
    files: Callable[[Any], dict[str, Path]]
    target: Callable[[Any], str | None]

    def begin(self, config: RunConfig) -> "tuple[Run, Loaded]":
        """The configured study and what it needs, loaded and checked.

        Raises:
            InputError: as `load` in `fineq.studies.<area>.given`.
        """
        room = f"fineq.studies.{self.name}"
        study = importlib.import_module(f"{room}.{self.studies[config.study]}").run
        return study, importlib.import_module(f"{room}.given").load(config)


def area_of(name: str) -> Area:
    """The area of one of the names in `AREAS`."""
    return importlib.import_module(f"fineq.studies.{name}.area").AREA
