"""A view of given numbers, for tests of what is said of them."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from fineq.settings.config import RunConfig
from fineq.studies.common import Names, Slice, seed_axis
from fineq.studies.found import Found, Quantity
from fineq.studies.view import View


def view_of(
    values: Mapping[str, np.ndarray],
    quantities: Sequence[Quantity],
    coords: Mapping[str, Any],
    lost: np.ndarray,
    names: Names,
) -> View:
    """The one combination of a study without axes of its own, of as many seeds as `lost` has."""
    axes = [seed_axis(RunConfig(seeds=len(lost)))]
    study: Any = SimpleNamespace(axes=axes, alike=False)
    known = {quantity.name: quantity for quantity in quantities}
    found = Found(values, coords=coords, lost=lost)
    return View(study, found, known, Slice((), {}, ""), {}, {}, names)
