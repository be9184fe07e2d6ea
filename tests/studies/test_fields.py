"""Refusals of the library, told of fields."""

import pytest

from fineq.errors import InputError, ResourceError
from fineq.studies.fields import about_fields


@pytest.mark.parametrize("kind", [InputError, ResourceError])
def test_parameters_are_called_by_their_fields(kind):
    """Whole words only, and none that already belongs to something."""
    fields = {"means": "data.means", "'blocked'": "descent.method=blocked"}
    with pytest.raises(kind) as caught, about_fields(fields):
        raise kind("means must not demean reward.means or means_of: take 'blocked'")
    said = "data.means must not demean reward.means or means_of: take descent.method=blocked"
    assert str(caught.value) == said


def test_what_is_no_refusal_passes():
    with pytest.raises(KeyError, match="means"), about_fields({"means": "data.means"}):
        raise KeyError("means")
