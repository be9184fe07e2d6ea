"""The hash changes with what changes results and with nothing else."""

import shutil
from pathlib import Path

import pytest

from fineq.errors import InputError
from fineq.runs import identify
from fineq.runs.digest import DRAWING, PACKAGE, SPEAKING, own_sources, sources_of
from fineq.settings.config import WITHOUT_EFFECT

ROOT = Path(__file__).parents[2]
CONFIG = {"seeds": 4, "system": {"lipschitz": 1.0, "path": "plant.npz"}, "precision": "float64"}


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    root = tmp_path / "fineq"
    (root / "inner").mkdir(parents=True)
    (root / "a.py").write_text("x = 1\n")
    (root / "inner" / "b.py").write_text("y = 2\n")
    return root


def hashed(sources: Path, config=CONFIG, study="study", files=None, **others) -> str:
    identity = identify("area", study, "run", config, files, sources_of([sources]), **others)
    return identity.hash


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
    assert hashed(sources, study="other") != hashed(sources)


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
    before = sources_of([sources])
    (sources / "__pycache__").mkdir()
    (sources / "__pycache__" / "a.py").write_text("cached")
    (sources / "notes.txt").write_text("text")
    moved = tmp_path / "elsewhere" / "fineq"
    shutil.copytree(sources, moved)
    (moved / "a.py").touch()
    assert sources_of([sources]) == sources_of([moved]) == before


def test_own_sources_are_those_of_fineq_by_whatever_command():
    import fineq

    assert own_sources() == sources_of([Path(fineq.__path__[0])])


@pytest.mark.parametrize("change", [{"platform": "gpu"}, {"own": {"m": "1"}}, {"flags": ["--x"]}])
def test_the_platform_the_users_code_and_flags_count(sources, change):
    assert hashed(sources, **change) != hashed(sources)


@pytest.fixture(scope="module")
def copies(tmp_path_factory) -> Path:
    """The package itself, in a folder where it may be changed."""
    home = tmp_path_factory.mktemp("copies")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / PACKAGE, home / PACKAGE, ignore=ignored)
    return home


@pytest.mark.parametrize("name", [*DRAWING, *SPEAKING])
def test_what_draws_or_speaks_does_not_count(copies, name):
    roots = [copies / PACKAGE]
    files = sorted((copies / name).rglob("*.py")) if name.endswith("/") else [copies / name]
    assert files
    before = sources_of(roots)
    for path in files:
        text = path.read_text()
        path.write_text(text + "# changed\n")
        after = sources_of(roots)
        path.write_text(text)
        assert after.computing == before.computing
        assert (after.drawing != before.drawing) == (name in DRAWING)


def test_a_change_where_numbers_are_made_counts_in_the_same_copy(copies):
    roots = [copies / PACKAGE]
    before = sources_of(roots)
    for name in ("fineq/nlqr/costs.py", "fineq/figures.py", "fineq/shell/execute.py"):
        text = (copies / name).read_text()
        (copies / name).write_text(text + "# changed\n")
        assert sources_of(roots).computing != before.computing
        (copies / name).write_text(text)


@pytest.mark.parametrize(
    ("name", "computes", "draws"),
    [
        ("plot/style.py", False, True),
        ("runs/drawing.py", False, True),
        ("shell/console.py", False, False),
        ("shell/terminal.py", False, False),
        ("plotting.py", True, False),
        ("studies/nlqr/complexity_views.py", True, False),
    ],
)
def test_sources_that_draw_are_told_from_those_that_compute(sources, name, computes, draws):
    before = sources_of([sources])
    path = sources / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("z = 3\n")
    after = sources_of([sources])
    assert (after.computing != before.computing) == computes
    assert (after.drawing != before.drawing) == draws


def test_nothing_that_computes_knows_what_draws_or_speaks():
    """Otherwise a change there could change a number under the same name."""
    import tomllib

    rules = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (rule,) = (
        rule
        for rule in rules["tool"]["importlinter"]["contracts"]
        if rule["name"] == "What computes knows nothing that draws or speaks"
    )
    modules = {
        name.removesuffix("/").removesuffix(".py").replace("/", ".") for name in DRAWING + SPEAKING
    }
    assert {name for name in modules if name.startswith("fineq")} <= {*rule["forbidden_modules"]}
