"""What the shell needs to know of an area before anything is loaded, JAX included."""

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fineq.settings.config import RunConfig
from fineq.settings.effects import Effect, settle
from fineq.settings.fields import replace_at

if TYPE_CHECKING:
    from fineq.studies.common import Run
    from fineq.studies.inputs import Loaded

AREAS = ("nlqr", "pift", "ntk", "finetune")


class Needed(NamedTuple):
    """Another run of the same area that a run goes on from.

    Attributes:
        config: of that run.
        field: of the run that needs it, which names its folder.
    """

    config: Any
    field: str


def _nothing(config: Any) -> None:
    del config


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
        needs: the run that a configuration goes on from where it names none; it is made first.
    """

    name: str
    config_type: type[RunConfig]
    effects: tuple[Effect, ...]
    studies: Mapping[str, str]
    files: Callable[[Any], dict[str, Path]]
    target: Callable[[Any], str | None]
    needs: Callable[[Any], Needed | None] = _nothing

    def supplied(self, config: Any, folder: Path) -> Any:
        """A configuration that needs another run, with that run's folder."""
        needed = self.needs(config)
        assert needed is not None
        return settle(replace_at(config, {needed.field: str(folder)}), self.effects, {})

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
