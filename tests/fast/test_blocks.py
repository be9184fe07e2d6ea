"""Work in blocks equals the same work on the whole."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.fast.blocks import in_blocks, join, per_block, split, sum_of_blocks


def rows(num, *, last=False):
    x = jnp.asarray(np.random.default_rng(num).normal(size=(num, 3)))
    return x.T if last else x


@pytest.mark.parametrize(("num", "most", "multiple"), [(5, 8, 1), (8, 8, 4), (6, 8, 4), (29, 8, 4)])
@pytest.mark.parametrize("last", [False, True])
def test_rows_in_blocks_are_those_of_one_call(num, most, multiple, last):
    """Trees of arguments and results, the batch first or last; exact, for nothing is added up."""
    axis, sizes = -1 if last else 0, []

    def function(given, shift):
        sizes.append(given["x"].shape[axis])
        return {"both": given["x"] * 2 + shift, "square": given["x"] ** 2}

    x = rows(num, last=last)
    plain = function({"x": x}, x)
    found = in_blocks(function, most, {"x": x}, x, axis=axis, multiple=multiple)
    assert max(sizes[1:]) <= most
    assert all(size % multiple == 0 for size in sizes[1:])
    jax.tree.map(np.testing.assert_array_equal, found, plain)


def test_results_may_have_the_rows_elsewhere():
    def powers(x):
        return jnp.stack([x, x**2])

    x = rows(23)
    np.testing.assert_array_equal(in_blocks(powers, 4, x, out_axis=1), powers(x))


def test_no_rows_are_one_block():
    assert in_blocks(lambda x: 2 * x, 4, jnp.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("num", [3, 11, 12])
def test_what_fills_up_the_last_block_changes_no_maximum(num):
    x = rows(num)
    found = per_block(lambda x: jnp.max(x, axis=0), 4, x)
    assert len(found) == -(-num // 4)
    np.testing.assert_array_equal(jnp.max(found, axis=0), jnp.max(x, axis=0))


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("fill", ["edge", "constant"])
def test_blocks_are_even_and_join_to_the_whole(axis, fill):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(10, 10, 10)))
    parts = split(x, 4, axis, fill=fill)
    assert parts.shape[0] == 3
    assert sorted(parts.shape[1:]) == [4, 10, 10]
    np.testing.assert_array_equal(join(parts, 10, axis), x)
    extra = jnp.take(join(parts, 12, axis), jnp.array([10, 11]), axis=axis)
    last = jnp.take(x, jnp.array([9, 9]), axis=axis)
    np.testing.assert_array_equal(extra, last if fill == "edge" else jnp.zeros_like(last))


@pytest.mark.parametrize("num", [9, 40, 48])
def test_sums_of_blocks_see_every_draw_once(num):
    seen = []

    def sums(key, size):
        draws = jax.random.uniform(key, (size,))
        jax.debug.callback(lambda d: seen.extend(d.tolist()), draws)
        return size * jnp.ones(2), jnp.sum(draws)

    count, total = sum_of_blocks(sums, 16, jax.random.key(0), num)
    jax.effects_barrier()
    assert len(set(seen)) == len(seen) == num
    np.testing.assert_array_equal(count, num)
    np.testing.assert_allclose(total, sum(seen), rtol=1e-13)
