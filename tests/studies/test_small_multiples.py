"""Every combination of swept values has its panels, or the figure says how many have none."""

import pytest

from fineq.figures import Line, Panel, from_json, to_json
from fineq.studies.common import LARGEST, SHOWN, Slice, first_alone, listed, small_multiples

SHARED = Panel("curves", "x", (Line("shared"),))


def pieces(count: int) -> list[Slice]:
    return [Slice((i,), {"a": float(i)}, f"a = {i}") for i in range(count)]


def panels_of(each: int):
    return lambda piece: [Panel("curves", "x", (Line(f"v{i}", "", piece.at),)) for i in range(each)]


@pytest.mark.parametrize("each", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 2, 4, SHOWN])
@pytest.mark.parametrize("more", [[], [SHARED]])
def test_all_combinations_are_drawn_once_and_together(count, each, more):
    figures = small_multiples("f", pieces(count), panels_of(each), "about", more)
    found = [p for figure in figures for p in figure.panels if p != SHARED]
    assert [p.lines[0].at["a"] for p in found] == [i for i in range(count) for _ in range(each)]
    assert [p for figure in figures for p in figure.panels if p == SHARED] == more
    assert [f.name for f in figures] == ["f", "f_2", "f_3", "f_4"][: len(figures)]
    assert all(0 < len(figure.panels) <= LARGEST for figure in figures)
    assert {(figure.caption, figure.note) for figure in figures} == {("about", "")}
    for figure in figures:  # a combination is not torn apart
        values = [p.lines[0].at["a"] for p in figure.panels if p != SHARED]
        assert all(values.count(value) == each for value in values)


def test_of_many_combinations_some_are_drawn_from_end_to_end_and_the_figures_say_so():
    figures = small_multiples("f", pieces(31), panels_of(1))
    shown = [p.lines[0].at["a"] for figure in figures for p in figure.panels]
    assert shown == [0, 6, 12, 18, 24, 30]
    assert figures[0].note == "6 of 31 combinations of swept values are drawn; the data hold all"
    assert from_json(to_json(figures)) == figures


def test_no_panel_no_figure():
    assert small_multiples("f", pieces(2), lambda piece: []) == ()


def test_words_of_a_combination():
    (alone,) = [Slice((), {}, "")]
    assert listed("Risk", alone.label) == "Risk"
    assert listed(pieces(1)[0].label, "8 seeds") == "a = 0, 8 seeds"
    assert first_alone([alone]) == ""
    assert first_alone(pieces(3)) == "at a = 0, the first of 3 combinations of swept values"
