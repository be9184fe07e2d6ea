"""Memory of a step: foreseen against what XLA allots, and the door."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq import finetune
from fineq.ddpm import make_denoiser, make_schedule, schedules
from fineq.ddpm.networks import MLP
from fineq.errors import ResourceError
from fineq.finetune import DDPO, AdjointMatching, DRaFT, Pathwise, PolicyIteration, Reinforce
from fineq.finetune.memory import check_step, step_bytes
from fineq.sweep.memory import gibibytes

WIDTH = 24
KEY = jax.random.key(0)
METHODS = {
    "policy iteration": PolicyIteration,
    "adjoint matching": AdjointMatching,
    "pathwise": Pathwise,
    "draft": DRaFT,
    "ddpo": DDPO,
    "reinforce": Reinforce,
}


@cache
def problem(num_steps):
    schedule = make_schedule(schedules.linear_rate(num_steps))
    module = MLP(WIDTH, 2, dtype=jnp.float32)
    base = make_denoiser(jax.random.key(0), module, schedule, 16, dtype=jnp.float32)
    return finetune.make_tuning(base, finetune.rewards.Ink(), 1.0)


def allotted(method, tuning):
    """What XLA gives a step: arguments, results, and all between."""
    state = jax.eval_shape(lambda key: method.init(key, tuning, None), KEY)
    stats = jax.jit(method.step).lower(KEY, state, tuning).compile().memory_analysis()
    kinds = ("argument", "output", "temp")
    return sum(getattr(stats, f"{kind}_size_in_bytes") for kind in kinds)


@pytest.mark.parametrize(
    ("name", "remat"),
    [
        ("policy iteration", False),
        ("pathwise", True),
        *(pytest.param(name, False, marks=pytest.mark.slow) for name in METHODS if name[0] != "p"),
    ],
)
def test_what_a_step_holds_is_what_is_allotted(name, remat):
    """A quarter apart at most: fusion is the compiler's business, and so is what lies in gaps."""
    method = METHODS[name](num_paths=16, rank=2, **({"remat": True} if remat else {}))
    tuning = problem(24)
    assert 0.8 < step_bytes(method, tuning) / allotted(method, tuning) < 1.25


def test_activations_of_all_steps_are_kept_or_those_of_one():
    kept, again = (
        [step_bytes(Pathwise(16, 2, remat=remat), problem(T)) for T in (24, 48)]
        for remat in (False, True)
    )
    # Of each path each of two layers keeps what it reads, and the slope of what it is made of.
    assert np.ptp(kept) - np.ptp(again) >= 24 * 16 * 2 * 2 * WIDTH * 4


def test_the_door_names_what_would_do():
    tuning, method = problem(24), Pathwise(16, 2)
    needed, less = (step_bytes(m, tuning) for m in (method, replace(method, remat=True)))
    with pytest.raises(ResourceError) as caught:
        check_step(method, tuning, "num_paths", available=needed - 1)
    said = "a step of Pathwise on 16 paths of 24 steps needs about {}, but there are {}: lower "
    said += "num_paths, or give remat=true, which needs about {}"
    assert str(caught.value) == said.format(*map(gibibytes, (needed, needed - 1, less)))
    with pytest.raises(ResourceError, match=r": lower num_paths$"):
        check_step(DDPO(16, 2), tuning, "num_paths", available=1)
