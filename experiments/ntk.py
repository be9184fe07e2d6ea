"""Score learning with wide networks from the shell: `python -m experiments.ntk --help`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.area import Area
from experiments.backend import prepare_jax
from experiments.compose import settings
from experiments.inputs import load_points
from experiments.shell import main
from fineq.errors import InputError
from fineq.ntk.config import NtkConfig

if TYPE_CHECKING:
    from fineq.ntk.study import Given


def run(config: NtkConfig) -> tuple[int, Path]:
    """Run the configured study; returns the exit code and the run folder."""
    prepare_jax()
    from experiments.execute import execute
    from fineq.ntk.study import STUDIES

    if config.study not in STUDIES:
        raise InputError(f"study must be one of {', '.join(sorted(STUDIES))}, got {config.study}")
    files: dict[str, Path] = {}
    if config.target.name == "points":
        files["target.path"] = Path(str(config.target.path))
    return execute("ntk", config, settings(config), STUDIES[config.study], load(config), files)


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
