"""What was read of files is printed on every run: when it begins, and when it is found."""

from fineq.results import StudyResult
from fineq.shell.compose import compose
from fineq.shell.execute import execute
from fineq.studies.inputs import Loaded
from fineq.studies.nlqr.area import AREA

WORDS = "plant.npz: A [2, 2], B [2, 1]"


def test_what_was_read_is_said_when_a_run_begins_and_when_it_is_found(
    tmp_path, capsys, monkeypatch
):
    config = compose(AREA, [f"output={tmp_path}"])
    seen = []

    def study(config, given, stages):
        seen.append((given, capsys.readouterr().out))
        return StudyResult({}, {})

    loaded = Loaded("a plant", {"system.path": WORDS})
    monkeypatch.setattr(f"fineq.studies.nlqr.{AREA.studies[config.study]}.run", study)
    monkeypatch.setattr("fineq.studies.nlqr.given.load", lambda config: loaded)
    assert execute(AREA, config)[0] == 0
    assert seen == [("a plant", f"system.path: {WORDS}\n")]
    assert f"system.path: {WORDS}" in capsys.readouterr().out
    assert execute(AREA, config)[0] == 0
    assert len(seen) == 1
    assert f"system.path: {WORDS}" in capsys.readouterr().out
