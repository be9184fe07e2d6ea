"""Deeper networks and Adam, full batch or minibatches: what practitioners do, beside the theory.

A multilayer perceptron with ReLU on the same inputs z, all of whose layers are trained on
(1/2B) Σ |f(z_j) - y_j|² over a batch (arXiv 2401.15604 treats two layers, one of them trained, and
full-batch gradient descent: `fineq.ntk.training`).
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jax import Array

from fineq.errors import InputError
from fineq.iterate import Kernel, Progress, Store, Trace, iterate
from fineq.ntk.training import Data
from fineq.sweep import Program

Rule = Literal["adam", "sgd"]


class Perceptron(nn.Module):
    """`depth` hidden layers of `width` units, He's initialisation, and a linear layer.

    Attributes:
        width, depth: of the hidden layers.
        d: number of outputs.
    """

    width: int
    depth: int
    d: int

    @nn.compact
    def __call__(self, z: Array) -> Array:
        """Predictions `[N, d]` at inputs `[N, D]`."""
        x, t, he = z, z.dtype, nn.initializers.he_normal()
        for _ in range(self.depth):
            x = nn.relu(nn.Dense(self.width, kernel_init=he, dtype=t, param_dtype=t)(x))
        # From zero: predictions start at 0, as kernel descent does.
        zeros = nn.initializers.zeros_init()
        return nn.Dense(self.d, kernel_init=zeros, dtype=t, param_dtype=t)(x)


class Fitting(NamedTuple):
    """The state of a run: parameters of the module and the state of the optimiser."""

    params: Any
    optimiser: Any


class Info(NamedTuple):
    """What a step saw before it moved: the loss of its batch."""

    loss: Array


def check_deep(width: int, depth: int, rule: str, batch: int | None, num: int) -> None:
    """Raise `InputError` for no units or layers, an unknown rule, or a batch not in [1, N]."""
    for name, value in (("width", width), ("depth", depth)):
        if value < 1:
            raise InputError(f"deep.{name} must be at least 1, got {value}")
    if rule not in get_args(Rule):
        raise InputError(f"deep.rule must be one of {', '.join(get_args(Rule))}, got {rule}")
    if batch is not None and not 1 <= batch <= num:
        raise InputError(f"deep.batch must lie between 1 and the {num} data, got {batch}")


def make_step(
    apply: Callable[[Any, Array], Array],
    optimiser: optax.GradientTransformation,
    batch: int | None = None,
) -> Kernel:
    """A step on all data, or on `batch` of them drawn without replacement at every step."""

    def step(key: Array, state: Fitting, problem: Data) -> tuple[Fitting, Info]:
        z, labels = problem.z, problem.labels
        if batch is not None:
            chosen = jax.random.choice(key, z.shape[0], (batch,), replace=False)
            z, labels = z[chosen], labels[chosen]

        def loss(params: Any) -> Array:
            return jnp.sum(jnp.square(apply(params, z) - labels)) / (2 * z.shape[0])

        value, gradient = jax.value_and_grad(loss)(state.params)
        updates, inner = optimiser.update(gradient, state.optimiser, state.params)
        return Fitting(optax.apply_updates(state.params, updates), inner), Info(value)

    return step


class Recipe(NamedTuple):
    """How a perceptron is trained, as pure functions.

    Attributes:
        begin: `(key, data) -> Fitting`.
        step: a kernel of `fineq.iterate`, with a key.
        metrics: `(state, info, data)` to `train` `[N, d]`, `fresh` `[M, d]` and the loss.
    """

    begin: Callable[[Array, Data], Fitting]
    step: Kernel
    metrics: Callable[[Fitting, Info, Data], dict[str, Array]]


def make_recipe(
    width: int, depth: int, d: int, rule: str, rate: float, batch: int | None = None
) -> Recipe:
    """Training of a perceptron with d outputs by Adam or gradient descent at a learning rate."""
    module = Perceptron(width, depth, d)
    optimiser = optax.adam(rate) if rule == "adam" else optax.sgd(rate)

    def apply(params: Any, z: Array) -> Array:
        return jnp.asarray(module.apply(params, z))

    def begin(key: Array, data: Data) -> Fitting:
        params = module.init(key, data.z[:1])
        return Fitting(params, optimiser.init(params))

    def metrics(state: Fitting, info: Info, problem: Data) -> dict[str, Array]:
        del info
        train = apply(state.params, problem.z)
        loss = jnp.sum(jnp.square(train - problem.labels)) / (2 * train.shape[0])
        return {"train": train, "fresh": apply(state.params, problem.fresh), "loss": loss}

    return Recipe(begin, make_step(apply, optimiser, batch), metrics)


def deep_program(
    recipe: Recipe, *, num_steps: int, record: Any = None, dtype: Any = jnp.float32
) -> Program:
    """What a member of a sweep does: train the perceptron of its seed on its `data`.

    As `fineq.ntk.training.network_program`: the sweep gives the data as `inputs={"data": Data}`.
    """

    def init(key: Array, member: Any) -> tuple[Any, Any]:
        data = jax.tree.map(lambda x: x.astype(dtype), member["data"])
        return recipe.begin(key, data), data

    return Program(init, recipe.step, num_steps, recipe.metrics, record)


def fit(
    key: Array,
    data: Data,
    *,
    num_steps: int,
    width: int = 256,
    depth: int = 2,
    rule: Rule = "adam",
    batch: int | None = None,
    record: np.ndarray | list[int] | None = None,
    store: Store | None = None,
    progress: Progress | None = None,
    name: str = "deep",
) -> Trace:
    """Train a perceptron with learning rate `data.eta` by the one driver.

    Args:
        key: of the initialisation and the batches.
        data: inputs, labels, fresh inputs, and the learning rate.
        num_steps: number of steps.
        width: of the hidden layers.
        depth: their number.
        rule: Adam with its usual constants, or plain gradient descent.
        batch: size of the batches; None for all data.
        record: times at which `train` `[R, N, d]`, `fresh` `[R, M, d]` and the `loss` on all data
            are recorded; default geometric.
        store: keeps the run, which then resumes.
        progress: receives events.
        name: of the run in the store.

    Raises:
        InputError: as `check_deep` does.
    """
    check_deep(width, depth, rule, batch, data.z.shape[0])
    key_start, key_steps = jax.random.split(key)
    recipe = make_recipe(width, depth, data.labels.shape[1], rule, float(data.eta), batch)
    return iterate(
        recipe.step,
        recipe.begin(key_start, data),
        data,
        num_steps=num_steps,
        key=key_steps,
        metrics=recipe.metrics,
        record=record,
        store=store,
        progress=progress,
        name=name,
    )
