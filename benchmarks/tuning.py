"""Steps of pre-training and of PI-FT, against PyTorch eager and compiled, and against a rollout.

With the path of a Python that has PyTorch in `FINEQ_TORCH_PYTHON` that library is the alternative,
in a process of its own which takes turns with this one. Its networks have the same weights, layer
by layer (the note says how far apart the two are), its adapters are layers of their own beside a
layer, as its users have them, and its simulations run with them merged. PI-FT takes 10 paths of 50
steps; a rollout is the simulation of these by the policy.
"""

import os
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.traverse_util import flatten_dict

from benchmarks.denoising import UNET
from benchmarks.kernel import Peer
from benchmarks.timing import Row, best_times
from fineq import finetune
from fineq.ddpm import DenoiserTraining, make_denoiser, make_denoising, make_schedule, schedules
from fineq.ddpm.networks import MLP
from fineq.finetune.rollout import Noise, draw, earned, follow

TITLE = "Steps of training a denoiser and of PI-FT, 8x8 images, float32"
PEER = "FINEQ_TORCH_PYTHON"
KEY = jax.random.key(3)
NETWORKS = {"MLP": MLP(336, 3), "UNet": UNET}


def instance(module: nn.Module) -> finetune.Tuning:
    """A network whose layers are all at work, and the reward that asks for ink."""
    schedule = make_schedule(schedules.linear_rate(50))
    made = make_denoiser(jax.random.key(0), module, schedule, 64, dtype=jnp.float32)
    shaken = jax.jit(
        partial(
            jax.tree.map,
            lambda x: x + 0.005 * jnp.cos(jnp.arange(x.size)).reshape(x.shape).astype(x.dtype),
        )
    )
    base = made.holding(shaken(made.variables))
    return finetune.make_tuning(base, finetune.rewards.Ink(), 0.3)


def pretraining(tuning: finetune.Tuning, data: jax.Array) -> Callable[[], Any]:
    """A step of pre-training."""
    problem = make_denoising(KEY, tuning.base, data, data[:8])
    by = DenoiserTraining()
    state = by.init(None, problem, tuning.base)
    step = jax.jit(lambda key, state, problem: by.step(key, state, problem)[0])
    return lambda: step(KEY, state, problem)


def fine_tuning(tuning: finetune.Tuning, adapters: Any) -> dict[str, Callable[[], Any]]:
    """A step of PI-FT, and a rollout."""
    by = finetune.PolicyIteration()
    state = by.init(None, tuning, adapters)
    step = jax.jit(lambda key, state, problem: by.step(key, state, problem)[0])
    noise = jax.jit(draw, static_argnums=2)(KEY, tuning, 10)
    roll = jax.jit(
        lambda tuning, adapters, noise: (
            follow(tuning, finetune.adapted(tuning.base, adapters), noise).states
        )
    )
    return {
        "tuning": lambda: step(KEY, state, tuning),
        "rollout": lambda: roll(tuning, adapters, noise),
    }


def given(path: str, tuning: finetune.Tuning, adapters: Any, data: jax.Array, noise: Noise) -> None:
    """All that the peer needs, in one file."""
    flat = {f"{k}": np.asarray(x) for k, x in flatten_dict(tuning.base.variables, sep="/").items()}
    sides = {
        f"side/{k.removeprefix('params/')}/{side}": np.asarray(x)
        for k, both in adapters.items()
        for side, x in both.items()
    }
    schedule, rows = tuning.base.schedule, noise.start
    rest = {
        "data": data,
        "bars": schedule.alpha_bars[:-1],
        "alphas": schedule.alphas,
        "sigmas": schedule.sigmas,
        "start": noise.start,
        "draws": noise.draws,
        "s": tuning.base.times[: len(rows)],
        "x": rows,
    }
    plain: dict[str, Any] = {k: np.asarray(x, np.float32) for k, x in rest.items()}
    np.savez(path, **flat, **sides, **plain)


