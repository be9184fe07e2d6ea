"""Denoisers whose scores are known: affine means, and the exact scores of a mixture."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from fineq import pift
from fineq.ddpm import control_of, make_schedule, schedules
from fineq.ddpm.denoiser import Denoiser
from fineq.finetune.problem import exact_problem, make_tuning
from fineq.finetune.rewards import per_point
from fineq.pift import lq


@dataclass(frozen=True)
class Known:
    """In place of a network: the noise that a score `(variables, t, y [d]) -> [d]` stands for."""

    score: Callable[..., Array]

    def apply(self, variables, s, x, label):
        given, schedule = variables

        def noise(t, y):
            return -jnp.sqrt(1 - schedule.alpha_bars[t]) * self.score(given, schedule, t, y)

        return jax.vmap(noise)(s.astype(int), x)


def exact(given, schedule, score, d):
    """The denoiser of a score; it is told t itself."""
    times = jnp.arange(schedule.num_steps, dtype=float)
    return Denoiser((given, schedule), schedule, times, None, Known(score), "noise", 0, d)


def affine_score(mean, schedule, t, y):
    return control_of(mean(t, y), schedule.alphas[t], y)


def law_score(law, schedule, t, y):
    return law.noised(schedule.alpha_bars[t]).score(y)


def chain(T, end=0.3):
    return make_schedule(schedules.constant_rate(T, end), "forward")


def affine(mean, schedule, d):
    """The denoiser of means A_t y + b_t."""
    return exact(mean, schedule, affine_score, d)


def gaussian_tuning(law, reward, beta, schedule):
    """The problem of Gaussian data and a reward of pift, and the same as pift has it."""
    instance = pift.make_problem(pift.ddpm_chain(law, schedule), reward, beta)
    tuning = make_tuning(affine(instance.chain.mean, schedule, law.d), per_point(reward), beta)
    return tuning, instance


def best_affine(instance, schedule):
    """The optimum of a linear-quadratic problem as a denoiser, and its J."""
    arrays = pift.linear_quadratic(instance)
    policy = lq.optimum(arrays).policy
    J = lq.objective(arrays, policy).objective
    return affine(pift.AffineMean(*policy), schedule, instance.d), float(J)


def mixture_tuning(law, reward, beta, schedule):
    """The problem of a mixture's exact scores, and the same as pift has it."""
    tuning = make_tuning(exact(law, schedule, law_score, law.d), per_point(reward), beta)
    return tuning, exact_problem(tuning)
