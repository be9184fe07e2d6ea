import jax.numpy as jnp
import numpy as np
import pytest

from fineq.ddpm import laws, schedules
from fineq.errors import InputError, ResourceError
from fineq.pift import problem, rewards
from fineq.pift.grid import checks, density, policy, solve
from fineq.pift.grid.posed import gridded
from fineq.pift.grid.tensor import law_bounds, make_grid
from tests.pift.grid.common import gaussian, wave


@pytest.mark.parametrize(
    ("low", "high", "num", "words"),
    [
        ([0.0] * 3, [1.0] * 3, 9, "d = 1 or 2, got d = 3"),
        ([0.0], [0.0], 9, "^low must be below high"),
        ([0.0], [np.inf], 9, "^low must be below high"),
        ([0.0, 1.0], [1.0], 9, "shape"),
        ([0.0], [1.0], 7, "at least 8, got 7"),
    ],
)
def test_bad_grids(low, high, num, words):
    with pytest.raises(InputError, match=words):
        make_grid(low, high, num)


def test_a_grid_too_coarse_for_the_noise_names_the_points_it_needs():
    task, grid = wave()
    coarse = make_grid(grid.low, grid.axes[:, -1], 30)
    with pytest.raises(InputError, match=r"σ of step \d.*at least (\d+) points") as caught:
        checks.check_grid(task, coarse)
    needed = int(str(caught.value).split("at least ")[1].split()[0])
    smallest = float(task.chain.sigmas.min())
    width = float(grid.axes[0, -1] - grid.low[0])
    assert needed - 1 == int(np.ceil(width / smallest))


def test_a_grid_too_coarse_for_the_reward_or_the_mean():
    task, grid = wave(num=97)
    sharp = task.reward._replace(direction=jnp.array([20.0]))
    with pytest.raises(InputError, match="the reward is off by"):
        checks.check_grid(task._replace(reward=sharp), grid)
    narrow = laws.mixture([0.5, 0.5], [[-1.5], [1.5]], [[[1e-3]], [[1e-3]]])
    schedule = task.chain.mean.schedule
    chain = problem.ddpm_chain(narrow, schedule)
    with pytest.raises(InputError, match="the pre-trained mean of step 5 is off by"):
        checks.check_grid(task._replace(chain=chain), grid)


def test_a_grid_too_narrow_names_the_mass_outside():
    task, grid = wave()
    narrow = make_grid([-3.0], [3.0], 97)
    with pytest.raises(InputError, match=r"Y_\d has mass .* outside") as caught:
        checks.check_grid(task, narrow)
    # Y_0 is N(0, 1), of which P(|Y| > 3) = 0.0027 is outside.
    assert float(str(caught.value).split("mass ")[1].split()[0]) >= 0.0026
    pushed = density.pretrained(task, grid) + 30.0
    with pytest.raises(InputError, match="the controlled Y_1 has mass"):
        checks.check_mass(grid, density.densities(task, grid, pushed))


def test_dimensions_must_agree():
    with pytest.raises(InputError, match="1 axes, but the problem has d = 2"):
        checks.check_grid(gaussian(2)[0], gaussian(1)[1])


def test_bounds_hold_the_mass_they_state():
    """Each component leaves the box with the probability given; so does N(0, 1) at the start."""
    law = laws.mixture([0.9, 0.1], [[0.0], [4.0]], [[[0.04]], [[0.25]]])
    schedule = schedules.make_schedule(schedules.linear_rate(10))
    low, high = law_bounds(law, schedule, outside=2 * 0.00134989803163)
    # Three standard deviations: of the start N(0, 1) below, of the upper mode, noised, above.
    bars = np.asarray(schedule.alpha_bars)
    upper = 4 * np.sqrt(bars) + 3 * np.sqrt(0.25 * bars + 1 - bars)
    np.testing.assert_allclose(low, [-3.0], rtol=1e-9)
    np.testing.assert_allclose(high, [upper.max()], rtol=1e-9)
    with pytest.raises(InputError, match="outside must lie"):
        law_bounds(law, schedule, outside=0.0)


def test_memory_is_refused_before_compiling():
    small = checks.memory_bytes(2, 256, 50)
    assert checks.memory_bytes(2, 1024, 50) > 10 * small
    assert checks.memory_bytes(2, 256, 50, batch=3) > 2.9 * small
    assert checks.memory_bytes(2, 256, 50, num_inner=20) > 5 * small
    checks.check_memory(small, 4 * small)
    with pytest.raises(ResourceError, match="GiB"):
        checks.check_memory(small, small)


def test_the_reward_range_may_be_zero():
    """A reward of zero is resolved by every grid."""
    task, grid = wave(num=97)
    zero = task._replace(reward=rewards.linear([0.0]))
    assert checks.check_grid(zero, grid).shape == (task.num_steps + 1, 97)


def test_noise_must_be_diagonal():
    task, grid = gaussian(2)
    oblique = jnp.tile(jnp.array([[0.5, 0.1], [0.0, 0.5]]), (task.num_steps, 1, 1))
    with pytest.raises(InputError, match="diagonal"):
        checks.check_grid(task._replace(chain=task.chain._replace(sigmas=oblique)), grid)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda p, g: gridded(p, make_grid([-1.0] * 2, [1.0] * 2, 9)), "2 axes, but .* d = 1"),
        (lambda p, g: gridded(p, g, np.ones((3, g.num), bool)), r"a mask of shape \(7, 193\)"),
        (lambda p, g: gridded(p, g, np.ones((7, g.num))), "a mask of shape .* got float64"),
        (
            lambda p, g: gridded(p, g._replace(axes=g.axes.astype(np.float32))),
            "the grid is of float32, but the problem of float64",
        ),
        (
            lambda p, g: solve.evaluate(gridded(p, g, ALL), np.ones((6, 193))),
            r"means must have shape \(6, 193, 1\), got \(6, 193\)",
        ),
        (
            lambda p, g: density.objective(p, g, np.ones((5, 193, 1))),
            r"means must have shape \(6, 193, 1\), got \(5, 193, 1\)",
        ),
        (
            lambda p, g: policy.grid_mean(g, np.ones((6, 9, 1))),
            r"means must have shape \(6, 193, 1\), got \(6, 9, 1\)",
        ),
    ],
)
def test_what_does_not_fit_a_grid_is_named(ask, words):
    with pytest.raises(InputError, match=words):
        ask(*wave())


ALL = np.ones((7, 193), bool)
