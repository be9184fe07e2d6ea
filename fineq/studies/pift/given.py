"""What the user brings to fine-tuning: points and a reward."""

from fineq.errors import InputError
from fineq.studies import inputs
from fineq.studies.fields import about_fields
from fineq.studies.pift.config import PiftConfig

NUM_TRIED = 256  # states at which a reward is tried before anything runs


def load(config: PiftConfig) -> inputs.Loaded:
    """Load and check what the configuration names: points and reward, and every list in it.

    Raises:
        InputError: for a file or function that cannot be loaded, and as
            `fineq.studies.pift.instances` and `fineq.pift.rewards.check_reward`.
    """
    from fineq.ddpm.laws import points
    from fineq.keys import key_for
    from fineq.pift.rewards import check_reward
    from fineq.studies.pift.instances import Given, make_instance
    from fineq.sweep.memory import check_shapes

    if config.precision == "float32":
        raise InputError(
            "precision=float32: the studies of pift compare with exact solutions, whose tolerances "
            "are those of float64"
        )
    given, read = Given(), {}
    if config.data.name == "points":
        found = inputs.load_points(
            "data.path", config.data.path, config.data.columns, config.data.header
        )
        with about_fields({"locations": "data.path: x", "weights": "data.path: weights"}):
            given = given._replace(points=points(found.x, found.weights))
        read["data.path"] = found.words
    if config.reward.name == "python":
        function = inputs.load_function("reward.target", str(config.reward.target))
        given = given._replace(function=function)
    # A first instance on concrete numbers: every check of laws, schedule and reward speaks here.
    make = make_instance(config, given)
    check_shapes("an instance (data.d, schedule.num_steps)", make, {"seed": config.first_seed})
    instance = make({"seed": config.first_seed})
    key = key_for(config.first_seed, "points to try a reward at")
    tried = instance.law.noised(0.5).sample(key, NUM_TRIED)
    name = f"reward.target={config.reward.target}" if given.function else "reward"
    check_reward(instance.problem.reward, tried, name)
    return inputs.Loaded(given, read)
