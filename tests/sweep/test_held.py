"""What programs hold, counted by hand: arrays alive at once, loops, calls, and what is fused."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from fineq.sweep.held import held_bytes

N = 16
SQUARE, ROW = N * N * 8, N * 8
X = jax.ShapeDtypeStruct((N, N), jnp.float64)


def layers(x):
    for _ in range(5):
        x = jnp.sin(x @ x)
    return x


@pytest.mark.parametrize(
    ("program", "squares", "rows"),
    [
        (lambda x: x, 1, 0),
        # x; each product takes the place of the one before the last.
        (layers, 3, 0),
        # The sine takes the place of what it is of.
        (lambda x: jnp.sin(x @ x), 2, 0),
        # A sum of elementwise results needs none of them.
        (lambda x: jnp.sum(jnp.exp(x) * x + 1, axis=1), 1, 1),
        # Read by a product, an elementwise result is an array.
        (lambda x: jnp.sum((x + 1) @ x), 3, 0),
        # Costly and read twice, it is one as well; cheap, it is made again.
        (lambda x: (jnp.sum(jnp.exp(x)), jnp.max(jnp.exp(x))), 1, 2 / N),
        (lambda x: (lambda y: (jnp.sum(y), jnp.max(y)))(jnp.exp(x)), 2, 2 / N),
        (lambda x: (lambda y: (jnp.sum(y), jnp.max(y)))(x + 1), 1, 2 / N),
        # What nothing hangs on is not made.
        (lambda x: (x @ x, jnp.sum(x))[1], 1, 1 / N),
        # What can be made early is: both products, before either is summed.
        (lambda x: jnp.sum(x @ x) + jnp.max(x @ x), 3, 1 / N),
        # A call is what it holds, whichever is called twice.
        (jax.jit(layers), 3, 0),
        (lambda x: jax.jit(layers)(jax.jit(layers)(x)), 3, 0),
    ],
)
def test_arrays_alive_at_once(program, squares, rows):
    assert held_bytes(program, X) == squares * SQUARE + rows * ROW


def test_a_loop_keeps_what_its_derivative_reads_once_for_each_step():
    def held(function, length):
        def one(x):
            return jnp.sum(lax.scan(function, x, length=length)[0])

        return held_bytes(jax.grad(one), X)

    def added(function):
        return held(function, 10) - held(function, 5), held(function, 20) - held(function, 10)

    def step(y, _):
        return jnp.sin(y @ y), None

    # The state before the product, and the cosine of what came of it; or the state alone.
    assert added(step) == (2 * 5 * SQUARE, 2 * 10 * SQUARE)
    assert added(jax.checkpoint(step)) == (5 * SQUARE, 10 * SQUARE)


def test_of_branches_the_fullest_counts():
    def branched(x):
        return lax.cond(x[0, 0] > 0, layers, lambda y: y, x)

    assert held_bytes(branched, X) >= held_bytes(layers, X)
