"""Studies that compare methods and settings: on equal terms, and what diverges is marked."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.finetune import kl_bound, make_adapters, make_tuning, merge
from fineq.studies.finetune import roster
from fineq.studies.finetune.ablations import widened
from fineq.studies.finetune.config import METHODS, FinetuneConfig
from tests.finetune.common import Bump, model
from tests.studies.finetune.small import run_small


@pytest.mark.parametrize("num_inner", [1, 3])
def test_all_methods_may_evaluate_the_network_equally_often(num_inner):
    config = FinetuneConfig(study="methods")
    config.methods.last, config.tuning.num_inner = 2, num_inner
    problem = make_tuning(model(T=4), Bump(jnp.ones(())), 1.0)
    found = roster.entrants(config, problem)
    assert [entrant.name for entrant in found] == list(METHODS)
    first = found[0]
    assert first.num_steps == config.tuning.num_steps
    budget = first.num_steps * first.method.evaluations(problem)
    for entrant in found:
        each = entrant.method.evaluations(problem)
        assert abs(entrant.num_steps * each - budget) <= each / 2
        assert entrant.method.num_paths == config.tuning.num_paths
        # The learning rate has decayed at the last of all updates.
        updates = entrant.num_steps * getattr(entrant.method, "num_inner", 1)
        assert entrant.method.optimiser.num_steps == updates


def test_wider_adapters_are_the_same_change_of_the_network():
    base = model()
    made = make_adapters(jax.random.key(1), base.variables, 2)
    keys = iter(jax.random.split(jax.random.key(2), len(made)))
    made = {k: {**x, "B": jax.random.normal(next(keys), x["B"].shape)} for k, x in made.items()}
    both = jax.tree.map(lambda x: np.stack([x, x]), made)
    one = jax.tree.map(lambda x: x[1], widened(both, 5))
    assert {x["A"].shape[0] for x in one.values()} == {5}
    for a, b in zip(
        jax.tree.leaves(merge(base.variables, one)),
        jax.tree.leaves(merge(base.variables, made)),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-13)


@pytest.mark.slow
def test_a_method_that_diverges_is_marked_and_the_others_are_not(tmp_path):
    words = ("methods.names=[pathwise]", "tuning.learning_rate=1e30", "methods.best_of=[2]")
    _, result = run_small("methods", tmp_path, *words)
    arrays = {name: array.values for name, array in result.arrays.items()}
    assert arrays["lost"].tolist() == [[True] * 2, [False] * 2, [False] * 2]
    assert result.status == "partly_diverged"
    assert np.all(np.isinf(arrays["gap_high"][0]))
    assert np.all(np.isnan(arrays["reward"][0]))
    np.testing.assert_allclose(arrays["divergence"][2], kl_bound(2), rtol=1e-6)
    assert any("diverged in 2 of 2 seeds" in claim.instance for claim in result.claims)
    assert np.all(np.diff(arrays["most"], axis=-1)[np.isfinite(np.diff(arrays["most"]))] >= 0)


@pytest.mark.slow
def test_a_setting_that_two_factors_share_is_one_run(tmp_path):
    _, result = run_small("ablations", tmp_path)
    arrays = {name: array.values for name, array in result.arrays.items()}
    # The default is the last value of each; damping is varied at the most inner iterations.
    np.testing.assert_array_equal(arrays["gap_rank"][-1], arrays["gap_num_steps"][-1])
    np.testing.assert_array_equal(arrays["gap_num_inner"][-1], arrays["gap_damping"][-1])
    for name in ("rank", "damping"):
        assert not np.array_equal(arrays[f"gap_{name}"][0], arrays[f"gap_{name}"][1])
