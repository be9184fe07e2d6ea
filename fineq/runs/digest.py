"""What identifies a run: everything that changes its results and nothing that does not."""

import functools
import hashlib
import importlib.util
import json
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from fineq.config import WITHOUT_EFFECT
from fineq.errors import InputError
from fineq.runs.files import plain

PACKAGES = ("fineq", "experiments")
_LENGTH = 12


def run_hash(
    study: str,
    config: Mapping[str, Any],
    files: Mapping[str, Path] | None = None,
    source_roots: Sequence[Path] | None = None,
    ignored: Collection[str] = WITHOUT_EFFECT,
) -> str:
    """Return the 12 hexadecimal digits that name a run.

    Args:
        study: `area/study`.
        config: the resolved configuration, nested plain values.
        files: dotted field to the file it names (a data file, a user's module): the content
            counts, the path does not.
        source_roots: package folders whose `*.py` files count; default: fineq and experiments.
        ignored: top-level fields that do not count.

    Raises:
        InputError: when a named file cannot be read.

    """
    counted = {key: value for key, value in plain(config).items() if key not in ignored}
    for field, path in (files or {}).items():
        _replace(counted, field, "sha256:" + file_digest(Path(path), field))
    sources = own_sources() if source_roots is None else sources_digest(source_roots)
    payload = {"study": study, "config": counted, "sources": sources}
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]


def _replace(config: dict[str, Any], field: str, value: str) -> None:
    *parents, leaf = field.split(".")
    for parent in parents:
        config = config.setdefault(parent, {})
    config[leaf] = value


def file_digest(path: Path, field: str = "") -> str:
    """Return the SHA-256 of a file; raise `InputError` naming the field when it is not readable."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        where = f"{field}: " if field else ""
        raise InputError(f"{where}cannot read {path}: {os.strerror(error.errno or 0)}") from None


def sources_digest(roots: Sequence[Path]) -> str:
    """Return one SHA-256 over the `*.py` files below the given package folders.

    Names relative to each root and contents count; places and dates do not.
    """
    digest = hashlib.sha256()
    for root in sorted(roots, key=lambda root: Path(root).name):
        for path in sorted(_python_files(str(root))):
            name = f"{Path(root).name}/{os.path.relpath(path, root)}".replace(os.sep, "/")
            with open(path, "rb") as file:
                content = hashlib.sha256(file.read()).hexdigest()
            digest.update(f"{name}\0{content}\n".encode())
    return digest.hexdigest()


def _python_files(root: str) -> list[str]:
    found = []
    for entry in os.scandir(root):
        if entry.is_dir() and not entry.name.startswith((".", "__pycache__")):
            found += _python_files(entry.path)
        elif entry.name.endswith(".py"):
            found.append(entry.path)
    return found


# Cached: what runs is what was imported, even if a file changes during a long multirun.
@functools.cache
def own_sources() -> str:
    """Return the digest of the sources of fineq and experiments, read once per process."""
    specs = [importlib.util.find_spec(name) for name in PACKAGES]
    places = [place for spec in specs if spec for place in spec.submodule_search_locations or ()]
    return sources_digest([Path(place) for place in places])
