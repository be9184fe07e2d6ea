"""Score learning with wide networks from the shell: `python -m experiments.ntk --help`."""

import sys

from experiments.entry import enter

if __name__ == "__main__":
    sys.exit(enter("ntk"))

from pathlib import Path

from experiments.area import Area
from experiments.execute import Job, Study, execute
from experiments.inputs import Loaded, load_points, regular_file
from experiments.shell import main
from fineq.ntk.config import NtkConfig
from fineq.ntk.effects import EFFECTS


def run(config: NtkConfig) -> tuple[int, Path]:
    """Run the configured study; returns the exit code and the run folder."""
    files: dict[str, Path] = {}
    if config.target.name == "points":
        files["target.path"] = regular_file("target.path", config.target.path)
    return execute(Job("ntk", config, files, lambda: begin(config)))


def begin(config: NtkConfig) -> tuple[Study, Loaded]:
    """The configured study and what it needs; as `load`."""
    from fineq.ntk.study import STUDIES

    return STUDIES[config.study], load(config)


def load(config: NtkConfig) -> Loaded:
    """Load and check what the configuration names.

    Raises:
        InputError: for a file that cannot be loaded, and as `fineq.ntk.named.make_target`.
    """
    from fineq.ntk.study.instances import Given, target_of

    if config.target.name != "points":
        return Loaded(Given(target_of(config, None)))
    t = config.target
    found = load_points("target.path", t.path, t.columns, t.header)
    return Loaded(Given(target_of(config, (found.x, found.weights))), {"target.path": found.words})


AREA = Area("ntk", NtkConfig, run, EFFECTS)


def command() -> int:
    """Run the command line and return the exit code."""
    return main(AREA)
