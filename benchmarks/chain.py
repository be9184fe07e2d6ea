"""Paths of the reverse chain of a Gaussian mixture against the same chain in vectorised NumPy."""

from typing import NamedTuple

import jax
import numpy as np

from benchmarks.timing import Row, best_times
from fineq.ddpm import schedules
from fineq.ddpm.laws import Mixture, mixture
from fineq.ddpm.schedules import Schedule, make_schedule
from fineq.pift.problem import Problem, ddpm_chain, make_problem
from fineq.pift.rewards import Quadratic, linear
from fineq.pift.simulation import simulate

TITLE = "Simulated chains, exact scores of a Gaussian mixture with full covariances"


class Case(NamedTuple):
    """A batch of `num` paths of T steps in d dimensions, M components."""

    d: int
    components: int
    num_steps: int
    num: int


CASES = (Case(16, 4, 50, 4096), Case(2, 4, 50, 4096))


class Instance(NamedTuple):
    """Data, noise and reward."""

    law: Mixture
    schedule: Schedule
    reward: Quadratic

    def problem(self, dtype: type) -> Problem:
        """The problem of fine-tuning it, in one precision."""
        made = make_problem(ddpm_chain(self.law, self.schedule), self.reward, 1.0)
        return jax.tree.map(lambda x: x.astype(dtype), made)


def build(case: Case) -> Instance:
    """Components of unequal covariance around Gaussian centres; linear reward."""
    rng = np.random.default_rng(0)
    d, M = case.d, case.components
    roots = rng.normal(size=(M, d, d)) / np.sqrt(d)
    covariances = roots @ roots.swapaxes(1, 2) + 0.3 * np.eye(d)
    law = mixture(np.full(M, 1 / M), rng.normal(size=(M, d)), covariances)
    schedule = make_schedule(schedules.linear_rate(case.num_steps))
    return Instance(law, schedule, linear(np.full(d, 1 / np.sqrt(d))))


class NumpyChain:
    """The same chain and reward in NumPy; all paths of a step, and all components, at once."""

    def __init__(self, instance: Instance, dtype: type):
        def host(x: jax.Array) -> np.ndarray:
            return np.asarray(x, dtype)

        self.dtype = dtype
        self.log_weights = host(instance.law.log_weights)[:, None]
        self.means, self.values, self.vectors = (host(x) for x in instance.law.components)
        self.alphas, self.bars, self.sigmas = (host(x) for x in instance.schedule)
        self.direction = host(instance.reward.p)

    def rewards(self, rng: np.random.Generator, num: int) -> np.ndarray:
        """Rewards of `num` paths."""
        y = rng.standard_normal((num, self.means.shape[-1]), self.dtype)
        back = self.vectors.swapaxes(1, 2)
        for t, (alpha, sigma) in enumerate(zip(self.alphas, self.sigmas)):
            bar = self.bars[t]
            values = bar * self.values + (1 - bar)
            z = (y - np.sqrt(bar) * self.means[:, None]) @ self.vectors
            scaled = z / values[:, None]
            logs = self.log_weights - 0.5 * np.einsum("mnd,mnd->mn", z, scaled)
            logs -= 0.5 * np.log(values).sum(-1, keepdims=True)
            shares = np.exp(logs - logs.max(0))
            shares /= shares.sum(0)
            scaled *= shares[..., None]
            score = -np.sum(scaled @ back, axis=0)
            y = (y + (1 - alpha) * score) / np.sqrt(alpha)
            y += sigma * rng.standard_normal(y.shape, self.dtype)
        return y @ self.direction


def compare(case: Case, dtype: type, repeats: int) -> Row:
    """Transitions per second, against NumPy in the same precision."""
    instance = build(case)
    problem, other = instance.problem(dtype), NumpyChain(instance, dtype)
    run = jax.jit(lambda key: simulate(key, problem, None, case.num).terminal)
    key, rng = jax.random.key(0), np.random.default_rng(0)
    seconds = best_times(
        {"fineq": lambda: run(key), "numpy": lambda: other.rewards(rng, case.num)}, repeats
    )
    means = np.mean(run(key)), np.mean(other.rewards(rng, case.num))
    return Row(
        f"{case.num} paths, d={case.d}, M={case.components}, {np.dtype(dtype).name}",
        case.num_steps * case.num / seconds["fineq"],
        "transitions/s",
        seconds["numpy"] / seconds["fineq"],
        "vectorised NumPy",
        f"mean reward {means[0]:.3f} and {means[1]:.3f}",
    )


def run(quick: bool) -> list[Row]:
    """All cases in both precisions; `quick` takes the first only, and fewer repeats."""
    cases, repeats = (CASES[:1], 3) if quick else (CASES, 9)
    return [compare(case, dtype, repeats) for case in cases for dtype in (np.float32, np.float64)]
