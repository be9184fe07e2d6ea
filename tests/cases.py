"""Small problems for every method of the library, which the one contract is tested on."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fineq import ddpm, finetune, nlqr, ntk, pift
from fineq.iterate import Method
from fineq.pift import hjb
from tests.finetune.common import tuning


class Case(NamedTuple):
    """A small problem `(dtype, x)` that depends on a number x near 1, and a method of the same.

    `start` is where the method begins, of a dtype, where it has no usual place.
    """

    problem: Callable[[Any, Any], Any]
    method: Callable[[Any], Method]
    start: Callable[[Any], Any] = lambda dtype: None


def plant(dtype: Any, x: Any) -> Any:
    rng = np.random.default_rng(3)
    A, B, C = (jnp.asarray(0.4 * rng.normal(size=(2, 2)), dtype) for _ in range(3))
    eye = jnp.eye(2, dtype=dtype)
    system = nlqr.System(x * A, B, C, eye, eye, jnp.asarray(0.5, dtype), nlqr.Sine())
    points = nlqr.Points(jnp.asarray(rng.normal(size=(5, 2)), dtype), jnp.full(5, 0.2, dtype))
    return nlqr.Problem(system, points, points, 6)


def fine_tuning(dtype: Any, x: Any) -> Any:
    mean, covariance = np.array([0.5, -1.0]), np.array([[1.0, 0.3], [0.3, 0.5]])
    law = ddpm.gaussian(mean.astype(dtype), covariance.astype(dtype))
    schedule = ddpm.make_schedule(ddpm.schedules.linear_rate(4))
    curvature = np.array([[-1.0, 0.2], [0.2, -0.5]])
    reward = pift.quadratic(curvature.astype(dtype), center=np.ones(2, dtype))
    problem = pift.make_problem(pift.ddpm_chain(law, schedule), reward, beta=4.0)
    problem = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), problem)
    return pift.with_beta(problem, jnp.asarray(4 * x, dtype))


def bounded(y: Any) -> Any:
    return jnp.tanh(y[0])


def on_line(dtype: Any, x: Any) -> Any:
    law = ddpm.gaussian(np.array([0.3], dtype), np.array([[0.7]], dtype))
    schedule = ddpm.make_schedule(ddpm.schedules.linear_rate(4))
    reward = pift.Custom(bounded)
    problem = pift.make_problem(pift.ddpm_chain(law, schedule), reward, beta=4.0)
    problem = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), problem)
    grid = pift.make_grid(*(np.asarray([b], dtype) for b in (-6.0, 6.0)), num=65)
    grid = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), grid)
    region = jnp.ones((5, 65), bool)
    return pift.gridded(pift.with_beta(problem, jnp.asarray(4 * x, dtype)), grid, region)


def bellman(dtype: Any, x: Any) -> Any:
    law = ddpm.gaussian(np.array([0.3]), np.array([[0.7]]))
    domain = hjb.make_domain(law, 0.1, 12, 33, 5.0)
    domain = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), domain)
    reward = jnp.tanh(domain.points)
    return hjb.bellman_equation(domain, reward, jnp.asarray(2 * x, dtype))


def denoising(dtype: Any, x: Any) -> Any:
    schedule = ddpm.make_schedule(ddpm.schedules.linear_rate(4))
    module = ddpm.networks.MLP(4, 1, waves=4, dtype=dtype)
    denoiser = ddpm.make_denoiser(jax.random.key(0), module, schedule, 2, dtype=dtype)
    data = np.random.default_rng(3).normal(size=(6, 2))
    problem = ddpm.make_denoising(jax.random.key(1), denoiser, data, data[:2])
    return problem._replace(x0=jnp.asarray(x * problem.x0, dtype))


def regression(dtype: Any, x: Any) -> Any:
    rng = np.random.default_rng(1)
    z = jnp.asarray(rng.normal(size=(9, 3)), dtype)
    return ntk.make_regression(z, jnp.sin(x * z[:, :2]), fresh=z[:4] + jnp.asarray(0.1, dtype))


def affine() -> Any:
    """Affine features of a state in the plane."""
    return pift.polynomial(pift.standard_scale(jax.random.key(0), fine_tuning(np.float64, 1.0)), 1)


def recognition(dtype: Any, x: Any) -> Any:
    points = np.random.default_rng(2).normal(size=(12, 2)).astype(dtype)
    return finetune.labelled(x * points, np.arange(12) % 3)


def classifier(dtype: Any) -> Any:
    return finetune.perceptron_classifier(jax.random.key(1), 2, 3, width=4, depth=1, dtype=dtype)


def tuned(dtype: Any, x: Any) -> Any:
    return tuning(dtype=dtype)._replace(beta=jnp.asarray(0.7 * x, dtype))


CASES = {
    "PolicyGradient": Case(plant, lambda x: nlqr.PolicyGradient(0.02 * x)),
    "one-point": Case(
        plant, lambda x: nlqr.PolicyGradient(0.01 * x, nlqr.OnePoint(8, 6), radius=0.1 * x)
    ),
    "natural": Case(plant, lambda x: nlqr.PolicyGradient(0.02 * x, nlqr.Natural())),
    "adam": Case(plant, lambda x: nlqr.PolicyGradient(0.01 * x, rule="adam")),
    "Newton": Case(plant, lambda x: nlqr.Newton(tolerance=1e-30 * x)),
    "LBFGS": Case(plant, lambda x: nlqr.LBFGS(tolerance=1e-30 * x)),
    "LQSweeps": Case(
        lambda d, x: pift.linear_quadratic(fine_tuning(d, x)), lambda x: pift.LQSweeps()
    ),
    "LQNested": Case(
        lambda d, x: pift.linear_quadratic(fine_tuning(d, x)), lambda x: pift.LQNested(2)
    ),
    "GridSweeps": Case(on_line, lambda x: pift.GridSweeps()),
    "GridNested": Case(on_line, lambda x: pift.GridNested(2)),
    "HJBIteration": Case(bellman, lambda x: pift.HJBIteration(within=4.0 * x)),
    "LinearSweeps": Case(
        fine_tuning, lambda x: pift.LinearSweeps(32, share=0.5 * x, features=affine())
    ),
    "LinearNested": Case(fine_tuning, lambda x: pift.LinearNested(32, 1, features=affine())),
    "NetworkSweeps": Case(
        fine_tuning, lambda x: pift.NetworkSweeps(8, num_batches=2, width=4, depth=1)
    ),
    "NetworkAscent": Case(
        fine_tuning, lambda x: pift.NetworkAscent(8, num_batches=2, width=4, depth=1)
    ),
    "KernelDescent": Case(regression, lambda x: ntk.KernelDescent(0.3 * x)),
    "NetworkTraining": Case(regression, lambda x: ntk.NetworkTraining(0.3 * x, width=8)),
    "DeepTraining": Case(regression, lambda x: ntk.DeepTraining(1e-2 * x, width=4, batch=3)),
    "DenoiserTraining": Case(denoising, lambda x: ddpm.DenoiserTraining(batch=4)),
    "PolicyIteration": Case(tuned, lambda x: finetune.PolicyIteration(4, 2, damping=0.5 * x)),
    "AdjointMatching": Case(tuned, lambda x: finetune.AdjointMatching(4, 2, num_inner=2)),
    "Pathwise": Case(tuned, lambda x: finetune.Pathwise(4, 2, remat=True)),
    "DRaFT": Case(tuned, lambda x: finetune.DRaFT(4, 2, k=2)),
    "DDPO": Case(tuned, lambda x: finetune.DDPO(4, 2, clip=0.2 * x)),
    "Reinforce": Case(tuned, lambda x: finetune.Reinforce(4, 2)),
    "DPOK": Case(tuned, lambda x: finetune.DPOK(4, 2)),
    "RewardWeighted": Case(tuned, lambda x: finetune.RewardWeighted(4, 2)),
    "ClassifierTraining": Case(
        recognition, lambda x: finetune.ClassifierTraining(noise=0.3 * x, batch=4), classifier
    ),
}