def truth(tuning: finetune.Tuning, adapters: Any, noise: Noise) -> dict[str, Any]:
    """What the network says, and what the paths gain: the peer's must be the same."""

    @jax.jit
    def gained(tuning: finetune.Tuning, adapters: Any, noise: Noise) -> Any:
        policy = finetune.adapted(tuning.base, adapters)
        return earned(tuning, policy, follow(tuning, policy, noise)).objective(tuning.beta)

    said = tuning.base.predicted(jnp.arange(10), noise.start)
    return {"pretraining": said, "tuning": gained(tuning, adapters, noise)}


def compare(name: str, module: nn.Module, python: str | None, repeats: int) -> list[Row]:
    """Rows of one network."""
    tuning = instance(module)
    drawn = jax.jit(finetune.make_adapters, static_argnums=2)(KEY, tuning.base.variables, 4)
    adapters = jax.tree.map(lambda x: x + 0.01, drawn)
    data = jax.random.normal(jax.random.key(1), (1500, 64), jnp.float32)
    noise = jax.jit(draw, static_argnums=2)(KEY, tuning, 10)
    runs = {"pretraining": pretraining(tuning, data), **fine_tuning(tuning, adapters)}
    if python is None:
        found = best_times(runs, repeats)
        return [_row(name, "tuning", found["tuning"], found["rollout"], "a rollout", "")]
    rows, known = [], truth(tuning, adapters, noise)
    with tempfile.TemporaryDirectory() as folder:
        given(f"{folder}/given.npz", tuning, adapters, data, noise)
        for task in ("pretraining", "tuning"):
            peers, apart = {}, 0.0
            for kind in ("eager", "compiled"):
                peers[kind] = Peer(python, "denoising_peer.py")
                peers[kind].ask(f"{folder}/given", task, kind == "compiled")
                said = np.load(f"{folder}/given-peer.npz")["said"]
                apart = max(
                    apart, float(np.max(np.abs(said - known[task]) / np.abs(known[task]).max()))
                )
            rows += _against(name, task, runs, peers, apart, repeats)
            for peer in peers.values():
                peer.close()
    return rows


def _against(
    name: str, task: str, runs: dict, peers: dict[str, Peer], apart: float, repeats: int
) -> list[Row]:
    own = {task: runs[task]} | ({"rollout": runs["rollout"]} if task == "tuning" else {})
    times: dict[str, list[float]] = {k: [] for k in (*own, *peers)}
    for _ in range(repeats):
        for k, seconds in best_times(own, 1).items():
            times[k].append(seconds)
        for k, peer in peers.items():
            times[k].append(peer.ask())
    rows = []
    for k, seconds in times.items():
        if k == task:
            continue
        against, ours = ("a rollout", 1) if k == "rollout" else (f"PyTorch, {k}", -1)
        each = [(a / b) ** ours for a, b in zip(times[task], seconds)]
        note = f"{min(each):.2g} to {max(each):.2g} in {repeats} turns"
        if k != "rollout":
            note += f"; both say the same to {apart:.0e}"
        best = (min(times[task]) / min(seconds)) ** ours
        rows.append(Row(f"{name}, {task}", 1e3 * min(times[task]), "ms/step", best, against, note))
    return rows


def _row(name: str, task: str, own: float, other: float, against: str, note: str) -> Row:
    return Row(f"{name}, {task}", 1e3 * own, "ms/step", own / other, against, note)


def run(quick: bool) -> list[Row]:
    """Both networks; `quick` the perceptron alone. Says so if the peer was not given."""
    python = os.environ.get(PEER)
    if not python:
        print(f"(PyTorch is not compared with: {PEER} names no Python that has it)", flush=True)
    networks = {"MLP": NETWORKS["MLP"]} if quick else NETWORKS
    return [
        r for k, module in networks.items() for r in compare(k, module, python, 3 if quick else 7)
    ]
