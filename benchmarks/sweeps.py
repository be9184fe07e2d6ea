"""A sweep of 6 values of ℓ by 64 seeds, as one program, against the best batch size."""

from typing import Any

import jax

from benchmarks.timing import Row
from fineq.nlqr.gradients import OnePoint
from fineq.nlqr.policy_gradient import PolicyGradient
from fineq.studies.nlqr.config import NlqrConfig
from fineq.studies.nlqr.instances import Given, make_instance, make_plant
from fineq.sweep import Axis, SweepResult, Task, solving, sweep

TITLE = "Sweeps: zeroth-order descent, n = p = d = 3, J = 300, T = 10, float64"
SIZES = (16, 64, 128, 384)
REPEATS = 2


def run(quick: bool) -> list[Row]:
    """Time per member of the default block size over that of the best."""
    steps = 20 if quick else 100
    chosen = _sweep(None, steps)
    # They take turns, and the least of each counts: other work on the machine can only add.
    rounds = [{size: _sweep(size, steps).run_seconds for size in SIZES} for _ in range(REPEATS)]
    times = {size: min(times[size] for times in rounds) for size in SIZES}
    own = min([chosen.run_seconds, *(_sweep(None, steps).run_seconds for _ in range(REPEATS - 1))])
    best = min(times, key=lambda size: times[size])
    members = 6 * 64
    return [
        Row(
            f"6 values of ℓ x 64 seeds, {steps} steps, default block",
            1e3 * own / members,
            "ms a member",
            own / times[best],
            f"best block size ({best})",
            f"block of {chosen.block_size}, one compilation of {chosen.compile_seconds:.1f} s",
        )
    ]


def _sweep(block_size: int | None, steps: int) -> SweepResult:
    config = NlqrConfig()
    config.law.name, config.law.radius = "sphere", 1.0
    config.system.normalisation = "own"
    instance = make_instance(config, Given(), make_plant(config, Given()))
    by = PolicyGradient(1e-4, OnePoint(300, 10), radius=0.6, limit=1e9)

    def make(key: jax.Array, member: dict[str, Any]) -> Task:
        at = instance(member)
        return Task(at.at_horizon(10), by, at.K_lin)

    # Nothing is recorded but first and last: the cost of measuring is no part of this.
    program = solving(make, num_steps=steps, record=[0, steps])
    axes = [Axis("system.lipschitz", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), Axis("seed", range(64))]
    return sweep(lambda static: program, axes, block_size=block_size)
