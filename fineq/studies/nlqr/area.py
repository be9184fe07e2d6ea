"""What the shell needs to know of nearly linear-quadratic control."""

from pathlib import Path

from fineq.studies.area import Area
from fineq.studies.inputs.files import regular_file
from fineq.studies.nlqr import STUDIES
from fineq.studies.nlqr.config import NlqrConfig
from fineq.studies.nlqr.effects import EFFECTS


def files(config: NlqrConfig) -> dict[str, Path]:
    """Field to the file it names, whose content changes the results."""
    found: dict[str, Path] = {}
    if config.system.source == "file":
        found["system.path"] = regular_file("system.path", config.system.path)
    if config.law.name == "file" and config.law.path:
        found["law.path"] = regular_file("law.path", config.law.path)
    return found


def target(config: NlqrConfig) -> str | None:
    """The user's own kernel, where there is one."""
    return str(config.kernel.target) if config.kernel.name == "python" else None


AREA = Area("nlqr", NlqrConfig, EFFECTS, STUDIES, files, target)
