"""What one step of a method holds at once, foreseen from shapes, and a door for what does not fit.

Activations of all T steps of B paths are what grows: a reverse pass through a simulation keeps them
unless `remat` has them computed again, and one batched evaluation of a network keeps those of at
most `rollout.ROWS` rows.
"""

from dataclasses import replace
from typing import Any

import jax

from fineq.errors import ResourceError
from fineq.finetune.methods.base import AdapterTraining
from fineq.finetune.problem import Tuning
from fineq.sweep.held import held_bytes
from fineq.sweep.memory import device_bytes, gibibytes


def step_bytes(method: AdapterTraining, problem: Tuning) -> int:
    """Bytes that one step of a method holds at its fullest; nothing is compiled or laid out.

    Args:
        method: with its `num_paths`, `rank` and `remat`.
        problem: whose arrays may be shapes.

    Raises:
        InputError: as `method.init`.
    """
    key = jax.eval_shape(lambda: jax.random.key(0))
    state = jax.eval_shape(lambda key: method.init(key, problem, None), key)
    return held_bytes(method.step, key, state, problem)


def check_step(
    method: AdapterTraining, problem: Tuning, fields: str, available: int | None = None
) -> None:
    """Raise `ResourceError` where one step of a method does not fit.

    Args:
        method: see `step_bytes`.
        problem: see `step_bytes`.
        fields: what may be lowered, in words.
        available: bytes there are; None: those of one device.
    """
    available = device_bytes(jax.local_devices()) if available is None else available
    needed = step_bytes(method, problem)
    if needed <= available:
        return
    advice = f"lower {fields}"
    again: Any = method
    if getattr(method, "remat", None) is False:
        again = replace(again, remat=True)
        less = step_bytes(again, problem)
        if less <= available:
            advice += f", or give remat=true, which needs about {gibibytes(less)}"
    raise ResourceError(
        f"a step of {type(method).__name__} on {method.num_paths} paths of {problem.num_steps} "
        f"steps needs about {gibibytes(needed)}, but there are {gibibytes(available)}: {advice}"
    )
