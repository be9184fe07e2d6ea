"""The hash changes with what changes results and with nothing else."""

import shutil
from pathlib import Path

import pytest

from fineq.config import WITHOUT_EFFECT
from fineq.errors import InputError
from fineq.runs.digest import own_sources, run_hash, sources_digest

CONFIG = {"seeds": 4, "system": {"lipschitz": 1.0, "path": "plant.npz"}, "precision": "float64"}


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    root = tmp_path / "package"
    (root / "inner").mkdir(parents=True)
    (root / "a.py").write_text("x = 1\n")
    (root / "inner" / "b.py").write_text("y = 2\n")
    return root


def hashed(sources: Path, config=CONFIG, study="area/study", files=None) -> str:
    return run_hash(study, config, files, [sources])


def test_same_input_gives_the_same_name_in_any_order(sources):
    backwards = dict(reversed(CONFIG.items()))
    assert hashed(sources) == hashed(sources, backwards)
    assert len(hashed(sources)) == 12
    assert int(hashed(sources), 16) >= 0


@pytest.mark.parametrize("field", WITHOUT_EFFECT)
def test_fields_without_effect_do_not_count(sources, field):
    assert hashed(sources, {**CONFIG, field: "anything"}) == hashed(sources)


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": 5},
        {"precision": "float32"},
        {"system": {"lipschitz": 1.0 + 1e-15, "path": "plant.npz"}},
        {"new": None},
        {"system": {"lipschitz": 1.0, "path": "plant.npz", "output": "counts: not at the top"}},
    ],
)
def test_every_other_field_counts(sources, change):
    assert hashed(sources, {**CONFIG, **change}) != hashed(sources)


def test_the_study_counts(sources):
    assert hashed(sources, study="area/other") != hashed(sources)


def test_the_content_of_a_data_file_counts_and_its_place_does_not(sources, tmp_path):
    first, second = tmp_path / "plant.npz", tmp_path / "copy.npz"
    first.write_bytes(b"data")
    shutil.copy(first, second)
    moved = {**CONFIG, "system": {"lipschitz": 1.0, "path": str(second)}}
    before = hashed(sources, files={"system.path": first})
    assert hashed(sources, moved, files={"system.path": second}) == before
    second.write_bytes(b"dato")
    assert hashed(sources, moved, files={"system.path": second}) != before


def test_a_missing_data_file_is_named_with_its_field(sources, tmp_path):
    with pytest.raises(InputError, match=r"system\.path: cannot read .*none\.npz"):
        hashed(sources, files={"system.path": tmp_path / "none.npz"})


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "a.py").write_text("x = 2\n"),
        lambda root: (root / "c.py").write_text(""),
        lambda root: (root / "inner" / "b.py").rename(root / "b.py"),
        lambda root: (root / "a.py").unlink(),
        # The same bytes cut elsewhere between two files.
        lambda root: (
            (root / "a.py").write_text("x = 1\ny"),
            (root / "inner" / "b.py").write_text(" = 2\n"),
        ),
    ],
)
def test_every_change_of_the_sources_counts(sources, change):
    before = hashed(sources)
    change(sources)
    assert hashed(sources) != before


def test_caches_other_files_and_the_place_of_the_sources_do_not_count(sources, tmp_path):
    before = sources_digest([sources])
    (sources / "__pycache__").mkdir()
    (sources / "__pycache__" / "a.py").write_text("cached")
    (sources / "notes.txt").write_text("text")
    moved = tmp_path / "elsewhere" / "package"
    shutil.copytree(sources, moved)
    (moved / "a.py").touch()
    assert sources_digest([sources]) == sources_digest([moved]) == before


def test_own_sources_are_those_of_fineq_and_experiments():
    import experiments
    import fineq

    roots = [Path(fineq.__path__[0]), Path(experiments.__path__[0])]
    assert own_sources() == sources_digest(roots)
