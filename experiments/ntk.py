"""Score learning with wide networks from the shell: `python -m experiments.ntk --help`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.area import Area
from experiments.execute import Job, Study, execute
from experiments.inputs import load_points
from experiments.shell import main
from fineq.errors import InputError
from fineq.ntk.config import NtkConfig

if TYPE_CHECKING:
    from fineq.ntk.study import Given


def run(config: NtkConfig) -> tuple[int, Path]:
    """Run the configured study; returns the exit code and the run folder."""
    files: dict[str, Path] = {}
    if config.target.name == "points":
        files["target.path"] = Path(str(config.target.path))
    return execute(Job("ntk", config, files, lambda: begin(config)))


def begin(config: NtkConfig) -> tuple[Study, "Given"]:
    """The configured study and what it is given; as `load`."""
    from fineq.ntk.study import STUDIES

    if config.study not in STUDIES:
        raise InputError(f"study must be one of {', '.join(sorted(STUDIES))}, got {config.study}")
    return STUDIES[config.study], load(config)


def load(config: NtkConfig) -> "Given":
    """Load and check what the configuration names.

    Raises:
        InputError: for a file that cannot be loaded, and as `fineq.ntk.named.make_target`.
    """
    from fineq.ntk.study.instances import Given, target_of

    points = None
    if config.target.name == "points":
        points = load_points("target.path", str(config.target.path))
    return Given(target_of(config, points))


AREA = Area("ntk", NtkConfig, run)

if __name__ == "__main__":
    sys.exit(main(AREA))
