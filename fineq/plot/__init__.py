"""Figures in one style, drawn from named arrays alone."""

from fineq.plot.drawing import KINDS, draw, render, vector
from fineq.plot.style import house_style

__all__ = ["KINDS", "draw", "house_style", "render", "vector"]
