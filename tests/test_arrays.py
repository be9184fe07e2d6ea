"""Public functions refuse what is no array of real numbers, with one sentence, traced or not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.arrays import check_positive, finite_array, host_array, real_array
from fineq.ddpm import laws, schedules
from fineq.errors import InputError
from fineq.nlqr.costs import cost, infinite_cost, regressor_sum
from fineq.nlqr.doubling import EquationStatus
from fineq.nlqr.features import Zero
from fineq.nlqr.identification import Samples, identify
from fineq.nlqr.laws import Points
from fineq.nlqr.lyapunov import solve_lyapunov
from fineq.nlqr.problem import System
from fineq.nlqr.riccati import dare
from fineq.nlqr.rollout import rollout_costs, trajectory
from fineq.nlqr.stability import power_bound
from fineq.ntk.empirical import two_layer_kernel
from fineq.ntk.lanczos import krylov, krylov_at, krylov_blocked
from fineq.ntk.spectral import descend, predict, spectrum
from fineq.ntk.tangent import gram, kernel, product
from fineq.pift.problem import AffineMean, Chain, make_problem
from fineq.pift.rewards import linear, quadratic
from fineq.rates import linear_rate
from fineq.rates.intervals import median_interval

I2, ONE = np.eye(2), np.ones((1, 1))
POINTS = Points(jnp.ones((1, 2)), jnp.ones(1))
EIGEN = spectrum(I2)


def system(**changes):
    arrays = {"A": I2 / 2, "B": I2[:, :1], "C": np.zeros((2, 0)), "Q": I2, "R": ONE}
    arrays = {name: jnp.asarray(x) for name, x in (arrays | changes).items()}
    return System(**arrays, scale=jnp.ones(()), phi=Zero(0))


def chain():
    mean = AffineMean(jnp.zeros((2, 1, 1)), jnp.zeros((2, 1)))
    return Chain(mean, jnp.ones(2), laws.standard_normal(1))


# The function of one array, and an array of the right shape.
DOORS = {
    "dare A": (lambda x: dare(x, I2, I2, I2), I2 / 2),
    "dare B": (lambda x: dare(I2 / 2, x, I2, I2), I2),
    "dare Q": (lambda x: dare(I2 / 2, I2, x, I2), I2),
    "dare R": (lambda x: dare(I2 / 2, I2, I2, x), I2),
    "solve_lyapunov A": (lambda x: solve_lyapunov(x, I2), I2 / 2),
    "solve_lyapunov Q": (lambda x: solve_lyapunov(I2 / 2, x), I2),
    "power_bound": (power_bound, I2 / 2),
    "cost": (lambda x: cost(x, system(), POINTS, 2), np.ones((1, 2))),
    "infinite_cost": (lambda x: infinite_cost(x, system(), POINTS), np.zeros((1, 2))),
    "regressor_sum": (lambda x: regressor_sum(x, system(), POINTS, 2), np.zeros((1, 2))),
    "rollout_costs": (lambda x: rollout_costs(x, I2, system(), 2), np.zeros((1, 2))),
    "trajectory": (lambda x: trajectory(np.zeros((1, 2)), x, system(), 2), np.ones(2)),
    "identify": (lambda x: identify(Samples(x, ONE, x), Zero(0), 1.0), np.ones((1, 2))),
    "gram": (gram, I2),
    "kernel": (lambda x: kernel(x, I2), I2),
    "product": (lambda x: product(I2, I2, x), I2),
    "two_layer_kernel": (lambda x: two_layer_kernel(x, I2, I2, I2), I2),
    "spectrum": (spectrum, I2),
    "descend": (lambda x: descend(EIGEN, x, 0.1, 1.0), np.ones(2)),
    "predict": (lambda x: predict(I2, I2, x), np.ones((3, 2))),
    "krylov": (lambda x: krylov(x, np.ones(2), 1), I2),
    "krylov labels": (lambda x: krylov(I2, x, 1), np.ones(2)),
    "krylov_blocked": (lambda x: krylov_blocked(x, np.ones(2), 1), I2),
    "krylov_at": (lambda x: krylov_at(I2, np.ones(2), 1, x), np.ones((2, 1))),
    "gaussian": (lambda x: laws.gaussian(np.zeros(2), x), I2),
    "mixture": (lambda x: laws.mixture(np.ones(1), x, I2[None]), np.zeros((1, 2))),
    "points": (laws.points, I2),
    "make_schedule": (schedules.make_schedule, np.full(3, 0.5)),
    "make_problem": (lambda x: make_problem(chain(), linear(np.ones(1)), x), np.ones(2)),
    "linear": (linear, np.ones(2)),
    "quadratic": (quadratic, I2),
    "linear_rate": (lambda x: linear_rate(np.arange(9), x), 0.5 ** np.arange(9.0)),
    "median_interval": (median_interval, np.arange(9.0)),
}


@pytest.mark.parametrize("name", DOORS)
def test_a_door_takes_real_arrays_of_any_kind_and_nothing_else(name):
    call, good = DOORS[name]
    expected = jax.tree.leaves(call(good))
    # Another byte order holds the same numbers.
    for got, want in zip(jax.tree.leaves(call(good.astype(">f8"))), expected, strict=True):
        assert str(got) == str(want)
    for bad in (good + 0.5j, good.astype(object), good.astype(str)):
        with pytest.raises(InputError, match=r"must hold real numbers, got an array of type") as e:
            call(bad)
        assert "\n" not in str(e.value)
    with pytest.raises(InputError, match="must hold real numbers"):
        call(jnp.asarray(good + 0.5j))


@pytest.mark.parametrize("name", ["dare R", "solve_lyapunov A", "gram", "cost", "descend"])
def test_types_and_shapes_are_checked_under_transformations_too(name):
    call, good = DOORS[name]
    with pytest.raises(InputError, match="must hold real numbers"):
        jax.jit(call)(good + 0.5j)
    with pytest.raises(InputError):
        jax.vmap(call)(jnp.ones((4, 3, 3, 3)))


EMPTY, THREE = np.zeros((0, 0)), np.ones((3, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dare(EMPTY, np.zeros((0, 1)), EMPTY, ONE), "at least one row and column"),
        (lambda: dare(I2, np.zeros((2, 0)), I2, EMPTY), "at least one row and column"),
        (lambda: solve_lyapunov(EMPTY, EMPTY), "at least one row and column"),
        (lambda: dare([[1.0], [1.0, 2.0]], I2, I2, I2), "rows differ in length"),
        (lambda: gram(np.zeros((0, 2))), "at least one"),
        (lambda: spectrum(EMPTY), "at least one row"),
        (lambda: krylov(I2, np.ones(3), 1), "as many as the 2 points"),
        (lambda: krylov(I2, np.ones(2), 1, np.ones((3, 1))), "probes must be as many as the 2"),
        (lambda: power_bound(np.ones((2, 3))), "must be a square matrix"),
        (
            lambda: identify(Samples(THREE, np.ones((4, 1)), THREE), Zero(0), 1),
            r"got shapes \(3, 2\), \(4, 1\) and \(3, 2\)",
        ),
        (
            lambda: cost(np.zeros((1, 2)), system(R=I2), POINTS, 2),
            r"system\.R must have shape \(1, 1\) for n = 2, p = 1 and d = 0, got \(2, 2\)",
        ),
        (
            lambda: cost(np.zeros((0, 2)), system(B=np.zeros((2, 0)), R=EMPTY), POINTS, 2),
            "n >= 1 states and p >= 1 controls, got n = 2, p = 0",
        ),
        (
            lambda: cost(np.zeros((1, 2)), system(), Points(jnp.ones((3, 2)), jnp.ones(2)), 2),
            r"weights must have shape \(S,\) for points of shape \(3, 2\)",
        ),
        (
            lambda: predict(I2, I2, np.ones((3, 4))),
            r"coefficients must have shape \(S, 2, \.\.\.\), got \(3, 4\)",
        ),
        (lambda: quadratic(np.ones((2, 3))), "P must be a square matrix"),
        (lambda: quadratic(I2, np.ones(3)), r"center must have shape \(2,\), got \(3,\)"),
    ],
)  # fmt: skip
def test_what_is_empty_or_does_not_fit_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_complex_plants_do_not_get_an_answer():
    with pytest.raises(InputError, match="complex128"):
        dare([[0.5j]], ONE, ONE, ONE)
    assert dare([[0.5]], ONE, ONE, ONE).status == EquationStatus.SOLVED


def test_arrays_keep_their_numbers():
    assert real_array("x", np.float32([1.5])).dtype == jnp.float32
    assert real_array("x", [True, False]).dtype == jnp.float64
    assert real_array("x", jnp.arange(3), floating=False).dtype == jnp.int64
    assert real_array("x", jnp.ones(2, jnp.bfloat16)).dtype == jnp.bfloat16
    assert host_array("x", np.longdouble([1.5])).dtype == np.float64
    np.testing.assert_array_equal(real_array("x", [jnp.ones(2), [2.0, 3.0]]), [[1, 1], [2, 3]])
    for bad in (None, "text", np.datetime64("2020-01-01"), [None, 1.0], {"a": 1.0}):
        with pytest.raises(InputError, match="must hold real numbers"):
            real_array("x", bad)
    with pytest.raises(InputError, match=r"must have 1 or 2 axes, got shape \(1, 1, 1\)"):
        host_array("x", np.ones((1, 1, 1)), (1, 2))


@pytest.mark.slow
def test_the_first_number_that_is_not_finite_is_named():
    assert finite_array("x", [[1, 2]], 2).dtype == np.float64
    with pytest.raises(InputError, match=r"its entry \[0, 1\] is nan \(2 such entries\)"):
        finite_array("x", [[1.0, np.nan], [np.inf, 1.0]], 2)
    with pytest.raises(InputError, match=r"x must be finite, but its entry \[\] is inf$"):
        finite_array("x", np.inf, 0)


@pytest.mark.parametrize("bad", [0, -1.0, np.float64(-2), float("nan")])
def test_plain_numbers_at_or_below_zero_are_named(bad):
    with pytest.raises(InputError, match="step must be above 0, got"):
        check_positive(step=bad)


@pytest.mark.parametrize("fine", [1, 0.5, np.float32(2), jnp.asarray(-1.0), None, object()])
def test_what_may_be_traced_passes(fine):
    check_positive(step=fine)
