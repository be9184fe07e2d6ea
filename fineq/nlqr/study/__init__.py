"""The studies of nearly linear-quadratic control, by name."""

from fineq.nlqr.study.instances import Given as Given
from fineq.nlqr.study.instances import make_features as make_features

STUDIES = {}
