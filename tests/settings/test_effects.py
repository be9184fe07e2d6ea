"""Tables of effects: what is refused, in which words, and what falls back to its default."""

from dataclasses import dataclass

import pytest

from fineq.errors import InputError
from fineq.settings.config import RunConfig
from fineq.settings.effects import EMPTY, GIVEN, at_most, but, effect, holding, settle
from fineq.settings.fields import choice, count, group, number, numbers, words


@dataclass
class Part:
    kind: str = choice("a", "kind", ("a", "b", "c"))
    size: int = count(2, "size")
    gain: float = number(1.0, "gain")
    rate: float = number(1.0, "rate")
    means: list = numbers([], "means")
    names: list = words(["x"], "names", ("x", "y"))


@dataclass
class Config(RunConfig):
    study: str = choice("one", "study", ("one", "two"))
    part: Part = group(Part, "part")


EFFECTS = (
    effect("part.gain", {"part.kind": ("b", "c")}, {"study": "two", "part.means": EMPTY}),
    effect("part.size", {"part.means": EMPTY, "part.kind": but("c")}),
    effect("part.rate", {"part.names": holding("y"), "part.size": at_most(3)}),
    effect("sweep.part.rate"),
    effect("sweep.part.size", {"study": "one"}),
)


def settled(given="", sweep=None, **changes):
    config = Config(part=Part(**changes), sweep=sweep or {})
    return settle(config, EFFECTS, dict.fromkeys(given.split(), ""))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"gain": 2.0},
            "part.gain has no effect when part.kind=a and study=one: drop it, or take part.kind=b "
            "or c, or study=two",
        ),
        (
            {"size": 5, "means": [1.0]},
            "part.size has no effect when part.means is given: drop it, or take no part.means",
        ),
        (
            {"size": 5, "kind": "c"},
            "part.size has no effect when part.kind=c: drop it, or take part.kind other than c",
        ),
        (
            {"rate": 5.0},
            "part.rate has no effect when part.names is given: drop it, or take part.names with y",
        ),
        (
            {"rate": 5.0, "names": ["y"], "size": 4},
            "part.rate has no effect when part.size=4: drop it, or take part.size of at most 3",
        ),
    ],
)
def test_the_nearest_way_to_an_effect_is_named(changes, sentence):
    with pytest.raises(InputError) as found:
        settled(" ".join(f"part.{name}" for name in changes), **changes)
    assert str(found.value) == sentence


def test_fields_with_an_effect_or_at_their_default_pass():
    assert settled("part.gain part.kind", gain=2.0, kind="b").part.gain == 2.0
    assert settled("part.gain", gain=1.0).part.gain == 1.0


def test_what_was_not_given_falls_back_to_its_default():
    found = settled(gain=2.0, size=3)
    assert (found.part.gain, found.part.size) == (1.0, 3)
    axes = {"part": {"gain": [1.0, 2.0], "size": [1, 2]}}
    assert settled(sweep=axes).sweep == {"part.size": [1, 2]}


def test_a_file_is_named_with_the_value_that_mends_it():
    config = Config(part=Part(gain=2.0))
    with pytest.raises(
        InputError, match=r"^part.gain=2.0 in f.yaml has .*: give part.gain=1.0, or"
    ):
        settle(config, EFFECTS, {"part.gain": "f.yaml"})


@pytest.mark.parametrize(
    ("axis", "sentence"),
    [
        ("part.gain", "sweep.part.gain has no effect when part.kind=a and study=one: drop it"),
        ("part.rate", "sweep.part.rate has no effect when part.names is given"),
        ("save_every", "sweep.save_every has no effect: save_every changes no result"),
        ("block_size", "sweep.block_size has no effect: block_size changes no result"),
    ],
)
def test_axes_over_fields_without_effect_are_refused(axis, sentence):
    with pytest.raises(InputError, match=sentence):
        settled(f"sweep.{axis}", {axis: [1, 2]})


def test_a_field_that_is_read_once_for_all_members_is_no_axis():
    with pytest.raises(
        InputError, match=r"part.rate is no axis of one: -m part.rate=... makes one"
    ):
        settled("sweep.part.rate", {"part": {"rate": [1.0, 2.0]}}, names=["y"])


@pytest.mark.parametrize(
    ("axis", "study"), [("seeds", "one"), ("first_seed", "one"), ("part.size", "two")]
)
def test_a_field_that_fixes_shapes_is_an_axis_only_where_the_table_says_so(axis, study):
    config = Config(study=study, sweep={axis: [2, 3]})
    with pytest.raises(InputError) as found:
        settle(config, EFFECTS, {f"sweep.{axis}": ""})
    assert str(found.value) == (
        f"sweep.{axis} is no axis of {study}: -m {axis}=... makes one run per value"
    )
    assert settle(config, EFFECTS, {}).sweep == {}
    assert settled("sweep.part.size", {"part.size": [2, 3]}).sweep == {"part.size": [2, 3]}


def test_an_axis_needs_what_its_field_needs_and_more():
    with pytest.raises(InputError, match=r"sweep.part.size has no effect when part.kind=c"):
        settled("sweep.part.size", {"part.size": [2, 3]}, kind="c")


def test_a_value_beside_its_axis_has_no_effect():
    axes = {"part": {"size": [1, 2]}}
    with pytest.raises(InputError, match=r"part.size is given twice, as a value and as an axis"):
        settled("part.size sweep.part.size", axes, size=3)
    beside = (*EFFECTS, effect("beside.part.size", {"study": "one"}))
    given = {"part.size": "", "sweep.part.size": ""}
    assert settle(Config(part=Part(size=3), sweep=axes), beside, given).part.size == 3


def test_an_axis_counts_as_given():
    table = (effect("part.gain", {"sweep.part.size": GIVEN}),)
    config = Config(part=Part(gain=2.0))
    with pytest.raises(InputError, match=r"when sweep.part.size is not given"):
        settle(config, table, {"part.gain": ""})
    swept = Config(part=Part(gain=2.0), sweep={"part": {"size": [1, 2]}})
    assert settle(swept, table, {"part.gain": ""}).part.gain == 2.0
