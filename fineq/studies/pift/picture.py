"""Fine-tuning one mixture in the plane, solved on a grid: densities of Y_T and controls."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fineq import claims, figures
from fineq.ddpm.laws import Mixture, mixture
from fineq.keys import key_for
from fineq.pift import certificates
from fineq.pift.grid import checks, density, solve, tensor
from fineq.pift.grid.policy import grid_mean
from fineq.pift.grid.posed import gridded
from fineq.pift.problem import ddpm_chain, make_problem, with_beta
from fineq.pift.rewards import Wave
from fineq.pift.simulation import simulate
from fineq.rates import LEVEL
from fineq.results import Array as Named
from fineq.results import Arrays
from fineq.studies.pift.claims import claim
from fineq.studies.pift.common import Study
from fineq.studies.pift.config import PiftConfig
from fineq.studies.pift.instances import schedule_of
from fineq.studies.view import View

OUTSIDE = 1e-10  # mass that the laws of the pre-trained chain may have off the grid
RADIUS, STD, MODES = 1.6, 0.35, 5  # modes on a circle, so that a reward must choose among them
BEFORE = "pre-trained"
SHOWN = ("density", "push_x", "push_y")
SAMPLES = ("sample_x", "sample_y")
SEEN = 0.005  # of the largest density of Y_t: arrows are drawn where there is more
NUM_SAMPLES = 300  # of each model that are drawn
NUM_PATHS = 8192  # behind each certificate


class Picture(NamedTuple):
    """What is drawn.

    Attributes:
        x, y: `[N]`, the grid.
        density: `[1 + B, N, N]`, of Y_T: pre-trained, then optimal at each β.
        push: `[B, 2, N, N]`, m* - m0 at step `step`; NaN where Y_t has no mass.
        reward: `[N, N]`.
        samples: `[1 + B, num, 2]`, Y_T of simulated paths.
        betas: `[B]`.
        step: the one of largest divergence at the last β.
        objectives: `[B]`, J of each optimum by its densities.
        certificates: of each optimum, from simulated paths.
    """

    x: np.ndarray
    y: np.ndarray
    density: np.ndarray
    push: np.ndarray
    reward: np.ndarray
    samples: np.ndarray
    betas: tuple[float, ...]
    step: int
    objectives: tuple[float, ...]
    certificates: tuple[certificates.Certificate, ...]


def ring() -> Mixture:
    """Equal modes on a circle."""
    angles = 2 * np.pi * np.arange(MODES) / MODES + np.pi / 2
    means = RADIUS * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return mixture(np.full(MODES, 1 / MODES), means, np.tile(STD**2 * np.eye(2), (MODES, 1, 1)))


def check_picture(config: PiftConfig) -> None:
    """Raise `ResourceError` when the grid of the picture would not fit into memory."""
    num_steps = len(config.schedule.alphas) or config.schedule.num_steps
    checks.check_memory(checks.memory_bytes(2, config.picture.num_points, num_steps))


def draw_picture(study: Study) -> Picture:
    """Solve the mixture at every β of `picture.betas` in one program, and sample it.

    Raises:
        InputError: when the schedule leaves the grid too coarse or too narrow.
    """
    config = study.config
    law, schedule = ring(), schedule_of(config)
    direction = jnp.array([0.8, 0.6])
    reward = Wave(direction, jnp.array(1.0), jnp.array(0.0), jnp.array(0.0))
    problem = make_problem(ddpm_chain(law, schedule), reward, 1.0)
    grid = tensor.make_grid(*tensor.law_bounds(law, schedule, OUTSIDE), config.picture.num_points)
    before = checks.check_grid(problem, grid)
    region = density.carried(before, grid)
    seed = jax.random.key(config.first_seed)
    key_base = key_for(seed, "samples of the pre-trained model")

    @jax.jit
    def at(beta: jax.Array) -> tuple[density.Outcome, jax.Array]:
        own = with_beta(problem, beta)
        means = solve.optimum(gridded(own, grid, region)).mean
        return density.objective(own, grid, means), means

    @jax.jit
    def run(
        key: jax.Array, beta: jax.Array, means: jax.Array
    ) -> tuple[jax.Array, certificates.Certificate]:
        own, policy = with_beta(problem, beta), grid_mean(grid, means)
        drawn = simulate(key_for(key, "samples of an optimum"), own, policy, NUM_SAMPLES).last
        key_paths = key_for(key, "paths of an optimum's certificate")
        return drawn, certificates.certificate(key_paths, own, policy, NUM_PATHS)

    betas = tuple(float(beta) for beta in config.picture.betas)
    found = [at(jnp.asarray(beta)) for beta in betas]
    for outcome, _ in found:
        checks.check_mass(grid, outcome.densities)
    paths = [
        run(jax.random.fold_in(key_for(seed, "optima"), i), jnp.asarray(beta), means)
        for i, (beta, (_, means)) in enumerate(zip(betas, found, strict=True))
    ]
    N, step = grid.num, int(np.argmax(found[-1][0].divergences))
    m0 = jax.vmap(lambda y: problem.chain.mean(step, y))(grid.points())
    pushes = []
    for outcome, means in found:
        p = outcome.densities[step]
        push = jnp.where((p > SEEN * p.max())[:, None], means[step] - m0, jnp.nan)
        pushes.append(np.asarray(push).T.reshape(2, N, N))
    laws = [before[-1], *(outcome.densities[-1] for outcome, _ in found)]
    base = jax.jit(lambda key: simulate(key, problem, None, NUM_SAMPLES).last)(key_base)
    x, y = np.asarray(grid.axes)
    return Picture(
        x,
        y,
        np.stack(laws).reshape(-1, N, N),
        np.stack(pushes),
        np.asarray(jax.vmap(reward)(grid.points())).reshape(N, N),
        np.stack([base, *(samples for samples, _ in paths)]),
        betas,
        step,
        tuple(float(outcome.objective) for outcome, _ in found),
        tuple(certified for _, certified in paths),
    )


def picture_claims(views: Sequence[View]) -> list[claims.Claim]:
    """What each optimum earns in simulation, beside its densities and beside the certificate."""
    picture: Picture | None = views[0].found.more
    if picture is None:
        return []
    made = []
    found = zip(picture.betas, picture.objectives, picture.certificates, strict=True)
    for beta, objective, certified in found:
        instance = f"mixture in the plane, β = {beta:g}"
        J, gap, effective = certified.objective, certified.gap, float(certified.effective)
        made += [
            claim(
                "pift/optimality",
                _measured(J),
                # Within twice its half width: the interval covers the number by densities.
                claims.Theory(
                    objective, "~", "by densities on the grid", margin=float(J.high - J.low)
                ),
                instance=f"{instance}, {NUM_PATHS} paths",
                what="objective of the optimum, simulated",
            ),
            claim(
                "pift/certificate",
                _measured(gap),
                claims.Theory(0.0, ">=", "J ≤ β log E e^{r/β}")
                if effective >= certificates.ENOUGH
                else None,
                instance=f"{instance}, {effective:.0f} effective paths",
                what="gap of the certificate over the optimum",
            ),
        ]
    return made


def _measured(found: certificates.Estimate) -> claims.Measured:
    return claims.Measured(
        float(found.value), float(found.low), float(found.high), confidence=LEVEL
    )


def picture_arrays(picture: Picture | None) -> Arrays:
    """The arrays and coordinates of the picture; none where none was drawn."""
    if picture is None:
        return {}
    shown, drawn = ("model", "x", "y"), ("model", "sample")
    push = np.concatenate([np.zeros_like(picture.push[:1]), picture.push])
    arrays = {
        "density": Named(picture.density, shown, "1", "density of Y_T"),
        "push_x": Named(push[:, 0], shown, "1", "first component of m* - m0"),
        "push_y": Named(push[:, 1], shown, "1", "second component of m* - m0"),
        "sample_x": Named(picture.samples[..., 0], drawn, "1", "first coordinate of a sample"),
        "sample_y": Named(picture.samples[..., 1], drawn, "1", "second coordinate of a sample"),
        "reward_field": Named(picture.reward, ("x", "y"), "1", "reward"),
    }
    coords = {
        "x": Named(picture.x, ("x",), "1", "first coordinate"),
        "y": Named(picture.y, ("y",), "1", "second coordinate"),
        "sample": Named(np.arange(picture.samples.shape[1]), ("sample",), "1", "sample"),
        "model": Named(np.array(models(picture)), ("model",), "1", "model"),
    }
    return arrays | coords


def models(picture: Picture) -> list[str]:
    """What the densities are of."""
    return [BEFORE, *(f"β = {beta:g}" for beta in picture.betas)]


def picture_figures(views: Sequence[View]) -> tuple[figures.Figure, ...]:
    """Densities side by side, from the pre-trained one to the cheapest control."""
    picture: Picture | None = views[0].found.more
    if picture is None:
        return ()

    def panel(model: str) -> figures.Panel:
        image, *arrows = (figures.Line(name, "", {"model": model}) for name in SHOWN)
        points = (figures.Line(name, "", {"model": model}) for name in SAMPLES)
        shown = (image, *(arrows if model != BEFORE else ()), *points)
        return figures.Panel("field", "x", shown, title=model)

    return (
        figures.Figure(
            "plane",
            tuple(panel(model) for model in models(picture)),
            "Densities of Y_T for a mixture in the plane, rewarded towards the upper right; "
            f"dots: simulated; arrows: what the control adds, m* - m0 at step {picture.step}.",
            claims=("pift/optimality", "pift/certificate"),
        ),
    )
