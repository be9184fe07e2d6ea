"""Runs beside each other on a page: what `fineq compare` finds, and both figures of a name."""

import pytest

from fineq import report
from fineq.errors import InputError
from fineq.report.comparison import FINDINGS, _equal
from fineq.runs import LoadedRun, compare, load, to_dataset
from tests.report.made import EVIL, Node, claims, parsed
from tests.report.test_page import rows_of


@pytest.fixture(scope="module")
def page(beside) -> Node:
    return parsed(beside.read_text())


def test_each_pair_says_what_was_told_and_found_otherwise(page):
    same, moved, strange, first, second = rows_of(page, "pairs")
    found = [row.get("data-tone") for row in (same, moved, strange, first, second)]
    assert found == ["agrees", "differs", "differs", "only A", "only B"]
    assert "2 equal" in same.text
    assert "law.radius" in moved.text
    assert "1 equal, 1 apart beyond chance" in moved.text
    for row in (same, moved, strange, first, second):
        assert f"{FINDINGS[row.get('data-tone')]} {row.get('data-tone')}" in row.text


def test_each_claim_stands_as_both_found_it(page):
    number = len(claims())
    rows = rows_of(page, "rows")
    assert [row.get("data-finding") for row in rows[:number]] == ["agrees"] * number
    moved = rows[number : 2 * number]
    assert [row.get("data-finding") for row in moved] == ["differs"] + ["agrees"] * (number - 1)
    assert "2 J[1.5, 2.5]✓ holds" in moved[0].text
    assert "4 J[3, 5]✓ holds" in moved[0].text
    alone = [row.get("data-finding") for row in rows[2 * number :]]
    assert alone == ["only A"] + ["only B"] * number


def test_figures_of_one_name_stand_beside_each_other_once_where_their_data_are_equal(page):
    same, moved, *_ = page.all("article")
    assert [len(div.all("figure")) for div in same.all("div") if div.get("class") == "beside"] == [
        1,
        1,
        1,
    ]
    assert "are equal" in same.text
    sides = [div.all("figcaption") for div in moved.all("div") if div.get("class") == "beside"]
    assert [[one.text[:8] for one in captions] for captions in sides] == [
        ["A decay ", "B decay "],
        ["A power ", "B power "],
        ["A plane ", "B plane "],
    ]


def test_figures_are_equal_where_arrays_and_what_is_drawn_of_them_are(outputs):
    (made,) = outputs.glob("nlqr/landscape/*")
    run = load(made)

    def with_data(dataset):
        return compare(run, LoadedRun(run.path, run.config, dataset, run.summary))

    assert _equal(with_data(run.dataset.copy()))
    undrawn = run.dataset.copy()
    undrawn.attrs = {**undrawn.attrs, "figures": "[]"}
    assert not _equal(with_data(undrawn))
    renamed = run.dataset.copy(deep=True)
    renamed["gap"].attrs["units"] = "nats"
    assert not _equal(with_data(renamed))
    empty = LoadedRun(run.path, run.config, to_dataset({}), run.summary)
    assert not _equal(compare(empty, empty))


def test_settings_and_arrays_that_differ_are_listed(page):
    _, moved, *_ = page.all("article")
    cells = [[cell.text for cell in row.all("td")] for row in moved.all("tr")]
    assert ["law.radius", "–", "2.0"] in cells
    (gap,) = [row for row in cells if row[:1] == ["gap"]]
    # Half of the largest number; at 2 x 2 x 9 entries.
    assert gap[1:3] == ["apart beyond chance", "0.5"]
    assert gap[3].endswith(" of 36")


def test_nothing_that_a_run_says_is_more_than_text(page, beside):
    assert page.text.count(EVIL) >= 5
    assert "<img src=x" not in beside.read_text()
    assert not page.all("img", "link", "iframe")


def test_a_place_that_refuses_the_page_is_said(outputs, tmp_path):
    (made,) = outputs.glob("nlqr/landscape/*")
    run = load(made)
    with pytest.raises(InputError, match="is a folder"):
        report.write_comparison([compare(run, run)], tmp_path)
