"""Keys by purpose: no two things that one seed draws are made of the same bits."""

import ast
from collections import Counter
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.errors import InputError
from fineq.keys import key_for, one_key, purpose_number

ROOT = Path(__file__).parent.parent


def purposes() -> list[str]:
    """The words at every call of `key_for`; a test fails where they are no plain words."""
    found = []
    for file in sorted((ROOT / "fineq").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "key_for":
                word = node.args[1]
                assert isinstance(word, ast.Constant), f"{file}:{node.lineno}"
                assert isinstance(word.value, str), f"{file}:{node.lineno}"
                found.append(word.value)
    return found


def bits(key: jax.Array) -> bytes:
    return np.asarray(jax.random.key_data(key)).tobytes()


def bits_of_each(keys: jax.Array) -> set[bytes]:
    return {row.tobytes() for row in np.asarray(jax.random.key_data(keys))}


def test_a_purpose_has_one_key_of_its_own_and_a_seed_is_its_key():
    one, other = key_for(3, "a system"), key_for(3, "a reward")
    assert bits(one) == bits(key_for(3, "a system")) == bits(key_for(jax.random.key(3), "a system"))
    assert len({bits(one), bits(other), bits(key_for(4, "a system"))}) == 3
    traced = jax.jit(lambda seed: jax.random.key_data(key_for(seed, "a system")))(jnp.int32(3))
    assert np.asarray(traced).tobytes() == bits(one)


def test_the_number_of_a_purpose_is_the_same_everywhere():
    # The check value of CRC-32 (ISO 3309): kept results rest on it.
    assert purpose_number("123456789") == 0xCBF43926


def test_every_purpose_stands_at_one_place_and_none_collide():
    words = purposes()
    assert len(words) > 20
    assert [word for word, count in Counter(words).items() if count > 1] == []
    assert len({purpose_number(word) for word in words}) == len(words)


@pytest.mark.parametrize("parts", [2, 3, 1000])
def test_no_purpose_is_a_part_or_an_index_of_the_same_root(parts: int):
    """Splitting a key into two and into three begins with the same keys; purposes are elsewhere."""
    root = jax.random.key(5)
    split = bits_of_each(jax.random.split(root, parts))
    folded = bits_of_each(jax.vmap(partial(jax.random.fold_in, root))(jnp.arange(parts)))
    words = purposes()
    used = {bits(jax.random.fold_in(root, purpose_number(word))) for word in words}
    assert bits(key_for(root, words[0])) in used
    assert len(split) == len(folded) == parts
    assert len(used) == len(words)
    assert not used & (split | folded)
    assert min(map(purpose_number, words)) > 2**24  # as many steps or blocks as there may be


@pytest.mark.parametrize(
    "root", [1.5, "a", np.float64(1), jnp.arange(2), jax.random.split(jax.random.key(0))]
)
def test_a_root_that_is_neither_key_nor_seed_is_refused(root):
    with pytest.raises(InputError, match="key"):
        key_for(root, "a system")


@pytest.mark.parametrize("key", [0, None, jnp.zeros((2, 2)), jax.random.split(jax.random.key(0))])
def test_what_is_not_one_key_is_refused(key):
    with pytest.raises(InputError, match="key must be one random key"):
        one_key(key)


def test_keys_of_both_kinds_are_taken():
    for key in (jax.random.key(0), jax.random.PRNGKey(0)):
        assert one_key(key) is key
