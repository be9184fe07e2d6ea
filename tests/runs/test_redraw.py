"""Figures are drawn again in another style and place; what is there is replaced when asked."""

import pytest
from matplotlib.image import imread

from fineq.errors import InputError
from fineq.runs import load, redraw
from tests.runs.conftest import save


@pytest.mark.slow
def test_a_style_is_drawn_elsewhere_and_the_run_stays_as_it_is(opened, tmp_path):
    with opened() as run:
        save(run)
    before = {path.name: path.read_bytes() for path in run.path.iterdir() if path.is_file()}
    plain, dark = tmp_path / "plain", tmp_path / "talk" / "dark"
    assert redraw(run.path, to=plain) == [plain / "decay.png", plain / "decay.pdf"]
    assert (plain / "decay.png").read_bytes() == before["decay.png"]
    for style in ("dark_background", {"savefig.facecolor": "black"}):
        redraw(load(run.path), style=style, to=dark, overwrite=True)
        corner = imread(dark / "decay.png")[0, 0]
        assert tuple(corner[:3]) == (0, 0, 0)
    assert {p.name: p.read_bytes() for p in run.path.iterdir() if p.is_file()} == before
    assert redraw(run.path, to=plain, overwrite=True)  # the style has left nothing behind
    assert (plain / "decay.png").read_bytes() == before["decay.png"]


def test_data_that_were_changed_after_loading_are_drawn(opened, tmp_path):
    with opened() as run:
        save(run)
    loaded = load(run.path)
    loaded.dataset["error"] *= 2
    redraw(loaded, to=tmp_path / "twice")
    drawn = (tmp_path / "twice" / "decay.png").read_bytes()
    assert drawn != (run.path / "decay.png").read_bytes()


def test_redraw_replaces_nothing_unasked(opened, tmp_path):
    with opened() as run:
        save(run)
    (tmp_path / "decay.pdf").write_text("mine")
    for options, why in (
        ({"style": "dark_background"}, "style= needs to=, another folder"),
        ({"to": tmp_path}, r"decay\.pdf is there already: overwrite=True replaces it"),
        ({"to": run.path}, "is the folder of a run"),
        (
            {"to": tmp_path / "x", "style": "nice"},
            "settings, got nice: there are .*dark_background",
        ),
        ({"to": tmp_path / "x", "style": {"font.colour": 3}}, "style is none of matplotlib's"),
        ({"to": "s3://bucket"}, "must be a folder of this machine"),
    ):
        with pytest.raises(InputError, match=why):
            redraw(run.path, **options)
    assert (tmp_path / "decay.pdf").read_text() == "mine"
