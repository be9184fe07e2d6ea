"""The page about a model of one's own is followed to its end."""

import re

import numpy as np
import pytest

from fineq.interop.diffusers import load
from tests.documented import ROOT, programs
from tests.interop.diffusers.literal import written


@pytest.mark.slow
def test_the_program_of_the_page_runs(tmp_path, monkeypatch, capsys):
    page = ROOT / "docs" / "own_model.md"
    own = [piece.text for piece in programs(page) if "from fineq" in piece.text]
    text = "\n".join(own)
    assert re.search(r"save_merged\(\"tuned\"", text)
    written(tmp_path / "my-model", "no middle")
    monkeypatch.chdir(tmp_path)
    exec(compile(text, str(page), "exec"), {})
    assert "8 of 1000 steps" in capsys.readouterr().out
    before, after = (load(tmp_path / name).denoiser.variables for name in ("my-model", "tuned"))
    changed = after["params"]["conv_in"]["kernel"] - before["params"]["conv_in"]["kernel"]
    assert np.any(np.asarray(changed))
    assert np.isfinite(np.asarray(changed)).all()
