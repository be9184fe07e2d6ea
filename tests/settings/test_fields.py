"""Configuration fields: ranges, sentences, sweeps over dotted paths."""

from dataclasses import dataclass

import pytest

from fineq.errors import InputError
from fineq.settings.fields import (
    check_value,
    choice,
    count,
    flatten,
    group,
    leaves,
    number,
    numbers,
    replace_at,
    sweep_axes,
    text,
    validate,
)


@dataclass
class Inner:
    gain: float = number(1.0, "gain", minimum=0.0, below=2.0)
    kind: str = choice("a", "kind", ("a", "b"))

    def check(self) -> None:
        if self.kind == "b" and self.gain == 0:
            raise InputError("inner.gain must be positive when inner.kind=b")


@dataclass
class Outer:
    steps: int = count(3, "steps")
    label: str | None = text(None, "label")
    knots: list = numbers([1.0], "knots", above=0.0)
    inner: Inner = group(Inner, "inner")


def test_leaves_are_dotted_and_in_order():
    assert [leaf.path for leaf in leaves(Outer())] == [
        "steps",
        "label",
        "knots",
        "inner.gain",
        "inner.kind",
    ]


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (Outer(steps=0), "steps must be at least 1, got 0"),
        (Outer(inner=Inner(gain=2.0)), "inner.gain must be at least 0 and below 2, got 2.0"),
        (Outer(inner=Inner(gain=float("nan"))), "inner.gain must be .* got nan"),
        (Outer(inner=Inner(kind="c")), "inner.kind must be one of a, b, got c"),
        (Outer(knots=[1.0, 0.0]), "knots must be above 0, got 0.0"),
        (Outer(inner=Inner(gain=0.0, kind="b")), "inner.gain must be positive when inner.kind=b"),
    ],
)
def test_validate_says_what_where_and_what_is_allowed(config, sentence):
    with pytest.raises(InputError, match=sentence):
        validate(config)


def test_validate_accepts_the_ends_of_closed_ranges():
    validate(Outer(steps=1, inner=Inner(gain=0.0)))


def test_a_missing_value_is_named():
    spec = next(leaf.spec for leaf in leaves(Outer()) if leaf.path == "steps")
    with pytest.raises(InputError, match="steps must be given"):
        check_value("steps", None, spec)


def test_replace_at_copies_and_does_not_touch_the_original():
    original = Outer()
    changed = replace_at(original, {"inner.gain": 1.5, "steps": 9})
    assert (changed.inner.gain, changed.steps) == (1.5, 9)
    assert (original.inner.gain, original.steps) == (1.0, 3)
    assert changed.inner.kind == "a"


def test_sweep_axes_tell_shapes_from_numbers():
    axes = sweep_axes(Outer(), {"inner": {"gain": [0, 1]}, "steps": [2, 4]})
    assert axes == {"inner.gain": ([0.0, 1.0], False), "steps": ([2, 4], True)}


@pytest.mark.parametrize(
    ("sweep", "sentence"),
    [
        ({"inner": {"gian": [1]}}, "did you mean sweep.inner.gain"),
        ({"inner": {"kind": ["a"]}}, "is not a numeric field"),
        ({"steps": []}, "non-empty list"),
        ({"steps": 3}, "non-empty list"),
        ({"steps": [1, 1]}, "repeats"),
        ({"steps": [1.5]}, "a list of whole numbers, got 1.5 among them"),
        ({"steps": [0]}, "sweep.steps must be at least 1"),
        ({"inner": {"gain": ["x"]}}, "list of numbers, got 'x' among them"),
    ],
)
def test_bad_sweeps_are_refused(sweep, sentence):
    with pytest.raises(InputError, match=sentence):
        sweep_axes(Outer(), sweep)


def test_flatten_nests_by_dots():
    assert flatten({"a": {"b": 1, "c": {"d": 2}}, "e": 3}) == {"a.b": 1, "a.c.d": 2, "e": 3}
