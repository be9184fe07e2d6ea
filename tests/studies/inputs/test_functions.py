"""Modules of the user's that cannot be imported end in one sentence."""

import pytest

from fineq.errors import InputError
from fineq.studies.inputs import load_function

MODULES = {
    "leaving": ("import sys\nsys.exit(0)\n", r"ends the process when it is imported \(sys.exit\)"),
    "raising": (
        "raise RuntimeError('first\\nsecond')\n",
        r"cannot be imported \(RuntimeError: first",
    ),
    "wrong": ("def f(:\n", r"cannot be imported \(SyntaxError: "),
    "broken": ("class E(BaseException): pass\nraise E('x')\n", r"cannot be imported \(E: x\)"),
    "lacking": ("import no_such_module_anywhere\n", "No module named 'no_such_module_anywhere'"),
    "without": ("f = 3\n", "has no function f"),
}


@pytest.mark.parametrize("kind", MODULES)
def test_modules_that_cannot_be_used_end_in_one_sentence(tmp_path, monkeypatch, kind):
    text, said = MODULES[kind]
    (tmp_path / f"module_{kind}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=said) as caught:
        load_function("kernel.target", f"module_{kind}:f")
    assert str(caught.value).startswith(f"kernel.target=module_{kind}:f")
    assert "\n" not in str(caught.value)


def test_a_stop_while_importing_is_a_stop(tmp_path, monkeypatch):
    (tmp_path / "module_stopped.py").write_text("raise KeyboardInterrupt\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        load_function("kernel.target", "module_stopped:f")


@pytest.mark.parametrize("target", ["kernels.py:phi", "folder/kernels:phi"])
def test_a_file_in_place_of_a_module_is_told(target):
    with pytest.raises(InputError, match="name the module as import does"):
        load_function("kernel.target", target)
