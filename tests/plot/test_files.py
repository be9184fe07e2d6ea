"""Files of figures: the same bytes each time, whatever the user has set."""

import logging

import pytest

from fineq.plot import render
from tests.plot.common import (
    dataset,
    drawn,
    groups,
)


@pytest.mark.slow
def test_figures_are_the_same_whatever_the_user_has_set():
    """No setting of matplotlib's moves a byte: LaTeX, scales, fonts, grids, widths, formats."""
    import matplotlib
    from matplotlib import style

    plain = render(drawn(dataset(), groups()))
    ours = {
        "text.usetex": True,
        "axes.formatter.use_locale": True,
        "axes.prop_cycle": matplotlib.cycler(color=["red"]),
        "font.family": "serif",
        "figure.constrained_layout.use": False,
        "figure.autolayout": True,
        "savefig.bbox": "tight",
        "savefig.transparent": True,
        "savefig.format": "svg",
        "lines.linestyle": ":",
        "axes.xmargin": 0.4,
        "image.cmap": "jet",
    }
    with matplotlib.rc_context():
        style.use("dark_background")
        matplotlib.rcParams.update(ours)
        assert render(drawn(dataset(), groups())) == plain
        assert matplotlib.rcParams["text.usetex"]  # and the user's settings are left alone


@pytest.mark.slow
def test_files_are_the_same_bytes_each_time_with_embedded_fonts():
    first, second = (render(drawn(dataset(), groups())) for _ in range(2))
    assert first == second
    assert first["png"].startswith(b"\x89PNG")
    assert first["pdf"].startswith(b"%PDF")
    assert b"/FontFile2" in first["pdf"]
    assert b"CreationDate" not in first["pdf"]


def test_what_is_odd_about_a_systems_fonts_is_not_said(caplog):
    logging.getLogger("fontTools.misc.timeTools").warning("'created' timestamp seems very low")
    assert caplog.records == []
