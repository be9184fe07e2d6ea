"""A loaded run says what it holds and what made it."""

import json

import numpy as np
import pytest
import yaml

from fineq.errors import InputError
from fineq.runs import SavedRate, find, load
from tests.runs.conftest import save

pytestmark = pytest.mark.usefixtures("plain_figures")


def test_a_loaded_run_says_in_a_few_lines_what_it_holds(opened):
    with opened() as run:
        save(run)
    loaded = find(run.path.parents[2], study="decay", name="run")[0].load()
    assert repr(loaded).splitlines() == [
        "<run of toy/decay, complete, seeds 3",
        " axes    seed 3, iteration 4",
        " arrays  error",
        " claims  1 holds",
        f" path    {run.path}>",
    ]
    assert loaded.study == "toy/decay"
    assert loaded.rates == (SavedRate("e", "m", 0.5, None, None, 3, "linear"),)
    with pytest.raises(InputError, match="claims of another kind"):
        _ = loaded.claims  # those of these tests say "r" for their reason
    assert find(run.path.parents[2], name="other") == []


def test_the_data_say_what_made_them(opened):
    config = {"seeds": 3, "output": "outputs", "law": {"name": "ℓ"}}
    with opened(config) as run:
        save(run)
    about = load(run.path).dataset.attrs
    assert yaml.safe_load(about["config"]) == {"seeds": 3, "law": {"name": "ℓ"}}
    assert json.loads(about["versions"])["numpy"] == np.__version__
    assert about["commit"] == (load(run.path).summary["environment"]["commit"] or "")
    assert (about["area"], about["study"], about["run"]) == ("toy", "decay", run.identity.hash)
