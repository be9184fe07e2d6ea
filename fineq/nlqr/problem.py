"""What is given in nearly linear-quadratic control: the system, its cost and the initial law.

The dynamics are `x' = A x + B u + C φ(x)` with `φ(0) = 0`; a policy is a matrix `K = (K1, K2)` that
plays `u = -K ψ(x)` with `ψ(x) = (x, φ(x))`; its cost is `E Σ_t x'Qx + u'Ru` over `x0 ~ law`.
Source: arXiv 2303.08431, section 2. Names: `scale` is the paper's ℓ wherever φ is linear in it.

Shapes: n states, p controls, d features. Every type is a pytree, so `jax.vmap` over a leading axis
of its arrays is a batch of systems; properties such as `System.n` read the last axes only.
Nothing here looks at values: `fineq.nlqr.checks` does that once, on the host.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

if TYPE_CHECKING:
    from fineq.nlqr.laws import Points


@runtime_checkable
class Features(Protocol):
    """The nonlinearity φ of the dynamics: a hashable object (a frozen dataclass), static under jit.

    Called with one state `x [n]` and the traced scalar `scale`, it returns `φ(x) [d]`; `φ(0) = 0`.
    """

    def __call__(self, x: Array, scale: Array) -> Array:
        """Evaluate φ at one state, `[n] -> [d]`."""
        ...

    def num_features(self, n: int) -> int:
        """Return d for states of dimension `n`; raises `InputError` if φ refuses them."""
        ...

    def lipschitz(self, scale: ArrayLike) -> Array | None:
        """Return an upper bound on the Lipschitz constant ℓ of φ, or None where none is known."""
        ...

    def gradient_lipschitz(self, scale: ArrayLike) -> Array | None:
        """Return an upper bound on the Lipschitz constant ℓ' of ∇φ, or None if none is known."""
        ...


class InitialLaw(Protocol):
    """The law of the initial state x0, a pytree."""

    @property
    def n(self) -> int:
        """Dimension of the state."""
        ...

    @property
    def bound(self) -> Array | None:
        """D0 with `|x0| <= D0` almost surely, or None for an unbounded law."""
        ...

    def sample(self, key: Array, num: int) -> Array:
        """Draw `num` independent states, `[num, n]`."""
        ...

    def second_moment(self) -> Array:
        """Return `E x0 x0'`, `[n, n]`."""
        ...


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["A", "B", "C", "Q", "R", "scale"],
    meta_fields=["phi"],
)
@dataclass(frozen=True)
class System:
    """The dynamics `x' = A x + B u + C φ(x)` and the cost `x'Qx + u'Ru` of one step.

    A `[n, n]`, B `[n, p]`, C `[n, d]`, Q `[n, n]` positive semidefinite, R `[p, p]` positive
    definite (of both only the symmetric part costs anything); `scale` is the scalar handed to φ
    (traced, so it can be swept); `phi` is static.
    """

    A: Array
    B: Array
    C: Array
    Q: Array
    R: Array
    scale: Array
    phi: Features

    @property
    def n(self) -> int:
        """Number of states."""
        return self.A.shape[-1]

    @property
    def p(self) -> int:
        """Number of controls."""
        return self.B.shape[-1]

    @property
    def d(self) -> int:
        """Number of features."""
        return self.C.shape[-1]

    @property
    def policy_shape(self) -> tuple[int, int]:
        """Shape `(p, n + d)` of a policy matrix K."""
        return self.p, self.n + self.d


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["system", "law", "points"],
    meta_fields=["horizon"],
)
@dataclass(frozen=True)
class Problem:
    """A control problem: minimise `C_T(K) = E Σ_{t<T} x'Qx + u'Ru` over policies K.

    `fineq.nlqr.build_problem` makes one that is checked, with points and a horizon that fit.

    Attributes:
        system: the dynamics and the cost of one step.
        law: of the initial state, from which rollouts start.
        points: weighted points that stand for the law in exact expectations; None for a law that
            has a quadrature rule of its own (`fineq.nlqr.laws.quadrature`).
        horizon: T, the number of steps that cost anything; static. None where only one-step samples
            are drawn.
    """

    system: System
    law: InitialLaw
    points: "Points | None" = None
    horizon: int | None = None


def psi(system: System, x: Array) -> Array:
    """Return the policy's regressors `ψ(x) = (x, φ(x))`, `[n] -> [n + d]`."""
    return jnp.concatenate([x, system.phi(x, system.scale)])


def control(system: System, K: Array, x: Array) -> Array:
    """Return the control `u = -K ψ(x)` of one state, `[n] -> [p]`, for a policy K `[p, n + d]`."""
    return -K @ psi(system, x)


def next_state(system: System, x: Array, u: Array) -> Array:
    """Make one step `A x + B u + C φ(x)` of the dynamics, `[n], [p] -> [n]`."""
    return system.A @ x + system.B @ u + system.C @ system.phi(x, system.scale)


def stage_cost(system: System, x: Array, u: Array) -> Array:
    """Return the cost `x'Qx + u'Ru` of one step, a scalar."""
    return x @ system.Q @ x + u @ system.R @ u


def symmetric_cost(system: System) -> System:
    """Return the same system with Q and R replaced by their symmetric parts: every cost is equal.

    For derivatives, which use `∇ x'Qx = 2Qx`.
    """
    Q, R = system.Q, system.R
    return replace(system, Q=(Q + Q.T) / 2, R=(R + R.T) / 2)


def split_policy(K: Array, n: int) -> tuple[Array, Array]:
    """Return the blocks `K1 [p, n]` and `K2 [p, d]` of a policy `K = (K1, K2)`."""
    return K[..., :n], K[..., n:]
