"""Fine-tuning one mixture in the plane, solved on a grid: densities of Y_T and controls."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fineq.ddpm.laws import Mixture, mixture
from fineq.figures import Figure, Line, Panel
from fineq.pift.grid import density, solve, tensor
from fineq.pift.problem import Problem, ddpm_chain, make_problem
from fineq.pift.rewards import Wave
from fineq.pift.study.common import Study
from fineq.pift.study.instances import schedule_of
from fineq.results import Array as Named
from fineq.results import Arrays

RADIUS, STD, MODES = 1.6, 0.35, 5  # modes on a circle, so that a reward must choose among them


BEFORE = "pre-trained"
SHOWN = ("density", "push_x", "push_y")


class Picture(NamedTuple):
    """What is drawn.

    Attributes:
        x, y: `[N]`, the grid.
        density: `[1 + B, N, N]`, of Y_T: pre-trained, then optimal at each β.
        push: `[B, 2, N, N]`, m* - m0 at step `step`.
        reward: `[N, N]`.
        betas: `[B]`.
        step: the generation step at which the push is shown.
    """

    x: np.ndarray
    y: np.ndarray
    density: np.ndarray
    push: np.ndarray
    reward: np.ndarray
    betas: tuple[float, ...]
    step: int


def ring() -> Mixture:
    """Equal modes on a circle."""
    angles = 2 * np.pi * np.arange(MODES) / MODES + np.pi / 2
    means = RADIUS * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return mixture(np.full(MODES, 1 / MODES), means, np.tile(STD**2 * np.eye(2), (MODES, 1, 1)))


def draw_picture(study: Study) -> Picture:
    """Solve the mixture at every β of `picture.betas` in one program."""
    config = study.config
    law, schedule = ring(), schedule_of(config)
    direction = jnp.array([0.8, 0.6])
    reward = Wave(direction, jnp.array(1.0), jnp.array(0.0), jnp.array(0.0))
    problem = make_problem(ddpm_chain(law, schedule), reward, 1.0)
    grid = tensor.make_grid(*tensor.law_bounds(law, schedule, 1e-6), config.picture.num_points)
    before = density.densities(problem, grid, density.pretrained(problem, grid))
    region = density.carried(before, grid)
    step = schedule.num_steps - 3

    @jax.jit
    def at(beta: jax.Array) -> tuple[jax.Array, jax.Array]:
        own: Problem = problem._replace(betas=jnp.broadcast_to(beta, problem.betas.shape))
        means = solve.optimum(own, grid, region).mean
        after = density.densities(own, grid, means)[-1]
        m0 = jax.vmap(lambda y: own.chain.mean(step, y))(grid.points())
        return after, means[step] - m0

    found = [at(jnp.asarray(beta)) for beta in config.picture.betas]
    N = grid.num
    densities = np.stack([before[-1], *(after for after, _ in found)]).reshape(-1, N, N)
    push = np.stack([np.asarray(m).T.reshape(2, N, N) for _, m in found])
    rewards = np.asarray(jax.vmap(reward)(grid.points())).reshape(N, N)
    x, y = np.asarray(grid.axes)
    betas = tuple(float(b) for b in config.picture.betas)
    return Picture(x, y, densities, push, rewards, betas, step)


def picture_arrays(picture: Picture) -> tuple[Arrays, Arrays]:
    """The arrays and coordinates of the picture."""
    shown = ("model", "x", "y")
    push = np.concatenate([np.zeros_like(picture.push[:1]), picture.push])
    arrays = {
        "density": Named(picture.density, shown, "1", "density of Y_T"),
        "push_x": Named(push[:, 0], shown, "1", "first component of m* - m0"),
        "push_y": Named(push[:, 1], shown, "1", "second component of m* - m0"),
        "reward_field": Named(picture.reward, ("x", "y"), "1", "reward"),
    }
    coords = {
        "x": Named(picture.x, ("x",), "1", "first coordinate"),
        "y": Named(picture.y, ("y",), "1", "second coordinate"),
        "model": Named(np.array(models(picture)), ("model",), "1", "model"),
    }
    return arrays, coords


def models(picture: Picture) -> list[str]:
    """What the densities are of."""
    return [BEFORE, *(f"β = {beta:g}" for beta in picture.betas)]


def picture_figures(picture: Picture) -> tuple[Figure, ...]:
    """Densities side by side, from the pre-trained one to the cheapest control."""

    def panel(model: str) -> Panel:
        image, *arrows = (Line(name, "", {"model": model}) for name in SHOWN)
        return Panel("field", "x", (image, *(arrows if model != BEFORE else ())), title=model)

    return (
        Figure(
            "plane",
            tuple(panel(model) for model in models(picture)),
            "Densities of Y_T for a mixture in the plane, rewarded towards the upper right; "
            f"arrows: what the control adds, m* - m0 at step {picture.step}.",
        ),
    )
