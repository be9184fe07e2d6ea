"""The door of fine-tuning, and the same problem of one point."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.errors import InputError
from fineq.finetune import exact_problem, make_tuning, rewards
from tests.finetune.common import Bump, model, tuning


class Named(NamedTuple):
    """A reward with a text among its arrays."""

    name: str
    height: jax.Array

    def __call__(self, y, label):
        return self.height * y[:, 0]


@dataclass
class Unhashed:
    """A reward that equals others like it, and has no hash."""

    def __call__(self, y, label):
        return y[:, 0]


BUMP = Bump(jnp.asarray(1.0))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"beta": 0.0}, "beta must be above 0, got 0"),
        ({"beta": [1.0, 2.0]}, "beta must have 0 axes"),
        ({"base": "model"}, "base must be a Denoiser, got a str"),
        ({"reward": 3}, "reward must be a function"),
        ({"reward": lambda y, label: y}, r"one number per point, shape \(2,\), got \(2, 2\)"),
        (
            {"reward": lambda y: y[:, 0]},
            r"failed on points of shape \(2, 2\) \(TypeError: .*: rewards.per_point makes one of a",
        ),
        ({"reward": Named("a", jnp.ones(()))}, "reward holds a str, which is no array"),
        ({"reward": Unhashed()}, "reward is a Unhashed, which cannot be hashed"),
        ({"labels": [0]}, "need a model with classes"),
        ({"base": model(num_classes=3), "labels": [0, 3]}, r"must lie in \[0, 3\), got 3"),
        ({"base": model(num_classes=3), "labels": [0.5]}, "labels must be a list of whole numbers"),
        ({"base": model(num_classes=3), "labels": []}, "labels must be a list of whole numbers"),
    ],
)
def test_the_door(changes, said):
    given = {"base": model(), "reward": BUMP, "beta": 1.0, **changes}
    with pytest.raises(InputError, match=said):
        make_tuning(**given)


def test_a_reward_without_numbers_is_one():
    assert make_tuning(model(), rewards.Ink(), 1.0).reward == rewards.Ink()


def test_a_plain_function_is_a_reward_that_programs_take():
    made = make_tuning(model(), lambda y, label: jnp.sum(y, axis=-1), 1.0)
    y = jnp.arange(6.0).reshape(3, 2)
    found = jax.jit(lambda problem, y: problem.reward(y, None))(made, y)
    np.testing.assert_array_equal(found, [1.0, 5.0, 9.0])


def test_numbers_of_a_problem_may_be_traced():
    base = model()
    betas = jnp.array([0.5, 2.0])
    made = jax.vmap(lambda beta: make_tuning(base, BUMP, beta).beta)(betas)
    np.testing.assert_array_equal(made, betas)


def test_the_problem_of_one_point_has_the_same_mean_and_reward():
    problem = tuning()
    exact = exact_problem(problem)
    y = jax.random.normal(jax.random.key(1), (4, 2))
    means = jax.vmap(lambda x: exact.chain.mean(2, x))(y)
    # The same arithmetic, row by row.
    np.testing.assert_allclose(means, problem.base.mean(2, y), rtol=0, atol=1e-13)
    np.testing.assert_allclose(jax.vmap(exact.reward)(y), problem.reward(y, None), atol=1e-13)
    np.testing.assert_array_equal(exact.betas, np.full(4, 0.7))
    with pytest.raises(InputError, match="give no labels"):
        exact_problem(tuning(num_classes=2))
