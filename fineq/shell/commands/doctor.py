"""`fineq doctor`: what this machine and this installation are, and what would trouble a run."""

import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fineq.errors import EXIT_DONE, FineqError
from fineq.runs.environment import commit, versions
from fineq.runs.files import check_writable, existing_ancestor, local_folder
from fineq.settings import switches
from fineq.shell.backend import CACHE, prepare_jax
from fineq.shell.commands.found import OUTPUT
from fineq.shell.commands.words import read
from fineq.shell.places import CONFIGS, program_cache

USAGE = """\
usage: fineq doctor [output=DIR]

Versions, devices, precision, memory, the cache of compiled programs and the
disk of ./outputs, or output=DIR; and a computation, to see that it works. Exit
code 0 when it does, 2 or 4 when not.
"""
FIELDS = ("output",)
NAME = 13  # columns
NEEDED = 2**30  # bytes of disk below which a run may not fit


def main(words: Sequence[str]) -> int:
    """Print what there is; a fault ends it with its sentence."""
    given = read("doctor", words, fields=FIELDS)
    if given.help:
        print(USAGE, end="")
        return EXIT_DONE
    output = given.fields.get("output", OUTPUT)
    parts = (_installation, _jax, _memory, _cache, lambda: _disk(output), _computation)
    faults, without_jax = [], False
    for part in parts:
        if without_jax and part in (_memory, _computation):
            continue
        try:
            for name, text in part():
                print(textwrap.fill(text, 79, **_hanging(name)), flush=True)
        except FineqError as error:
            print(textwrap.fill(str(error), 79, **_hanging("fault")))
            faults.append(error)
            without_jax |= part is _jax
    if faults:
        raise faults[0]
    return EXIT_DONE


def _hanging(name: str) -> dict[str, Any]:
    """How a line of a name is broken, though no word of it."""
    indents = {"initial_indent": f"{name:{NAME}}", "subsequent_indent": " " * NAME}
    return {**indents, "break_long_words": False, "break_on_hyphens": False}


def _installation() -> Iterator[tuple[str, str]]:
    known = versions()
    where = "a checkout" if (CONFIGS.parent / "pyproject.toml").exists() else "an installed package"
    known_as = commit() or ""
    at = (
        f", commit {known_as[:12]}{'-dirty' if known_as.endswith('-dirty') else ''}"
        if known_as
        else ""
    )
    yield "fineq", f"{known.get('fineq', 'not installed')}, {where}{at}"
    yield "python", f"{known['python']}, {sys.executable}"
    rest = [f"{name} {v}" for name, v in known.items() if name not in ("fineq", "python")]
    yield "libraries", ", ".join(rest)


def _jax() -> Iterator[tuple[str, str]]:
    prepare_jax()
    import jax

    kinds: dict[str, int] = {}
    for device in jax.devices():
        kinds[device.device_kind] = kinds.get(device.device_kind, 0) + 1
    names = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    yield "devices", f"{jax.default_backend()}: {names}; {os.cpu_count()} processors"
    flags = os.environ.get("XLA_FLAGS", "")
    known = switches.state()
    x64 = "on" if known["jax_enable_x64"] else "off"
    products = known.get("jax_default_matmul_precision") or "default"
    yield "precision", f"float64 is {x64}; products at {products} precision"
    if flags:
        yield "XLA_FLAGS", flags


def _memory() -> Iterator[tuple[str, str]]:
    import jax

    from fineq.sweep.memory import SHARE, device_bytes, gibibytes, host_bytes

    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = "" if host_bytes() >= machine else f", of {gibibytes(machine)} of the machine"
    yield "memory", f"{gibibytes(host_bytes())}{limit}"
    each = device_bytes(jax.local_devices())
    yield "blocks", f"members at once take at most {gibibytes(each // SHARE)} of a device"


def _cache() -> Iterator[tuple[str, str]]:
    folder = os.environ.get(CACHE)
    if not folder:
        yield "cache", f"none: {program_cache()} cannot be written, programs are compiled anew"
        return
    kept = (
        [path for path in Path(folder).glob("*") if path.is_file()] if os.path.isdir(folder) else []
    )
    size = sum(path.stat().st_size for path in kept)
    yield "cache", f"{folder}: {len(kept)} files, {size / 1e6:.0f} MB"


def _disk(named: str) -> Iterator[tuple[str, str]]:
    output = local_folder(named)
    check_writable(output)
    free = shutil.disk_usage(existing_ancestor(output)).free
    few = "; a large study may need more" if free < NEEDED else ""
    yield "disk", f"{free / 1e9:.1f} GB free below {output.absolute()}{few}"


def _computation() -> Iterator[tuple[str, str]]:
    import jax
    import numpy as np

    key = jax.random.key(0)
    matrix = jax.random.normal(key, (64, 64))
    error = float(
        np.max(np.abs(jax.jit(lambda a: a @ jax.numpy.linalg.inv(a))(matrix) - np.eye(64)))
    )
    yield "computation", f"a matrix times its inverse is the identity to {error:.0e}"
