"""Arrays, coordinates, units and figures survive the data file; damage does not pass."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from fineq.figures import Figure, Fit, Line, Panel, Theory, from_json, to_json
from fineq.results import Array, StudyResult, status_of
from fineq.runs.data import DamagedError, figures_of, read_dataset, to_dataset, write_dataset

ARRAYS = {
    "error": Array(np.array([[1.0, np.nan], [np.inf, 5e-324]]), ("seed", "time"), "s", "é"),
    "flag": Array(np.array([True, False]), ("seed",), "1", "yes or no"),
    "single": Array(np.array(0.1, np.float32), (), "days", "a scalar"),
    "count": Array(np.array([2**62, -1]), ("seed",), "1", "integers"),
    "nothing": Array(np.zeros((0, 2)), ("none", "seed"), "1", "empty"),
}
COORDS = {
    "seed": Array(np.array([7, 9]), ("seed",), "1", "seed"),
    "time": Array(np.array([0.0, 0.1]), ("time",), "seconds", "time"),
    "name": Array(np.array(["a", "ℓ"]), ("seed",), "1", "name"),
}
FIGURE = Figure(
    "f",
    (
        Panel(
            "powerlaw",
            "time",
            (Line("error", "ℓ", {"seed": 7}, fit=Fit(-0.5, None, -0.4)),),
            (Theory("t", exponent=-0.5, line=0), Theory("v", variable="error", at={"seed": 9})),
            over=(),
            band=(0.25, 0.75),
        ),
    ),
    "caption",
)


def test_the_file_gives_back_the_same_data_set(tmp_path: Path):
    dataset = to_dataset(ARRAYS, COORDS, (FIGURE,), {"study": "toy"})
    digest = write_dataset(tmp_path / "data.nc", dataset)
    back = read_dataset(tmp_path / "data.nc", digest)
    assert back.identical(dataset)
    for name, array in ARRAYS.items():
        assert back[name].dtype == array.values.dtype
        assert back[name].attrs == {"units": array.units, "long_name": array.long_name}
    assert set(back.coords) == set(COORDS)
    assert figures_of(back) == (FIGURE,)


def test_the_same_arrays_give_the_same_bytes(tmp_path: Path):
    digests = {
        write_dataset(tmp_path / name, to_dataset(ARRAYS, COORDS, (FIGURE,))) for name in "ab"
    }
    assert len(digests) == 1


@pytest.mark.parametrize(
    "damage",
    [lambda b: b[:-1], lambda b: b[:100], lambda b: b"", lambda b: b[:500] + b"\1" + b[501:]],
)
def test_a_changed_file_is_damaged_whatever_it_still_says(tmp_path, damage):
    path = tmp_path / "data.nc"
    digest = write_dataset(path, to_dataset(ARRAYS, COORDS))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DamagedError, match=r"data\.nc is damaged: its checksum differs"):
        read_dataset(path, digest)


def test_a_truncated_file_is_damaged_even_without_a_checksum(tmp_path):
    path = tmp_path / "data.nc"
    write_dataset(path, to_dataset(ARRAYS, COORDS))
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(DamagedError, match="not a netCDF file"):
        read_dataset(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DamagedError, match=r"data\.nc is missing"):
        read_dataset(tmp_path / "data.nc")


@pytest.mark.parametrize("lay", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_not_read(tmp_path, lay):
    lay(tmp_path / "data.nc")
    with pytest.raises(DamagedError, match=r"data\.nc cannot be read: it is not a file"):
        read_dataset(tmp_path / "data.nc")


def test_dims_must_name_every_axis_once():
    for dims in (("a",), ("a", "a"), ("a", "b", "c")):
        with pytest.raises(ValueError, match="cannot have the dimensions"):
            Array(np.zeros((2, 2)), dims, "1", "x")


def test_arrays_that_disagree_are_both_named():
    one, two = (Array(np.zeros(k), ("seed",), "1", "") for k in (2, 3))
    with pytest.raises(ValueError, match="length 2 in 'one' and 3 in 'two'"):
        StudyResult({"two": two}, {"one": one})


@pytest.mark.parametrize(
    ("mask", "status"),
    [
        ([False, False], "complete"),
        ([True, False], "partly_diverged"),
        ([True], "diverged"),
        ([], "complete"),
    ],
)
def test_status_of_a_study(mask, status):
    assert status_of(np.array(mask)) == status


def test_figures_with_numbers_that_are_not_finite_lose_only_those():
    panel = Panel(
        "convergence",
        "k",
        (Line("e"),),
        (Theory("t", ratio=np.nan), Theory("u", ratio=np.float64(0.5))),
    )
    (back,) = from_json(to_json((Figure("f", (panel,)),)))
    assert back.panels[0].theory == (Theory("t"), Theory("u", ratio=0.5))


def test_a_figure_keeps_the_claims_that_it_shows_and_an_older_one_shows_all():
    panel = Panel("convergence", "k", (Line("e"),))
    text = to_json((Figure("f", (panel,), claims=("a/b", "a/c")),))
    (back,) = from_json(text)
    assert [back.shows(id) for id in ("a/b", "a/c", "a/d")] == [True, True, False]
    items = json.loads(text)
    del items[0]["claims"]
    (older,) = from_json(json.dumps(items))
    assert older.shows("a/d")


@pytest.mark.parametrize("text", ['[{"name": "f"}]', "[1]", "7", "not json"])
def test_other_json_is_no_figure(text):
    with pytest.raises(ValueError):  # noqa: PT011
        from_json(text)


def test_theory_takes_one_form():
    with pytest.raises(ValueError, match="one of"):
        Theory("x", ratio=0.5, level=1.0)
