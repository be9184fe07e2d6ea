"""What the shell needs to know of fine-tuning as stochastic control."""

from pathlib import Path

from fineq.studies.area import Area
from fineq.studies.inputs.files import regular_file
from fineq.studies.pift import STUDIES
from fineq.studies.pift.config import PiftConfig
from fineq.studies.pift.effects import EFFECTS


def files(config: PiftConfig) -> dict[str, Path]:
    """Field to the file it names, whose content changes the results."""
    if config.data.name != "points":
        return {}
    return {"data.path": regular_file("data.path", config.data.path)}


def target(config: PiftConfig) -> str | None:
    """The user's own reward, where there is one."""
    return str(config.reward.target) if config.reward.name == "python" else None


AREA = Area("pift", PiftConfig, EFFECTS, STUDIES, files, target)
