"""Sweeps of methods: every member ends where its closed form, and `solve`, say."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chex import assert_trees_all_close

from fineq.finetune import PolicyIteration, make_tuning
from fineq.iterate import Method, method, solve
from fineq.keys import key_for
from fineq.sweep import Axis, Task, solving, sweep
from fineq.sweep.program import keys, shapes_of
from tests.finetune.common import Bump, model


@method
class Noisy(Method):
    """x <- (1 - η h) x + scale · noise, η a leaf."""

    step_size: Any
    scale: Any = 0.0
    tolerance: Any = 0.0
    limit: Any = jnp.inf
    draws = True

    def init(self, key, problem, start):
        return jax.random.normal(key, problem.shape) if start is None else start

    def step(self, key, state, problem):
        noise = self.scale * jax.random.normal(key, state.shape)
        return state - self.step_size * problem * state + noise, jnp.sum(state)

    def measure(self, state, info, problem, reference):
        return {"apart": jnp.linalg.norm(state - reference), "before": info}

    def done(self, state, info, problem, reference):
        return jnp.linalg.norm(state - reference) <= self.tolerance

    def diverged(self, state, info, problem):
        return ~(jnp.linalg.norm(state) <= self.limit)


@method
class Endless(Method):
    """Halves its state, and never ends."""

    def init(self, key, problem, start):
        return problem

    def step(self, key, state, problem):
        return state / 2, None


H = jnp.array([1.0, 0.5])
SIZES = Axis("size", [0.5, 0.9, 5.0])
SEEDS = Axis("seed", range(3))


def task(key, member):
    start = jax.random.uniform(key, (2,)) + 1
    by = Noisy(member["size"], scale=0.0, tolerance=0.3, limit=50.0)
    return Task(H, by, start, jnp.zeros(2))


def task_key(seed):
    return key_for(keys({"seed": seed})[0], "a task")


def step_key(seed):
    return keys({"seed": seed})[1]


def starts():
    return np.array([jax.random.uniform(task_key(seed), (2,)) + 1 for seed in range(3)])


def test_every_member_follows_its_closed_form_until_its_limit():
    found = sweep(lambda _: solving(task, num_steps=6, record=range(7)), [SIZES, SEEDS])
    factors = 1 - np.array(SIZES.values)[:, None] * np.asarray(H)
    powers = factors[:, None, None] ** np.arange(7)[:, None] * starts()[None, :, None]
    np.testing.assert_allclose(
        found.metrics["apart"][:2], np.linalg.norm(powers, axis=-1)[:2], rtol=1e-12
    )
    # Growth by 4 a step: the first state beyond 50 comes after all that are within.
    within = np.linalg.norm(powers[2], axis=-1) <= 50
    np.testing.assert_array_equal(found.diverged_at[2], np.sum(within, axis=-1))
    assert np.all(found.diverged == [[False], [False], [True]])


def test_members_stop_when_their_method_is_done_and_only_if_asked():
    found = sweep(lambda _: solving(task, num_steps=40, stops=True), [SIZES, SEEDS])
    alone = [
        [solve(*task(task_key(seed), {"size": size})[:2], start=start, reference=jnp.zeros(2),
               key=step_key(seed), num_steps=40).stats for seed, start in enumerate(starts())]
        for size in SIZES.values
    ]  # fmt: skip
    assert found.num_steps.tolist() == [[one.num_steps for one in row] for row in alone]
    assert np.all(found.converged == [[True], [True], [False]])
    whole = sweep(lambda _: solving(task, num_steps=40), [SIZES, SEEDS])
    assert np.all(whole.num_steps[:2] == 40)
    with pytest.raises(ValueError, match="Endless never says that it is done"):
        sweep(lambda _: solving(lambda *_: Task(H, Endless()), num_steps=2, stops=True), [SEEDS])


def test_the_start_and_every_step_draw_what_the_seed_says():
    def noisy(key, member):
        return H, Noisy(0.0, scale=1.0), None, jnp.zeros(2)

    found = sweep(lambda _: solving(noisy, num_steps=5, record=range(6)), [SEEDS])
    key = step_key(1)
    steps = [jax.random.normal(jax.random.fold_in(key, t), (2,)) for t in range(5)]
    moved = found.final[1] - np.sum(steps, axis=0)
    np.testing.assert_allclose(np.linalg.norm(moved), found.metrics["apart"][1, 0], rtol=1e-12)
    firsts = found.metrics["apart"][:, 0]
    assert len(set(firsts.tolist())) == 3


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(lambda make: make, id="plain", marks=pytest.mark.slow),
        pytest.param(jax.jit, id="jitted"),
    ],
)
def test_a_base_model_that_all_members_share_is_held_once(wrap):
    base = model()

    @wrap
    def prices(seed):
        return base, 1.0 + jnp.asarray(seed, jnp.float64)

    by = PolicyIteration(num_paths=4, rank=3)

    def make(key, member):
        held, price = prices(member["seed"])
        return Task(make_tuning(held, Bump(jnp.ones(())), price), by)

    def program(_):
        return solving(make, num_steps=2)

    one = {"seed": jnp.int32(0)}
    shapes = shapes_of(program({}), one)
    kinds = shapes.problem._replace(problem=shapes.problem.problem._replace(beta=None))
    # β alone differs; neither it nor the state of the optimiser holds the network's own weights.
    assert jax.tree.structure(kinds).num_leaves == shapes.mapped.count(None)
    assert shapes.mapped.count(0) == 1
    held = {leaf.shape for leaf in jax.tree.leaves(shapes.carry)}
    assert not held & {leaf.shape for leaf in jax.tree.leaves(base.variables) if leaf.ndim > 1}
    together = sweep(program, [SEEDS])
    alone = sweep(program, [SEEDS], block_size=1)
    # Sums of products in another order: rounding, and Adam's quotients of small gradients.
    assert_trees_all_close(together.final, alone.final, rtol=1e-6, atol=1e-9)
