"""Figures of a run: drawn again when what draws has changed, and never at the cost of data."""

import os
import subprocess
import sys

import pytest

from fineq.runs import files as files_module
from fineq.runs import find_run, load, redraw
from tests.runs.conftest import (
    FIGURES,
    WRITTEN,
    save,
)

UNDRAWN = [name for name in WRITTEN if name not in FIGURES]
pytestmark = pytest.mark.usefixtures("plain_figures")


def test_redraw_recomputes_nothing_and_keeps_the_run_whole(opened, monkeypatch):
    with opened() as run:
        save(run)
    from fineq import plot

    monkeypatch.setattr(plot, "render", lambda x, _=None: {"png": b"new style"})
    assert redraw(run.path) == [run.path / "decay.png"]
    assert (run.path / "decay.png").read_bytes() == b"new style"
    with opened() as again:
        assert again.complete
        assert again.damage == ()


def test_a_figure_that_cannot_be_drawn_costs_only_itself_and_is_drawn_later(opened, monkeypatch):
    from fineq import plot

    def fail(*_):
        raise RuntimeError("latex could\n  not be found")

    working = plot.draw
    monkeypatch.setattr(plot, "draw", fail)
    with opened() as run:
        save(run)
    why = {"decay": "RuntimeError: latex could not be found"}
    assert sorted(os.listdir(run.path)) == UNDRAWN
    loaded = load(run.path)
    assert loaded.summary["undrawn"] == why
    assert loaded.summary["status"] == "complete"
    assert len(loaded.summary["claims"]) == 1
    computed = (run.path / "data.nc").read_bytes()
    with opened() as again:  # in vain, once more
        assert again.complete
        assert again.summary()["undrawn"] == why
    monkeypatch.setattr(plot, "draw", working)
    with opened() as again:
        assert again.complete
        assert again.summary()["undrawn"] == {}
        assert any("drawn again" in remark for remark in again.remarks)
    assert sorted(os.listdir(run.path)) == WRITTEN
    assert (run.path / "data.nc").read_bytes() == computed
    monkeypatch.setattr(plot, "draw", fail)
    with opened() as again:
        assert again.remarks == ()  # nothing is left to draw


def test_a_figure_that_fails_leaves_no_figure_of_other_data(opened, monkeypatch):
    from fineq import plot

    with opened() as run:
        save(run)
    monkeypatch.setattr(plot, "render", lambda *_: {}["gone"])
    with opened(force=True) as run:
        save(run, scale=2.0)
    assert sorted(os.listdir(run.path)) == UNDRAWN


SETTINGS = """
import sys
from pathlib import Path
from fineq.runs.drawing import write_figures
from fineq.runs.data import read_dataset
drawn = write_figures(Path(sys.argv[1]), read_dataset(Path(sys.argv[1]) / "data.nc"))
print(sorted(drawn.files), drawn.failed)
"""


@pytest.mark.slow
def test_figures_are_drawn_under_settings_that_matplotlib_refuses(opened, tmp_path):
    """A notebook's backend that is not installed, and a file of settings in another encoding."""
    with opened() as run:
        save(run)
    (tmp_path / "matplotlibrc").write_bytes(b"text.usetex: True\n# \xff\xfe\n")
    rc = {"MPLBACKEND": "module://nowhere.inline", "MATPLOTLIBRC": str(tmp_path / "matplotlibrc")}
    words = [sys.executable, "-c", SETTINGS, str(run.path)]
    done = subprocess.run(words, env={**os.environ, **rc}, capture_output=True, text=True)
    assert done.stdout == "['decay.pdf', 'decay.png'] {}\n", done.stderr
    assert (run.path / "decay.png").read_bytes().startswith(b"\x89PNG")


def test_what_draws_may_change_and_is_drawn_again_with_nothing_computed(
    opened, named, sources, monkeypatch, tmp_path
):
    with opened() as run:
        save(run)
    data = (run.path / "data.nc").stat().st_mtime_ns
    from fineq import plot

    (sources / "plot" / "style.py").write_text("width = 2\n")
    monkeypatch.setattr(plot, "render", lambda x, _=None: {"png": b"wide", "pdf": b"%PDF wide"})
    assert find_run(tmp_path / "outputs", named()) is None
    with opened() as again:
        assert again.complete
        assert again.path == run.path
        assert again.remarks == ("its figures are drawn again, as they are drawn now",)
    assert (run.path / "decay.png").read_bytes() == b"wide"
    assert (run.path / "data.nc").stat().st_mtime_ns == data
    assert find_run(tmp_path / "outputs", named()) is not None
    with opened() as third:
        assert third.remarks == ()


def test_figures_that_cannot_be_drawn_again_stay(opened, sources, monkeypatch):
    with opened() as run:
        save(run)
    before = (run.path / "decay.png").read_bytes()
    (sources / "plot" / "style.py").write_text("width = 2\n")
    monkeypatch.setattr(files_module.os, "access", lambda path, mode: False)
    with opened() as again:
        assert again.complete
        assert "as they were drawn before" in again.remarks[0]
    assert (run.path / "decay.png").read_bytes() == before
