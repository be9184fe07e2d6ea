"""The demo: theory's rate and the measured one agree, in one figure, by the study's own checks."""

import json
import re

import numpy as np
import pytest

from fineq.runs import load
from fineq.shell.main import main
from fineq.studies.nlqr.area import AREA
from tests.documented import ROOT


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    output = tmp_path_factory.mktemp("demo")
    assert main(AREA, ["experiment=nlqr/demo", f"output={output}", "quiet=true"]) == 0
    (folder,) = output.glob("*/*/*")
    return folder


@pytest.mark.slow
def test_every_claim_holds_and_none_on_fewer_seeds_than_said(demo):
    claims = json.loads((demo / "summary.json").read_text())["claims"]
    assert [claim["verdict"] for claim in claims] == ["not refuted", "holds", "holds"]
    assert all("12 seeds" in claim["instance"] for claim in claims)
    assert len(list(demo.glob("*.png"))) == 1


@pytest.mark.slow
def test_the_rate_is_that_of_the_hessian_found_by_differences_in_numpy(demo):
    """The plant and its cost written out: x' = 0.3 x + u + 0.3 sin x with u = -K (x, sin x)."""
    data = load(demo).dataset

    def cost(K: np.ndarray) -> float:
        x, total = np.array([3.0, -3.0]), 0.0
        for _ in range(400):
            u = -K[0] * x - K[1] * np.sin(x)
            total += float(np.mean(x**2 + u**2))
            x = 0.3 * x + u + 0.3 * np.sin(x)
        return total

    def gradient(K: np.ndarray, step: float) -> np.ndarray:
        e = np.eye(2) * step
        return np.array([(cost(K + d) - cost(K - d)) / (2 * step) for d in e])

    def hessian(K: np.ndarray, step: float = 1e-3) -> np.ndarray:
        e = np.eye(2) * step
        rows = [(gradient(K + d, step) - gradient(K - d, step)) / (2 * step) for d in e]
        return 0.5 * (np.array(rows) + np.array(rows).T)

    K = np.zeros(2)
    for _ in range(30):
        K = K - np.linalg.solve(hessian(K), gradient(K, 1e-5))
    mu, h = np.linalg.eigvalsh(hessian(K))
    # Differences of a function of size 10 with step 1e-3 carry errors of about 1e-6 of h.
    np.testing.assert_allclose(data.h, h, rtol=1e-4)
    np.testing.assert_allclose(data.mu, mu, rtol=1e-3)
    distance = data.exact_distance.values
    steps = np.diff(data.exact_iteration.values[[-50, -1]])
    measured = np.log(distance[:, -50] / distance[:, -1]) / steps
    np.testing.assert_allclose(measured, -np.log1p(-0.5 * mu / h), rtol=2e-3)


@pytest.mark.parametrize(("target", "area"), [("demo", "nlqr"), ("demo-finetune", "finetune")])
def test_a_demo_says_in_five_lines_what_is_seen_and_runs_its_experiment(target, area):
    rule = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.M)
    assert rule is not None
    *said, command = rule.group(1).strip().split("\n")
    assert len(said) == 5
    assert all(line.strip().startswith("@echo") for line in said)
    assert command.split(f"experiments.{area} ")[1] == f"experiment={area}/demo"
