"""Figures in one style, drawn from named arrays alone."""

from fineq.plot.drawing import KINDS as KINDS
from fineq.plot.drawing import draw as draw
from fineq.plot.drawing import render as render
