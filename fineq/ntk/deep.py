"""Deeper networks and Adam, full batch or minibatches: what practitioners do, beside the theory.

A multilayer perceptron with ReLU on the same inputs z, all of whose layers are trained on
(1/2B) Σ |f(z_j) - y_j|² over a batch (arXiv 2401.15604 treats two layers, one of them trained, and
full-batch gradient descent: `fineq.ntk.training`).
"""

from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax import Array

from fineq.errors import InputError
from fineq.iterate import Method, method, static
from fineq.ntk.problem import Regression, measures
from fineq.optimiser import stepped

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
    """The state of a run: parameters of the perceptron and the state of the optimiser."""

    params: Any
    optimiser: Any


class Seen(NamedTuple):
    """What a step saw before it moved: the loss of its batch."""

    loss: Array


@method
class DeepTraining(Method):
    """Training of a perceptron on a `Regression`; its value are the parameters of `Perceptron`.

    Measured: `train`, `fresh`, the `loss` on all data, and with a reference `[M, d]` the `distance`
    (`fineq.ntk.problem.measures`).

    Attributes:
        learning_rate: of the rule.
        width: of the hidden layers.
        depth: their number.
        rule: Adam with its usual constants, or plain gradient descent.
        batch: data of each step, drawn anew without replacement; None for all.
    """

    learning_rate: Any = 1e-3
    width: int = static(default=256)
    depth: int = static(default=2)
    rule: Rule = static(default="adam")
    batch: int | None = static(default=None)

    draws = True

    def __post_init__(self) -> None:
        for name in ("width", "depth"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.rule not in get_args(Rule):
            raise InputError(f"rule must be one of {', '.join(get_args(Rule))}, got {self.rule}")

    def init(self, key: Array | None, problem: Regression, start: Any) -> Fitting:
        """From parameters `start`, or from such as are drawn.

        Raises:
            InputError: for a batch that is not between 1 and N.
        """
        num = problem.z.shape[0]
        if self.batch is not None and not 1 <= self.batch <= num:
            raise InputError(f"batch must lie between 1 and the {num} data, got {self.batch}")
        if start is None:
            if key is None:
                raise InputError("DeepTraining draws its parameters: give a key, or start")
            start = self.parameters(key, problem)
        return Fitting(start, self._optimiser(problem).init(start))

    def step(self, key: Array | None, state: Fitting, problem: Regression) -> tuple[Any, Seen]:
        """A step on all data, or on a batch."""
        z, labels = problem.z, problem.labels
        if self.batch is not None:
            if key is None:
                raise InputError("DeepTraining draws its batches: give a key")
            chosen = jax.random.choice(key, z.shape[0], (self.batch,), replace=False)
            z, labels = z[chosen], labels[chosen]

        def loss(params: Any) -> Array:
            apart = self._apply(params, z, problem) - labels
            return jnp.sum(jnp.square(apart)) / (2 * z.shape[0])

        value, gradient = jax.value_and_grad(loss)(state.params)
        rule = self._optimiser(problem)
        return Fitting(*stepped(rule, gradient, state.optimiser, state.params)), Seen(value)

    def measure(
        self, state: Fitting, info: Seen, problem: Regression, reference: Any
    ) -> dict[str, Array]:
        """`train`, `fresh`, `loss` and `distance`."""
        del info
        train, fresh = (self._apply(state.params, z, problem) for z in (problem.z, problem.fresh))
        return measures(problem, train, fresh, reference)

    def value(self, state: Fitting, problem: Regression) -> Any:
        """The parameters."""
        del problem
        return state.params

    def parameters(self, key: Array, problem: Regression) -> Any:
        """Parameters of `Perceptron`, drawn: where a run starts."""
        return self._perceptron(problem).init(key, problem.z[:1])

    def _perceptron(self, problem: Regression) -> Perceptron:
        return Perceptron(self.width, self.depth, problem.labels.shape[1])

    def _apply(self, params: Any, z: Array, problem: Regression) -> Array:
        return jnp.asarray(self._perceptron(problem).apply(params, z))

    def _optimiser(self, problem: Regression) -> optax.GradientTransformation:
        rate = jnp.asarray(self.learning_rate, problem.z.dtype)
        return optax.adam(rate) if self.rule == "adam" else optax.sgd(rate)
