"""A page of a few runs, made once."""

from pathlib import Path

import pytest

from fineq import report
from fineq.runs import compare, load
from tests.report.made import EVIL, REGISTERED, Node, make_runs, parsed, result
from tests.shell.made import make_run, undrawn


@pytest.fixture(scope="session")
def outputs(tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("made") / "outputs"
    with undrawn():
        make_runs(output)
    return output


@pytest.fixture(scope="session")
def written(outputs, tmp_path_factory) -> Path:
    to = tmp_path_factory.mktemp("page") / "new" / "report.html"
    return report.write(outputs, to, registered=REGISTERED)


@pytest.fixture(scope="session")
def page(written) -> Node:
    return parsed(written.read_text())


@pytest.fixture(scope="session")
def beside(outputs, tmp_path_factory) -> Path:
    """The page of a run beside itself, of two that differ, and of one without a partner."""
    other = tmp_path_factory.mktemp("other") / "outputs"
    with undrawn():
        faster = make_run(other, made=result(speed=0.5), law={"radius": 2.0})
    (made,) = outputs.glob("nlqr/landscape/*")
    (evil,) = (path for path in outputs.glob("toy/*/*") if EVIL[:4] in path.parent.name)
    first, second, third = (load(path) for path in (made, faster, evil))
    pairs = [compare(first, first), compare(first, second), compare(third, first)]
    to = tmp_path_factory.mktemp("page") / "comparison.html"
    svg = b"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 748 280'/>"
    with pytest.MonkeyPatch.context() as patch:  # drawings are looked at on the other page
        patch.setattr(report.found, "vector", lambda *_: svg)
        return report.write_comparison(pairs, to, alone=[("A", third), ("B", second)])


@pytest.fixture(scope="session", params=["written", "beside"])
def any_page(request) -> Node:
    return parsed(request.getfixturevalue(request.param).read_text())
