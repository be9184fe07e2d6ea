"""Whatever a user types, brings or breaks ends valid, or in exit 2 or 4 with one sentence.

Each failure names the command that repeats it.
"""

import pytest

from tests.fuzz.cases import faults

FEW = {"lines": 60, "lists": 40, "files": 100, "folders": 30}
MANY = {"lines": 900, "lists": 350, "files": 400, "folders": 300, "real": 50}


@pytest.mark.slow
@pytest.mark.parametrize("kind", FEW)
def test_a_few_cases_end_well(kind):
    found = faults(kind, range(FEW[kind]))
    assert not found, "\n\n".join(found)


@pytest.mark.slow
@pytest.mark.parametrize("kind", MANY)
def test_two_thousand_cases_end_well(kind):
    found = faults(kind, range(FEW.get(kind, 0), MANY[kind]))
    assert not found, "\n\n".join(found)
