"""Neural costates: their start, exact gradients, averaging, exact resume, and what they reach."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.errors import InputError
from fineq.iterate import Interrupted, iterate, solve
from fineq.optimiser import Optimiser
from fineq.pift.parametric import training
from fineq.pift.parametric.error import reference_on_paths
from fineq.pift.parametric.features import standard_scale
from fineq.pift.parametric.networks import network
from fineq.pift.parametric.paths import Zero, rollout, simulate
from fineq.pift.parametric.training import NetworkAscent, NetworkSweeps
from tests.pift.parametric.common import diffusion, optimal

OPTIMISER = Optimiser(learning_rate=3e-3, average=0.9)


def small(problem, width=16):
    return network(jax.random.key(0), standard_scale(jax.random.key(5), problem), width=width)


def equal(a, b):
    jax.tree.map(lambda x, y: np.testing.assert_array_equal(x, y), a, b)


def test_the_network_starts_as_the_pretrained_policy():
    problem = diffusion(4)
    net = small(problem)
    y0 = jax.random.normal(jax.random.key(1), (3, 2))
    z = jax.random.normal(jax.random.key(2), (4, 3, 2))
    equal(rollout(problem, net, y0, z), rollout(problem, Zero(), y0, z))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fitted", "gradient"])
def test_an_interrupted_run_resumes_bit_for_bit(kind):
    problem = diffusion(4)
    by = (
        NetworkSweeps(8, OPTIMISER, num_batches=2, num_passes=2)
        if kind == "fitted"
        else NetworkAscent(8, OPTIMISER)
    )

    class Store:
        kept = None

        def load(self, name, like):
            return self.kept

        def save(self, name, tree):
            self.kept = jax.tree.map(np.array, tree)

    def run(store=None, progress=None):
        return iterate(
            by.step,
            by.init(None, problem, small(problem)),
            problem,
            num_steps=6,
            key=jax.random.key(3),
            record=[2, 4],
            metrics=lambda state, info, problem: by.measure(state, info, problem, None),
            chunk_seconds=1e-9,
            store=store,
            progress=progress,
        )

    def stop_in_the_middle(event):
        if event.iteration >= 3 and event.phase == "running":
            import signal

            signal.raise_signal(signal.SIGINT)

    whole, store = run(), Store()
    with pytest.raises(Interrupted):
        run(store, stop_in_the_middle)
    assert store.kept is not None
    assert 3 <= int(store.kept.position) < 6
    resumed = run(store)
    equal((whole.state, whole.metrics), (resumed.state, resumed.metrics))


def test_the_average_is_the_weighted_sum_of_all_iterates():
    problem = diffusion(4)
    kernel = jax.jit(NetworkAscent(8, OPTIMISER).step)
    state = training.begin(small(problem), OPTIMISER)
    expected = state.descent.average
    for n in range(4):
        state, _ = kernel(jax.random.key(n), state, problem)
        decay = min(0.9, (1 + n) / (10 + n))
        expected = jax.tree.map(
            lambda a, v, w=decay: w * a + (1 - w) * v, expected, state.costate.variables
        )
    found = state.descent.average
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), found, expected)
    assert int(state.descent.num_updates) == 4


@pytest.mark.slow
def test_gradient_ascent_follows_the_finite_difference_of_the_objective():
    """AdamW's first step has size `learning_rate` in each coordinate, and the gradient's sign."""
    problem = diffusion(4)
    optimiser = Optimiser(learning_rate=1e-3, clip=0.0, average=0.0)
    net = small(problem, 4)  # moved, for at its start only the last layer has a gradient
    moved = jax.tree.map(
        lambda x: x + 0.3 * jnp.cos(jnp.arange(x.size)).reshape(x.shape), net.variables
    )
    state = training.begin(net.holding(moved), optimiser)
    key = jax.random.key(3)
    after, info = NetworkAscent(8, optimiser).step(key, state, problem)
    key_start, key_noise = jax.random.split(key)
    y0 = problem.chain.start.sample(key_start, 8)
    z = jax.random.normal(key_noise, (4, 8, 2))
    flat, back = jax.flatten_util.ravel_pytree(state.costate.variables)

    def J(x):
        from fineq.pift.parametric.paths import returns

        return jnp.mean(returns(problem, rollout(problem, state.costate.holding(back(x)), y0, z)))

    np.testing.assert_allclose(info.objective, J(flat), rtol=1e-12)
    moved = jax.flatten_util.ravel_pytree(after.costate.variables)[0] - flat
    h, J = 1e-5, jax.jit(J)
    slopes = np.array([(J(flat.at[i].add(h)) - J(flat.at[i].add(-h))) / (2 * h) for i in range(30)])
    clear = np.abs(slopes) > 1e-6  # AdamW's ε = 1e-8 counts for less than 1% there
    assert clear.sum() >= 10
    np.testing.assert_allclose(moved[:30][clear], 1e-3 * np.sign(slopes[clear]), rtol=2e-2)


@pytest.mark.slow
def test_batches_of_gradient_ascent_are_steps_on_parts_of_the_paths():
    problem, key = diffusion(4), jax.random.key(2)
    state = training.begin(small(problem), OPTIMISER)
    found, info = jax.jit(NetworkAscent(9, OPTIMISER, 2).step)(key, state, problem)
    part = jax.jit(NetworkAscent(4, OPTIMISER).step)
    one, two = jax.random.split(key)
    state, expected = part(two, part(one, state, problem)[0], problem)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10), found, state)
    np.testing.assert_allclose(info.objective, expected.objective, rtol=1e-10)


@pytest.mark.slow
def test_clipping_bounds_the_norm_that_reaches_the_optimiser():
    """AdamW's first moment after one step is 0.1 times the clipped gradient."""
    problem = diffusion(4)
    for clip in (1e-3, 0.0):
        optimiser = Optimiser(clip=clip)
        state = training.begin(small(problem), optimiser)
        state, info = NetworkAscent(8, optimiser).step(jax.random.key(0), state, problem)
        moments = jax.tree.leaves(state.descent.moments, is_leaf=lambda x: hasattr(x, "mu"))
        (adam,) = [x for x in moments if hasattr(x, "mu")]
        size = np.sqrt(sum(float(jnp.sum(x**2)) for x in jax.tree.leaves(adam.mu))) / 0.1
        np.testing.assert_allclose(size, clip or float(info.norm), rtol=1e-6)
        assert info.norm > 1e-3


