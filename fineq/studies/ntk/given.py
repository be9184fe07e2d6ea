"""What the user brings to score learning: points."""

from fineq.studies.inputs import Loaded, load_points
from fineq.studies.ntk.config import NtkConfig


def load(config: NtkConfig) -> Loaded:
    """Load and check what the configuration names.

    Raises:
        InputError: for a file that cannot be loaded, and as `fineq.ntk.named.make_target`.
    """
    from fineq.studies.ntk.instances import Given, target_of

    if config.target.name != "points":
        return Loaded(Given(target_of(config, None)))
    t = config.target
    found = load_points("target.path", t.path, t.columns, t.header)
    return Loaded(Given(target_of(config, (found.x, found.weights))), {"target.path": found.words})
