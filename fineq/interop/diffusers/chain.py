"""What scheduler_config.json says of the chain: its noise levels, and those of fewer steps of it.

The chain of T steps visits T of the steps that the network was trained on, spaced as the file says;
α of a step is the quotient of ᾱ at its two ends. Means are not clipped to the range of images,
which a scheduler may do: clipped ones are no means of a Gaussian step. The last step adds the noise
of the one before it (`fineq.ddpm.schedules`), where samplers of diffusers add none.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from fineq.ddpm import Prediction, Schedule, make_schedule, schedules
from fineq.ddpm.schedules import Variance
from fineq.errors import InputError

FIXED: dict[str, tuple[Any, ...]] = {"rescale_betas_zero_snr": (False,), "thresholding": (False,)}
PREDICTIONS: dict[str, Prediction] = {
    "epsilon": "noise",
    "sample": "data",
    "v_prediction": "velocity",
}
MOST = 100_000  # steps of a training's chain
VARIANCES: dict[str, Variance] = {
    "fixed_small": "posterior",
    "fixed_small_log": "posterior",
    "fixed_large": "forward",
}


def _scaled_linear(num: int, first: float, last: float) -> np.ndarray:
    return 1 - np.linspace(first**0.5, last**0.5, num) ** 2


BETAS: dict[str, Callable[[int, float, float], Any]] = {
    "linear": schedules.linear,
    "scaled_linear": _scaled_linear,
    "squaredcos_cap_v2": lambda num, first, last: schedules.cosine(num),
}


class Chain(NamedTuple):
    """A chain of a network that somebody else has trained.

    Attributes:
        schedule: of T steps.
        times: step of the training's chain that the network is told at Y_t, `[T]`.
        prediction: what the network predicts.
        words: what was read.
    """

    schedule: Schedule
    times: np.ndarray
    prediction: Prediction
    words: str


def chain_of(given: Mapping[str, Any], num_steps: int | None) -> Chain:
    """The chain of T = `num_steps` that a scheduler_config.json describes; None: all steps.

    Raises:
        InputError: naming what fineq does not have, or for more steps than there are.
    """
    for name, known in FIXED.items():
        if given.get(name, known[0]) not in known:
            raise InputError(f"{name} must be {known[0]}, got {given[name]}")
    every = np.asarray(_alphas(given), np.float64)
    make_schedule(jnp.asarray(every))  # which checks them
    bars = np.cumprod(every)
    T = len(bars) if num_steps is None else num_steps
    if not 1 <= T <= len(bars):
        raise InputError(f"num_steps must lie between 1 and the model's {len(bars)}, got {T}")
    steps = _steps(given, len(bars), T)
    at = bars[steps]
    alphas = at / np.concatenate([[1.0], at[:-1]])
    variance = _choice(given, "variance_type", "fixed_small", VARIANCES)
    schedule = make_schedule(jnp.asarray(alphas), variance)
    words = f"{given.get('beta_schedule', 'linear')} noise, {T} of {len(bars)} steps"
    prediction = _choice(given, "prediction_type", "epsilon", PREDICTIONS)
    return Chain(schedule, steps[::-1].copy(), prediction, words)


def _alphas(given: Mapping[str, Any]) -> Any:
    if (listed := given.get("trained_betas")) is not None:
        return 1 - np.asarray(listed, np.float64)
    total = given.get("num_train_timesteps", 1000)
    if not isinstance(total, int) or not 1 <= total <= MOST:
        raise InputError(f"num_train_timesteps must lie between 1 and {MOST}, got {total}")
    made = _choice(given, "beta_schedule", "linear", BETAS)
    return made(total, given.get("beta_start", 1e-4), given.get("beta_end", 0.02))


def _steps(given: Mapping[str, Any], total: int, num: int) -> np.ndarray:
    """Steps from data to noise, `[T]`, as diffusers spaces them."""
    spacing = given.get("timestep_spacing", "leading")
    if num == total:
        return np.arange(total)
    if spacing == "leading":
        return np.minimum(np.arange(num) * (total // num) + given.get("steps_offset", 0), total - 1)
    if spacing == "linspace":
        return np.linspace(0, total - 1, num).round().astype(int)
    if spacing == "trailing":
        return np.arange(total, 0, -total / num).round().astype(int)[:num][::-1] - 1
    raise InputError(f"timestep_spacing must be leading, linspace or trailing, got {spacing}")


def _choice(given: Mapping[str, Any], name: str, usual: str, known: Mapping[str, Any]) -> Any:
    value = given.get(name, usual)
    if value not in known:
        raise InputError(f"{name} must be one of {', '.join(known)}, got {value}")
    return known[value]
