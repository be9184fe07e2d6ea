"""Studies of random instances have enough seeds for a verdict at every profile."""

import pytest
import yaml

from fineq.confidence import LEVEL
from fineq.rates import values_for
from fineq.shell.places import CONFIGS

FILES = sorted((CONFIGS / "experiment").glob("*/*.yaml"))
# Laws and rewards are given: there is one instance, and nothing to draw; or nothing is judged.
GIVEN = {
    "finetune/pretrain",
    "pift/linear_convergence_mixture",
    "pift/regularity",
    "pift/terminal_law_mixture",
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_verdict_has_the_seeds_that_95_percent_need(path):
    config = yaml.safe_load(path.read_text())
    name = f"{path.parent.name}/{path.stem}"
    assert (name in GIVEN) == (config.get("seeds") == 1)
    if name in GIVEN:
        assert all("seeds" not in profile for profile in config["profiles"].values())
        return
    given = [profile["seeds"] for profile in config.get("profiles", {}).values()]
    assert len(given or [config["seeds"]]) in (1, 3)
    assert min(given or [config["seeds"]]) >= values_for(LEVEL)