def test_one_pass_uses_every_pair_once():
    """With one batch, the loss reported is that of all pairs under the starting policy."""
    problem = diffusion(4)
    state = training.begin(small(problem), OPTIMISER)
    key = jax.random.key(0)
    _, info = NetworkSweeps(8, OPTIMISER, target="raw", num_batches=1).step(key, state, problem)
    paths = simulate(jax.random.split(key)[0], problem, state.costate, 8)
    from fineq.pift.parametric.paths import targets

    wanted = targets(problem, state.costate, paths, "raw")
    gains = problem.chain.sigmas**2 / problem.betas
    expected = 0.5 * jnp.sum(gains * jnp.mean(jnp.sum(wanted**2, -1), axis=1))
    np.testing.assert_allclose(info.loss, expected, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["quiet", "lean", "raw"])
def test_fitted_iteration_approaches_the_exact_optimum(target):
    """30 sweeps of 16 small steps take nine tenths of the squared error away, and more."""
    problem = diffusion(6)
    reference = reference_on_paths(jax.random.key(1), problem, optimal(problem), 200)
    optimiser = Optimiser(learning_rate=1e-2, num_steps=480)
    by = NetworkSweeps(64, optimiser, num_batches=4, target=target, num_passes=4)
    found = solve(
        problem,
        by,
        start=small(problem, 32),
        num_steps=30,
        key=jax.random.key(2),
        reference=reference,
    )
    error, size = reference.error(problem, found.value), reference.size(problem)
    assert error < 0.1 * size
    np.testing.assert_allclose(found["error"][-1], error, rtol=1e-10)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NetworkSweeps(0, OPTIMISER), "num_paths must be at least 1, got 0"),
        (lambda: NetworkAscent(-3, OPTIMISER), "num_paths must be at least 1, got -3"),
        (lambda: NetworkAscent(4, OPTIMISER, 5), "must lie between 1 and the number of paths, 4"),
        (lambda: NetworkSweeps(1, OPTIMISER, num_batches=0), "num_batches must be at least 1"),
        (lambda: Optimiser(learning_rate=0.0), "learning_rate must be above 0, got 0"),
        (lambda: Optimiser(average=1.0), r"average must lie in \[0, 1\), got 1"),
        (lambda: Optimiser(clip=-1.0), "clip must be at least 0, got -1"),
        (lambda: network(jax.random.key(0), None, width=0), "network.width must be at least 1"),
        (
            lambda: network(jax.random.key(0), None, activation="step"),
            "network.activation must be one of relu, silu, tanh, got step",
        ),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(InputError, match=message):
        make()
