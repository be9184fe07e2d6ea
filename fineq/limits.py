"""Limits that mathematics and configuration both know, for rooms that load in no time."""

#: Dimensions of a state up to which there are quadrature rules for an initial law.
MOST_QUADRATURE = 3
