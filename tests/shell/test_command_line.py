"""What the shell refuses, in which words, with which exit code, and that nothing is written."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fineq.errors import EXIT_BAD_INPUT, InputError
from fineq.settings.fields import flatten, leaves
from fineq.shell.compose import compose
from fineq.shell.main import main
from fineq.shell.options import help_text
from fineq.shell.places import CONFIGS
from fineq.studies.nlqr.area import AREA
from fineq.studies.nlqr.given import load
from tests.shell.refusal import refused

ROOT = Path(__file__).resolve().parents[2]
EYE = np.eye(2)
MATRICES = [f"system.{name}=[[0.5,0],[0,0.5]]" for name in "ABC"]


@pytest.fixture
def plant(tmp_path):
    """A function that writes a plant with some arrays replaced and returns its path."""

    def write(**changes):
        arrays = {"A": 0.5 * EYE, "B": EYE, "C": 0.1 * EYE, "Q": EYE, "R": EYE, **changes}
        path = tmp_path / "plant.npz"
        np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
        return str(path)

    return write


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["foo=1"], "foo is not a field"),
        (["system.foo=1"], "system.foo is not a field"),
        (["+foo=1"], "'foo' cannot be added"),
        (["++system.foo=1"], "'system.foo' cannot be added"),
        (["~seeds"], "a field cannot be deleted"),
        (["seeds"], "'seeds' is not an option"),
        (["--verbose"], "'--verbose' is not an option"),
        (["seeds=abc"], "seeds must be of type integer, got abc"),
        (["seeds=1.5"], "seeds must be of type integer, got 1.5"),
        (["seeds=null"], "seeds must be given, got null"),
        (["seeds=0"], "seeds must be at least 1, got 0"),
        (["seeds=["], "the command line cannot be read"),
        (["system.lipschitz=-1"], "system.lipschitz must be at least 0, got -1"),
        (["system.lipschitz=nan"], "system.lipschitz must be at least 0, got nan"),
        (["estimator.radius=0"], "estimator.radius must be above 0, got 0"),
        (["estimator.num_rollouts=0"], "estimator.num_rollouts must be at least 1, got 0"),
        (["precision=float16"], "precision must be one of float32, float64, got float16"),
        (["profile=huge"], "profile must be one of smoke, quick, full"),
        (["system=nowhere"], "system/nowhere was not found; allowed: file, matrices, random"),
        (["experiment=nlqr/none"], "experiment/nlqr/none was not found; allowed: .*linear_conv"),
        (["study=none"], "study must be one of .*linear_convergence.*, got none"),
        (["system=file"], "system.path must name an npz file"),
        (["kernel=python"], "kernel.target must be module:function"),
        (["kernel=python", "kernel.target=nowhere:phi"], "module nowhere cannot be imported"),
        (["kernel=python", "kernel.target=math:phi"], "module math has no function phi"),
        (["kernel=python", "kernel.target=math"], "must be module:function, got math"),
        (["sweep.system.lipschits=[1]"], "did you mean sweep.system.lipschitz"),
        (["sweep.system.lipschitz=3"], "must be a non-empty list"),
        (["sweep.system.lipschitz=[-1]"], "sweep.system.lipschitz must be at least 0, got -1"),
        (["sweep.system.lipschitz=[1,1]"], "repeats a value"),
        (["sweep.system.normalisation=[own]"], "is not a numeric field"),
        (["sweep.system.n=[2,3]"], "no axis of linear_convergence: -m system.n="),
        (["--from", "nowhere.yaml"], "there is no such file"),
        (["--from"], "--from needs a file"),
        (["--from", "Makefile"], "--from Makefile: not"),
        (["-m", "--cfg"], "none of --cfg, --dry-run and --from"),
        (["floors.radii=[]"], "floors.radii must be a non-empty list of numbers"),
        (["floors.num_rollouts=[3]"], "floors.num_rollouts must hold even integers"),
        (["system.n=5"], "law=quadrature needs at most 3 states, got 5"),
        (["kernel=python", "kernel.target=jax.numpy:cos"], "must vanish at 0"),
        (["kernel=python", "kernel.target=math:sin"], "failed on a state of shape"),
        (["kernel=python", "kernel.target=jax.numpy:sum"], "must return a vector"),
        (
            ["kernel=python", "kernel.target=numpy:sin"],
            "kernel.target=numpy:sin failed on a state of shape .* asks for numbers, .*jax.numpy",
        ),
        (["kernel=python", "kernel.target=jax.numpy:cbrt"], "kernel.target=jax.numpy:cbrt has a"),
    ],
)
def test_bad_words_get_one_sentence(capsys, tmp_path, words, sentence):
    line = refused(AREA, words, tmp_path, capsys)
    assert re.search(sentence, line), line


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"R": np.diag([1.0, -1.0])}, "system.R must be .*positive definite"),
        ({"Q": np.array([[1.0, 0.5], [0.0, 1.0]])}, "system.Q must be symmetric"),
        ({"A": np.diag([2.0, 0.5]), "B": np.array([[0.0], [1.0]]), "R": np.eye(1)}, "stabilisable"),
        ({"A": np.diag([2.0, 0.5]), "Q": np.diag([0.0, 1.0])}, "not detectable"),
        ({"B": np.ones((3, 2))}, r"system.B has shape \(3, 2\), but system.A has shape \(2, 2\)"),
        ({"A": np.array([[np.nan, 0.0], [0.0, 1.0]])}, "system.A must be finite"),
        ({"B": None}, "system.B must be given as a matrix; it is missing"),
        ({"D": EYE}, "^system.path=.*npz: .* unknown D; required are A, B, C, optional Q, R, x0"),
        ({"A": np.full((2, 2), "a")}, "must hold real numbers"),
    ],
)
def test_bad_plants_get_one_sentence(capsys, tmp_path, plant, changes, sentence):
    words = ["system=file", f"system.path={plant(**changes)}", "law.degree=3"]
    line = refused(AREA, words, tmp_path, capsys)
    assert re.search(sentence, line), line


@pytest.mark.parametrize(
    ("points", "sentence"),
    [
        (np.zeros((4, 2)), "law.path=.*points.npz: points are all 0: a state at rest stays there"),
        (np.ones((4, 2)) + 1j, "law.path=.*array x0 must hold real numbers"),
        (np.ones(4), r"law.path=.*array x0 must hold points of shape .*, got shape \(4,\)"),
        (np.ones((4, 3)), "law.path=.*: the points have dimension 3, but system.n=2: they must"),
    ],
)
def test_bad_initial_points_get_one_sentence(capsys, tmp_path, points, sentence):
    np.savez(tmp_path / "points.npz", x0=points)
    words = ["law=file", f"law.path={tmp_path / 'points.npz'}", "system.n=2"]
    line = refused(AREA, words, tmp_path, capsys)
    assert re.search(sentence, line), line


def test_what_was_read_of_plants_and_points_is_said(tmp_path, plant):
    (tmp_path / "points.csv").write_text("a,b,label\n1.5,2.5,x\n-1,0.5,y\n")
    words = ["system=file", f"system.path={plant(Q=None)}", "kernel=zero", "law=file"]
    words += [f"law.path={tmp_path / 'points.csv'}", "law.columns=[b,a]"]
    loaded = load(compose(AREA, words))
    np.testing.assert_array_equal(loaded.given.law.points, [[2.5, 1.5], [0.5, -1.0]])
    assert loaded.read == {
        "system.path": "plant.npz: A [2, 2], B [2, 2], C [2, 2], Q the identity, R the identity; "
        "spectral radius of A 0.5",
        "law.path": "points.csv: 2 rows, 2 columns: b in [0.5, 2.5], a in [-1, 1.5]; not read: "
        "column label",
    }


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_what_is_given_has_the_configured_precision(plant, tmp_path, precision):
    path = plant(x0=EYE)
    for source in ("system=file", "system=matrices"):
        words = [source, "law=file", f"law.path={path}", f"precision={precision}"]
        words += [f"system.path={path}"] if source == "system=file" else list(MATRICES)
        given = load(compose(AREA, words)).given
        assert {given.system.A.dtype, given.system.scale.dtype} == {np.dtype(precision)}
        assert {given.law.points.dtype, given.law.weights.dtype} == {np.dtype(precision)}


def test_files_that_are_not_plants(capsys, tmp_path):
    def sentence(path):
        return refused(AREA, ["system=file", f"system.path={path}"], tmp_path, capsys)

    assert "there is no such file" in sentence(tmp_path / "no.npz")
    text = tmp_path / "text.npz"
    text.write_text("not an archive")
    assert "is not an npz file" in sentence(text)
    single = tmp_path / "single.npy"
    np.save(single, EYE)
    assert "holds a single array" in sentence(single)
    pickled = tmp_path / "pickled.npz"
    np.savez(pickled, A=np.array([{"a": 1}], dtype=object))
    assert "must hold real numbers, got an array of type object" in sentence(pickled)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_folder_that_cannot_be_written(capsys, tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    code = main(AREA, [f"output={tmp_path / 'closed' / 'out'}"])
    assert code == EXIT_BAD_INPUT
    assert "cannot be written" in capsys.readouterr().err


def test_an_output_that_is_a_file_is_refused(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    assert main(AREA, [f"output={tmp_path / 'file'}", "seeds=1"]) == EXIT_BAD_INPUT
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_precedence_is_command_line_profile_experiment_defaults():
    name = "experiment=nlqr/linear_convergence"
    smoke = compose(AREA, [name, "profile=smoke"])
    quick = compose(AREA, [name])
    assert smoke.seeds != quick.seeds
    assert compose(AREA, [name, "profile=smoke", "seeds=7"]).seeds == 7
    assert compose(AREA, ["seeds=7", name, "profile=smoke"]).seeds == 7
    assert quick.descent.step_size == 1.0 != compose(AREA, []).descent.step_size


EXPERIMENTS = sorted(path.stem for path in (CONFIGS / "experiment" / "nlqr").glob("*.yaml"))


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name != "demo"])
@pytest.mark.parametrize("profile", ["smoke", "quick", "full"])
def test_every_experiment_composes_at_every_size(name, profile):
    config = compose(AREA, [f"experiment=nlqr/{name}", f"profile={profile}"])
    assert config.study == name
    assert set(config.profiles) == {"smoke", "quick", "full"}


def test_the_demo_has_one_size():
    assert compose(AREA, ["experiment=nlqr/demo"]).profile == "smoke"
    with pytest.raises(InputError, match="experiment=nlqr/demo has one size"):
        compose(AREA, ["experiment=nlqr/demo", "profile=quick"])


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_says_how_to_run_it(name):
    text = (CONFIGS / "experiment" / "nlqr" / f"{name}.yaml").read_text()
    assert f"python -m experiments.nlqr experiment=nlqr/{name}" in text


def test_help_explains_every_field():
    text = help_text(AREA)
    for leaf in leaves(AREA.config_type()):
        assert f"{leaf.path}=" in text
        assert leaf.spec.help in text


def test_the_module_runs_from_the_shell():
    command = [sys.executable, "-m", "experiments.nlqr", "seeds=0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == EXIT_BAD_INPUT
    assert done.stderr == "fineq: seeds must be at least 1, got 0\n"


@pytest.mark.parametrize("platform", ["cuda", "cup"])
def test_a_platform_that_is_not_there(platform, tmp_path):
    words = ["experiment=ntk/kernel_limit", "profile=smoke", f"output={tmp_path / 'out'}"]
    done = subprocess.run(
        [sys.executable, "-m", "experiments.ntk", *words],
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": platform},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        pytest.skip(f"there is a device of {platform}")
    assert done.returncode == EXIT_BAD_INPUT
    said = f"fineq: JAX_PLATFORMS={platform} names no platform that JAX finds here: unset it, or"
    assert done.stderr == f"{said} take cpu\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (
            "JAX_ENABLE_X64",
            "banana",
            "JAX_ENABLE_X64=banana is not what JAX reads there [(].*: uns",
        ),
        ("JAX_TRACER_ERROR_NUM_TRACEBACK_FRAMES", "few", "_FRAMES=few is not what JAX reads there"),
        ("JAX_COMPILATION_CACHE_DIR", "pyproject.toml", "toml is no folder that can be written: u"),
        ("JAX_COMPILATION_CACHE_DIR", "pyproject.toml/a", "/a is no folder that can be written: u"),
    ],
)
def test_variables_of_jax_that_cannot_be_used(name, value, sentence, tmp_path):
    words = ["experiment=nlqr/exact_recovery", "profile=smoke", f"output={tmp_path / 'out'}"]
    done = subprocess.run(
        [sys.executable, "-m", "experiments.nlqr", *words],
        cwd=ROOT,
        # Flags of the user's own are tried, and are not at fault.
        env={**os.environ, "XLA_FLAGS": "--xla_backend_optimization_level=0", name: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == EXIT_BAD_INPUT
    assert re.fullmatch(f"fineq: .*{sentence}.*\n", done.stderr), done.stderr
    assert not (tmp_path / "out").exists()


def test_a_value_given_replaces_the_axis_of_an_experiment():
    words = ["experiment=nlqr/linear_convergence"]
    assert flatten(compose(AREA, words).sweep) == {"system.lipschitz": [0.3, 1.0]}
    assert flatten(compose(AREA, [*words, "system.lipschitz=0.7"]).sweep) == {}
    own = [*words, "sweep.system.lipschitz=[1, 2]"]
    assert flatten(compose(AREA, own).sweep) == {"system.lipschitz": [1, 2]}
    other = compose(AREA, [*words, "law.radius=2"])
    assert flatten(other.sweep) == {"system.lipschitz": [0.3, 1.0]}
