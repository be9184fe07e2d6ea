"""Plants, kernels and points together: sentences name what was given, and what was not read."""

import re

import numpy as np
import pytest

from fineq.errors import InputError
from fineq.shell.compose import compose
from fineq.studies.nlqr.area import AREA
from fineq.studies.nlqr.given import load
from tests.shell.refusal import refused

KERNELS = """
import jax.numpy as jnp
def double(x): return jnp.concatenate([x, x])
def one(x): return 1.0 + 0.0 * x
def third(x): return x * (x @ jnp.ones(3))
def least(x): return x / (x.size - 6)
"""


def write(path, n=2, **changes):
    """A plant of n states, and the words that take it."""
    eye = np.eye(n)
    np.savez(path, **{"A": 0.5 * eye, "B": eye, "C": 0.1 * eye, **changes})
    return ["system=file", f"system.path={path}"]


def matrices(n):
    eye = str(np.eye(n).tolist()).replace(" ", "")
    return ["system=matrices", *(f"system.{name}={eye}" for name in "ABC")]


@pytest.fixture
def kernels(tmp_path, monkeypatch):
    """Words that take a kernel of one's own."""
    (tmp_path / "own_kernels.py").write_text(KERNELS)
    monkeypatch.syspath_prepend(tmp_path)
    return lambda name: ["kernel=python", f"kernel.target=own_kernels:{name}"]


def test_points_of_a_plant_are_read_by_a_law_that_takes_them(tmp_path):
    plant = write(tmp_path / "plant.npz", x0=np.eye(2), weights=[0.25, 0.75])
    np.savez(tmp_path / "own.npz", x0=2 * np.eye(2))

    def read(*words):
        found = load(compose(AREA, [*plant, *words]))
        return found.given.law, found.read["system.path"]

    law, said = read("law=file")
    np.testing.assert_array_equal(law.weights, [0.25, 0.75])
    assert ", x0 [2, 2], weights [2]; " in said
    assert "not read" not in said
    left = "; not read: x0, weights (law=file without law.path takes them)"
    for words in (["law=sphere"], ["law=file", f"law.path={tmp_path / 'own.npz'}"]):
        law, said = read(*words)
        assert said.endswith(left)
        assert "x0 [" not in said
    np.testing.assert_array_equal(law.points, 2 * np.eye(2))


@pytest.mark.slow
@pytest.mark.parametrize("law", ["sphere", "ball", "gaussian"])
def test_a_degree_that_no_quadrature_reads_is_refused(law, tmp_path, capsys):
    words = [f"law={law}", "law.degree=9"]
    for plant in (matrices(4), write(tmp_path / "four.npz", 4)):
        line = refused(AREA, [*plant, *words], tmp_path, capsys)
        assert re.match("law.degree has no effect when ", line), line
        load(compose(AREA, [*plant, f"law={law}"]))
    for plant in (matrices(3), write(tmp_path / "three.npz", 3)):
        assert load(compose(AREA, [*plant, *words])).given.system.n == 3


@pytest.mark.parametrize(
    ("own", "words", "sentence"),
    [
        ("", "kernel.d=1", "^kernel.name=sin has .* states: kernel.d must be 3 or null, got 1$"),
        (
            "",
            "PLANT",
            "^system.path=.*npz: kernel.name=sin .*: system.C must have 2 columns, got 3$",
        ),
        (
            "double",
            "kernel.d=4",
            r"^kernel.target=own_kernels:double returns .* kernel.d=4: it must",
        ),
        ("double", "PLANT", r"kernel.target=own_kernels:double returns .* system.C has 3 columns"),
        ("one", "", "^kernel.target=own_kernels:one must vanish at 0"),
        (
            "",
            "law=file law.path=POINTS",
            "^law.path=.*: the points have dimension 2, but system.n=3",
        ),
        ("", "PLANT3 law=file law.path=POINTS", r"dimension 2, but system.A has shape \(3, 3\)"),
    ],
)
def test_sentences_name_what_was_given(own, words, sentence, kernels, tmp_path, capsys):
    np.savez(tmp_path / "points.npz", x0=np.eye(2))
    plants = {
        "PLANT": write(tmp_path / "wide.npz", C=np.ones((2, 3))),
        "PLANT3": write(tmp_path / "three.npz", 3),
    }
    line = [w for word in words.split() for w in plants.get(word, [word])]
    line = [word.replace("POINTS", str(tmp_path / "points.npz")) for word in line]
    said = refused(AREA, [*(kernels(own) if own else []), *line], tmp_path, capsys).strip()
    assert re.search(sentence, said), said
    assert "system.phi" not in said


@pytest.mark.parametrize(
    ("own", "words", "sentence"),
    [
        # Fit for 3 states, the number that is not drawn here.
        ("third", "recovery.sizes=[[2,1]]", r"own_kernels:third failed on a state of shape \(2,\)"),
        ("least", "recovery.sizes=[[2,1],[6,4]]", "own_kernels:least must vanish at 0, but .*nan"),
        ("", "recovery.sizes=[[2,1],[3,1]] kernel.d=2", "kernel.d must be 3 or null, got 2"),
        ("", "law=quadrature", "law=quadrature needs at most 3 states, got 6"),
        ("", "law=file law.path=POINTS", "dimension 2, but recovery.sizes holds n = 6"),
    ],
)
def test_every_size_of_a_recovery_is_tried(own, words, sentence, kernels, tmp_path, capsys):
    np.savez(tmp_path / "points.npz", x0=np.eye(2))
    line = words.replace("POINTS", str(tmp_path / "points.npz")).split()
    line = ["experiment=nlqr/exact_recovery", *(kernels(own) if own else []), *line]
    said = refused(AREA, line, tmp_path, capsys)
    assert re.search(sentence, said), said


def test_points_that_fit_every_size_of_a_recovery_are_taken(tmp_path):
    np.savez(tmp_path / "points.npz", x0=np.eye(2))
    words = ["recovery.sizes=[[2,1],[2,6]]", "law=file", f"law.path={tmp_path / 'points.npz'}"]
    assert load(compose(AREA, ["experiment=nlqr/exact_recovery", *words])).given.law.n == 2


def test_a_threshold_is_refused_where_it_is_composed():
    from fineq.studies.pift.area import AREA as PIFT

    for words in ("reward.name=linear", "data.name=mixture", "betas=" + str([1.0] * 20)):
        with pytest.raises(InputError, match=r"^study=threshold "):
            compose(PIFT, ["experiment=pift/threshold", words])
    concave = ["data.d=2", "reward.matrix=[[-1,0],[0,-1]]"]
    with pytest.raises(InputError, match=r"reward\.matrix must be positive semidefinite"):
        compose(PIFT, ["experiment=pift/threshold", *concave])
