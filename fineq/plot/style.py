"""One visual style for every figure: legible in a talk, colour-blind-safe, reproducible."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import to_hex, to_rgb

from fineq.errors import InputError, in_a_line

# Okabe and Ito's palette without its yellow, which vanishes on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# A sequential map that keeps its order in grey and for every colour vision; its pale end is cut.
_SEQUENCE = "viridis"
_PALEST = 0.8
THEORY = "#555555"
INK = "#222222"

PANEL_WIDTH = 5.2
PANEL_HEIGHT = 3.9
FIELD_WIDTH = 3.9
NOTE_SIZE = 9.5
ROW_WIDTH = 12.0  # panels beyond it go into a row of their own

STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 12,
    "axes.titlesize": 13,
    "axes.labelsize": 12,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.9,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.which": "major",
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.7,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "text.color": INK,
    "lines.linewidth": 2.2,
    "lines.markersize": 6,
    "lines.solid_capstyle": "round",
    "mathtext.fontset": "dejavusans",
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "figure.facecolor": "white",
    "pdf.fonttype": 42,  # embedded TrueType: text stays text
    "pdf.compression": 9,
    "svg.hashsalt": "fineq",
    "path.simplify": True,
}


# Ways to show figures, not to draw them: they stay as the user has set them.
_SHOWING = ("backend", "interactive", "toolbar")


@contextmanager
def house_style(over: str | Mapping[str, Any] | None = None) -> Iterator[None]:
    """Draw in this style over matplotlib's own defaults, whatever the user's settings are.

    Args:
        over: laid over it: a style of matplotlib's by name or path, or settings by name.

    Raises:
        InputError: for a style or a setting that matplotlib does not have.

    """
    with matplotlib.rc_context():
        defaults: Any = {
            name: value
            for name, value in matplotlib.rcParamsDefault.items()
            if not name.startswith(_SHOWING)
        }
        matplotlib.rcParams.update({**defaults, **STYLE})
        if over is not None:
            _lay(over)
        yield


def _lay(style: str | Mapping[str, Any]) -> None:
    from matplotlib.style import available, use

    try:
        use(dict(style) if isinstance(style, Mapping) else style)
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(style, str) and isinstance(error, OSError):
            raise InputError(
                f"style is none of matplotlib's and no file of settings, got {style}: "
                f"there are {', '.join(available)}"
            ) from error
        raise InputError(f"style is none of matplotlib's: {in_a_line(error)}") from error


def colours(count: int, ordered: bool) -> list[str]:
    """Return `count` distinguishable colours; along one scale when the lines are ordered."""
    if ordered and count > 1:
        scale = matplotlib.colormaps[_SEQUENCE]
        return [to_hex(scale(_PALEST * i / (count - 1))) for i in range(count)]
    if count > len(PALETTE):
        return colours(count, ordered=True)
    return list(PALETTE[:count])


def ink(colour: str, contrast: float = 3.5) -> str:
    """Return the colour, darkened until text in it stands out from white by this contrast ratio."""
    rgb = np.array(to_rgb(colour))
    while 1.05 / (_luminance(rgb) + 0.05) < contrast:
        rgb = rgb * 0.97
    return to_hex(tuple(rgb))


def shade(colour: str) -> str:
    """Return a much darker version of the colour: theory's line over the measured one."""
    return to_hex(tuple(0.55 * np.array(to_rgb(colour))))


def _luminance(rgb: np.ndarray) -> float:
    # Relative luminance as defined by the web content accessibility guidelines.
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ np.array([0.2126, 0.7152, 0.0722]))
