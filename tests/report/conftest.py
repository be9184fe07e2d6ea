"""A page of a few runs, made once."""

from pathlib import Path

import pytest

from fineq import report
from tests.report.made import REGISTERED, Node, make_runs, parsed


@pytest.fixture(scope="session")
def outputs(tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("made") / "outputs"
    with pytest.MonkeyPatch.context() as patch:
        from fineq import plot

        patch.setattr(plot, "draw", lambda *_: None)
        patch.setattr(plot, "render", lambda *_: {})
        make_runs(output)
    return output


@pytest.fixture(scope="session")
def written(outputs, tmp_path_factory) -> Path:
    to = tmp_path_factory.mktemp("page") / "new" / "report.html"
    return report.write(outputs, to, registered=REGISTERED)


@pytest.fixture(scope="session")
def page(written) -> Node:
    return parsed(written.read_text())
