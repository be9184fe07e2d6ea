"""XLA's flags are told to the installed jaxlib once, in a process of its own, before they count.

A flag that it does not know, or a value that it cannot read, ends a process at once and past every
handler: under pytest and in notebooks without a word.
"""

import functools
import os
import re
import subprocess
import sys

_TRIAL = "import jax; jax.devices()"


@functools.cache
def refusal(flags: str) -> str | None:
    """What the installed jaxlib has against these XLA flags; None when it takes them.

    Args:
        flags: as in the environment variable XLA_FLAGS.
    """
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    trial = subprocess.run(
        [sys.executable, "-c", _TRIAL], env=environment, capture_output=True, text=True
    )
    if trial.returncode == 0:
        return None
    said = re.findall(r"^F.*?\] (.*)$", trial.stderr, re.M) or trial.stderr.splitlines()[-1:]
    return said[0].strip() if said else f"it stopped with code {trial.returncode}"
