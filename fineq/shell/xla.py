"""XLA's flags are told to the installed jaxlib once, in a process of its own, before they count.

A flag that it does not know, or a value that it cannot read, ends a process at once and past every
handler: under pytest and in notebooks without a word.
"""

import functools
import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

from fineq.errors import InputError
from fineq.runs.environment import foreseen_platform
from fineq.runs.files import read_regular

# Under these, programs compile in half the time and run more slowly, which pays where they run for
# seconds. Each with the first version of jaxlib that does not know it any more.
HASTY = {
    "--xla_backend_optimization_level=0": None,
    "--xla_cpu_use_fusion_emitters=false": (0, 12),
}
_TRIAL = "import jax; jax.devices()"


@functools.cache
def refusal(flags: str) -> str | None:
    """What the installed jaxlib has against these XLA flags; None when it takes them.

    Args:
        flags: as in the environment variable XLA_FLAGS.
    """
    trial = _tried(flags)
    if trial.returncode == 0 or _tried("").returncode != 0:  # JAX does not begin for another reason
        return None
    said = re.findall(r"^F.*?\] (.*)$", trial.stderr, re.M) or trial.stderr.splitlines()[-1:]
    return said[0].strip() if said else f"it stopped with code {trial.returncode}"


def _tried(flags: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", _TRIAL]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def hasty_flags() -> list[str]:
    """Those of `HASTY` that the installed jaxlib knows, by its version."""
    version = importlib.metadata.version("jaxlib")
    installed = tuple(int(part) for part in version.split(".")[:2])
    return [flag for flag, gone in HASTY.items() if gone is None or installed < gone]


def unfold() -> None:
    """Have XLA_FLAGS hold the flags themselves where it names a file of them.

    XLA takes for a file's name what does not begin with a dash.

    Raises:
        InputError: for a file that cannot be read or holds no flags.
    """
    named = os.environ.get("XLA_FLAGS", "").strip()
    if not named or named.startswith("-"):
        return
    try:
        flags = " ".join(read_regular(Path(named)).decode().split())
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(
            f"XLA_FLAGS names the file {named} (flags begin with --), which cannot be read: "
            f"{reason}"
        ) from None
    except UnicodeDecodeError:
        flags = "\0"
    if "\0" in flags or not flags.startswith("-"):
        raise InputError(
            f"XLA_FLAGS names the file {named}, which holds no flags: they begin with --"
        )
    os.environ["XLA_FLAGS"] = flags


def refuse_flags() -> None:
    """Raise `InputError` for XLA_FLAGS that the installed jaxlib does not take.

    Only those are tried that are not known to be taken.
    """
    unfold()
    given = os.environ.get("XLA_FLAGS", "").split()
    flags = " ".join(word for word in given if word not in hasty_flags())
    if flags and (why := refusal(flags)):
        raise InputError(f"XLA_FLAGS={flags} is not taken by the installed jaxlib: {why}")


def hurry() -> None:
    """Have the programs of this process compiled hastily, on a processor.

    For a process in which all is computed so, first and last: XLA reads its flags once, and what
    results is known by them (`fineq.settings.switches`). Nothing happens once JAX is loaded. A flag
    that XLA_FLAGS already holds keeps its value.

    Raises:
        InputError: as `unfold`.
    """
    if "jax" in sys.modules or foreseen_platform() != "cpu":
        return
    unfold()
    given = os.environ.get("XLA_FLAGS", "").split()
    names = {word.partition("=")[0] for word in given}
    more = [flag for flag in hasty_flags() if flag.partition("=")[0] not in names]
    os.environ["XLA_FLAGS"] = " ".join([*given, *more])
