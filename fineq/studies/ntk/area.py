"""What the shell needs to know of score learning with wide networks."""

from pathlib import Path

from fineq.studies.area import Area
from fineq.studies.inputs.files import regular_file
from fineq.studies.ntk import STUDIES
from fineq.studies.ntk.config import NtkConfig
from fineq.studies.ntk.effects import EFFECTS


def files(config: NtkConfig) -> dict[str, Path]:
    """Field to the file it names, whose content changes the results."""
    if config.target.name != "points":
        return {}
    return {"target.path": regular_file("target.path", config.target.path)}


def target(config: NtkConfig) -> None:
    """Score learning runs no code of the user's."""
    del config


AREA = Area("ntk", NtkConfig, EFFECTS, STUDIES, files, target)
