"""Arrays that wait for others are the same arrays."""

import re

import jax
import jax.numpy as jnp
import numpy as np

from fineq.fast.lapack import after

ODD = jnp.array([0.0, -0.0, 1.5, -jnp.inf, jnp.nan])


def test_the_numbers_are_the_same_to_the_sign_of_zero():
    x = {"odd": ODD, "single": ODD.astype(jnp.float32), "whole": jnp.arange(3)}
    for done in (ODD, (jnp.ones(2), jnp.zeros((), bool)), -jnp.ones((2, 2), jnp.float32)):
        found = jax.jit(after)(done, x)
        assert jax.tree.map(lambda a: a.dtype, found) == jax.tree.map(lambda a: a.dtype, x)
        jax.tree.map(np.testing.assert_array_equal, found, x)
        np.testing.assert_array_equal(np.signbit(found["odd"][:2]), [False, True])


def test_in_the_compiled_program_one_call_takes_what_the_other_has_made():
    """Of an optimization barrier nothing is left there."""

    def two(x, y):
        first = jnp.linalg.eigh(x)[0]
        return first, jnp.linalg.eigh(after(first, y))[0]

    x = jnp.ones((4, 2, 2))
    text = str(jax.jit(two).lower(x, x).compile().as_text())
    lines = dict(re.findall(r"%([\w.-]+) = (.*)", text[text.index("ENTRY") :]))
    takes = {name: re.findall(r"%([\w.-]+)", line) for name, line in lines.items()}
    first, second = (name for name, line in lines.items() if "lapack" in line)

    def behind(name):
        return {name}.union(*(behind(other) for other in takes.get(name, ())))

    assert first in behind(second) or second in behind(first)


def test_derivatives_are_those_of_the_array():
    def value(x):
        return jnp.sum(after(jnp.sqrt(x), x) ** 2)

    x = jnp.array([0.0, 2.0])
    np.testing.assert_array_equal(jax.grad(value)(x), 2 * x)
    np.testing.assert_array_equal(jax.jacfwd(value)(x), 2 * x)


def test_members_wait_each_for_its_own():
    done, x = jnp.ones((3, 2)), jnp.arange(4.0)
    np.testing.assert_array_equal(jax.vmap(after, (0, None))(done, x), np.tile(x, (3, 1)))
