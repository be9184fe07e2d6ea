"""A result is found again only if nothing that made it has changed; the study is a stub."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
import pytest

from fineq.results import Array, StudyResult
from fineq.runs import find, load
from fineq.settings import switches
from fineq.shell.main import main
from fineq.studies.pift.area import AREA
from fineq.sweep import Axis

SMALL = ["seeds=1", "data.d=1", "schedule.num_steps=4", "study=beta"]
OWN = ["reward.name=python", "reward.target=brought:reward"]
MODULES = {
    "brought.py": "import functools\nimport helper\nreward = functools.partial(helper.ring, 1.0)\n",
    "helper.py": "import jax.numpy as jnp\nfrom settings import width\n"
    "def ring(radius, y):\n    return -((jnp.sum(y**2) - radius) ** 2) / width\n",
    "settings.py": "width = 1.0\n",
}


def stub(config, given, stages) -> StudyResult:
    """One number, drawn as studies draw: from the key of the first seed."""
    del given, stages
    value = jax.random.normal(jax.random.key(config.first_seed))
    return StudyResult({"x": Array(np.asarray(value), (), "1", "x")}, {})


@pytest.fixture
def command(tmp_path, monkeypatch, capsys) -> Iterator[Callable[..., tuple[int, str]]]:
    """Run a command as a new process would that imports the user's modules anew."""
    monkeypatch.setattr("fineq.studies.pift.beta.run", stub)
    monkeypatch.syspath_prepend(tmp_path)
    for name, text in MODULES.items():
        (tmp_path / name).write_text(text)

    def run(*words: str) -> tuple[int, str]:
        for name in MODULES:
            sys.modules.pop(Path(name).stem, None)
        code = main(AREA, [*SMALL, *words, f"output={tmp_path / 'out'}"])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    yield run
    for name in MODULES:
        sys.modules.pop(Path(name).stem, None)
    switches.pin()


def folders(tmp_path: Path) -> list[Path]:
    return [found.path for found in find(tmp_path / "out")]


@pytest.mark.parametrize("file", MODULES)
def test_an_edit_in_any_module_of_the_users_is_another_run(command, tmp_path, file):
    assert command(*OWN)[0] == 0
    assert "this run is complete" in command(*OWN)[1]
    (tmp_path / file).write_text(MODULES[file] + "# edited\n")
    assert "this run is complete" not in command(*OWN)[1]
    assert len(folders(tmp_path)) == 2
    own = [load(folder).summary["sources"]["own"] for folder in folders(tmp_path)]
    assert set(own[0]) == set(own[1]) == {"brought", "helper", "settings"}


def test_an_edit_elsewhere_is_the_same_run(command, tmp_path):
    command(*OWN)
    (tmp_path / "unrelated.py").write_text("x = 1\n")
    assert "this run is complete" in command(*OWN)[1]


@pytest.mark.parametrize(
    "line",
    [
        'jax.config.update("jax_default_prng_impl", "rbg")',
        'jax.config.update("jax_enable_x64", False)',
        'jax.config.update("jax_random_seed_offset", 5)',
    ],
)
def test_what_a_module_flips_while_it_is_imported_changes_no_number(command, tmp_path, line):
    command(*OWN)
    (tmp_path / "settings.py").write_text(f"import jax\n{line}\n" + MODULES["settings.py"])
    assert command(*OWN)[0] == 0
    plain, flipping = (float(load(path).dataset["x"]) for path in folders(tmp_path))
    assert plain == flipping
    summaries = [load(path).summary["environment"]["switches"] for path in folders(tmp_path)]
    assert summaries[0] == summaries[1] == switches.state()


def test_a_function_that_flips_a_switch_when_called_is_refused(command, tmp_path):
    flip = 'jax.config.update("jax_default_matmul_precision", "bfloat16")'
    text = MODULES["helper.py"].replace("    return", f"    import jax; {flip}\n    return")
    (tmp_path / "helper.py").write_text(text)
    code, said = command(*OWN)
    assert code == 2
    assert said.count("\n") == 1
    assert "brought:reward sets jax_default_matmul_precision to bfloat16" in said
    assert not (tmp_path / "out").exists()


def test_the_environment_of_the_first_run_is_that_of_the_second(command, tmp_path):
    """Switches as an environment variable leaves them, met before JAX is first used."""
    jax.config.update("jax_default_prng_impl", "rbg")
    command()
    assert "this run is complete" in command()[1]
    key = jax.random.key(0, impl="threefry2x32")
    (folder,) = folders(tmp_path)
    assert float(load(folder).dataset["x"]) == float(jax.random.normal(key))


def test_how_members_lie_in_blocks_is_not_what_a_run_is_but_is_said(command, tmp_path, monkeypatch):
    def blocks(config, given, stages) -> StudyResult:
        stages.measure("first", lambda member: member["seed"], [Axis("seed", range(4))])
        return stub(config, given, stages)

    monkeypatch.setattr("fineq.studies.pift.beta.run", blocks)
    command("block_size=2")
    assert "this run is complete" in command("block_size=3")[1]
    assert "this run is complete" in command()[1]
    (folder,) = folders(tmp_path)
    assert load(folder).summary["environment"]["blocks"] == {"first": 2}


def test_another_platform_is_another_run(command, tmp_path, monkeypatch):
    command()
    for name in ("foreseen_platform", "present_platform"):
        monkeypatch.setattr(f"fineq.shell.execute.{name}", lambda: "gpu")
    assert "this run is complete" not in command()[1]
    assert len(folders(tmp_path)) == 2


def test_files_of_another_seed_copied_in_are_computed_again(command, tmp_path):
    command("first_seed=100")
    (other,) = folders(tmp_path)
    command("first_seed=0")
    (run,) = set(folders(tmp_path)) - {other}
    value = float(load(run).dataset["x"])
    for path in other.iterdir():
        (run / path.name).write_bytes(path.read_bytes())
    code, said = command("first_seed=0")
    assert code == 0
    assert "belongs to another run; it is made again" in said
    assert float(load(run).dataset["x"]) == value


def test_an_output_elsewhere_is_refused(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    code = main(AREA, [*SMALL, "output='gs://bucket'"])
    assert code == 2
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("word", ["name=" + "n" * 250, "output=" + "o" * 300])
def test_names_too_long_for_a_file_system_are_refused(command, tmp_path, monkeypatch, word):
    monkeypatch.chdir(tmp_path)
    assert main(AREA, [*SMALL, f"output={tmp_path / 'out'}", word]) == 2
    assert folders(tmp_path) == []
