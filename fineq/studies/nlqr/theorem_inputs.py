"""What the theorem asks to know of each instance, and its constants (`nlqr/landscape`)."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq.nlqr import theorem
from fineq.nlqr.problem import psi
from fineq.nlqr.random_systems import spectral_radius
from fineq.nlqr.stability import closed_loop, power_bound
from fineq.studies.nlqr import common
from fineq.sweep.stages import Member


class Facts(NamedTuple):
    """Of each member, `[*axes]`; matrices and policies have their two axes last.

    Attributes:
        plants: A, B, C, Q, R and K_lin.
        scale: the kernel's scale, ℓ where φ is linear in it.
        lipschitz: ℓ by the kernel's formula; NaN where there is none.
        gradient_lipschitz: ℓ' likewise.
        sigma_x: `λ_min(E ψψ')`.
        sigma: `λ_min(R + B'QB)`.
        c1_lin: with rho1_lin bounds the powers of A - B K1_lin; the theorem's favourite pair.
        rho1_lin: see c1_lin.
        c1: the same of A - B K1*, ρ1 halfway between its spectral radius and 1.
        rho1: see c1.
        cost_lin: infinite-horizon cost of K_lin.
        constants: the theorem's.
    """

    plants: theorem.Plants
    scale: np.ndarray
    lipschitz: np.ndarray
    gradient_lipschitz: np.ndarray
    sigma_x: np.ndarray
    sigma: np.ndarray
    c1_lin: np.ndarray
    rho1_lin: np.ndarray
    c1: np.ndarray
    rho1: np.ndarray
    cost_lin: np.ndarray
    constants: theorem.TheoremConstants


class _Seen(NamedTuple):
    plants: theorem.Plants
    scale: Any
    lipschitz: Any
    gradient_lipschitz: Any
    regressors: Any  # [S, n+d]
    weights: Any
    bound: Any
    c1: Any  # at each place, then that of K*
    rho1: Any


def facts_of(study: common.Study, star: common.Optimum) -> Facts:
    """Measure what is needed of each member, and compute the theorem's constants on the host."""
    places = jnp.asarray((*theorem.RHO_PLACES, 0.5))

    def look(member: Member) -> _Seen:
        instance = study.instance(member)
        system, points = instance.problem.system, instance.points
        loop = closed_loop(system, instance.K_lin)
        loops = jnp.stack([loop] * len(theorem.RHO_PLACES) + [closed_loop(system, member["star"])])
        radius = jax.vmap(spectral_radius)(loops)
        rho1 = radius + (1 - radius) * places.astype(loops.dtype)
        found = jax.vmap(power_bound)(loops, rho1)
        plants = theorem.Plants(system.A, system.B, system.C, system.Q, system.R, instance.K_lin)  # type: ignore[arg-type]
        regressors = jax.vmap(lambda x: psi(system, x))(points.points)
        c1 = jnp.where(found.certified, found.c1, jnp.nan)
        formulas = (system.phi.lipschitz, system.phi.gradient_lipschitz)
        ell, ell_prime = (_or_nan(formula(system.scale), system.scale) for formula in formulas)
        bound = points.bound
        return _Seen(
            plants, system.scale, ell, ell_prime, regressors, points.weights, bound, c1, found.rho1
        )

    seen = study.stages.measure("facts", look, study.axes, inputs={"star": star.K})
    return _facts(study, seen)


def _facts(study: common.Study, seen: _Seen) -> Facts:
    plants = seen.plants
    sigma_x = theorem.excitation(seen.regressors, seen.weights)
    pairs = seen.c1[..., :-1], seen.rho1[..., :-1]
    constants, c1_lin, rho1_lin = theorem.best_theorem_constants(
        plants, sigma_x, seen.bound, *pairs
    )
    R, B, Q = plants.R, plants.B, plants.Q
    return Facts(
        plants,
        seen.scale,
        seen.lipschitz,
        seen.gradient_lipschitz,
        sigma_x,
        np.linalg.eigvalsh(R + np.swapaxes(B, -1, -2) @ Q @ B)[..., 0],
        c1_lin,
        rho1_lin,
        seen.c1[..., -1],
        seen.rho1[..., -1],
        common.kept(study, study.screen.cost),
        constants,
    )


def _or_nan(found: Array | None, like: Array) -> Array:
    return jnp.full_like(like, jnp.nan) if found is None else jnp.asarray(found, like.dtype)
