"""What identifies a run: everything that changes its results and nothing that does not."""

import functools
import hashlib
import importlib.util
import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from fineq.errors import InputError
from fineq.runs.files import plain
from fineq.settings.config import WITHOUT_EFFECT

PACKAGE = "fineq"
# Sources from which figures are drawn, and those that only speak to a person. No number depends on
# them: nothing that computes imports them.
DRAWING = ("fineq/plot/", "fineq/runs/drawing.py")
_SPEAKING = ("command", "completion", "console", "course", "foresee", "options", "past")
_SPEAKING += ("reproduce", "sentences", "stop", "streams", "terminal")
SPEAKING = (
    *("fineq/table.py", "fineq/report/", "fineq/shell/commands/"),
    *(f"fineq/shell/{name}.py" for name in _SPEAKING),
)
_LENGTH = 12


class Sources(NamedTuple):
    """SHA-256 of the sources that compute and of those that draw."""

    computing: str
    drawing: str


@dataclass(frozen=True)
class Identity:
    """A run before it is looked for: its place and what makes its numbers.

    Attributes:
        area: for example `nlqr`.
        study: the study within the area.
        name: the first part of the folder's name; the hash is the second.
        config: the resolved configuration, nested plain values.
        sources: of fineq.
        platform: what computes, `cpu`, `gpu` or `tpu`.
        files: dotted field to the digest of the file that it names.
        own: module of the user's to the digest of its source.
        flags: settings of the environment that change numbers.
        ignored: top-level fields of the configuration that do not count.

    """

    area: str
    study: str
    name: str
    config: Mapping[str, Any]
    sources: Sources
    platform: str = "cpu"
    files: Mapping[str, str] = field(default_factory=dict)
    own: Mapping[str, str] = field(default_factory=dict)
    flags: Sequence[str] = ()
    ignored: Collection[str] = WITHOUT_EFFECT

    @functools.cached_property
    def hash(self) -> str:
        """The 12 hexadecimal digits that name the run."""
        payload = {
            "study": f"{self.area}/{self.study}",
            "config": self.counted(self.config),
            "sources": self.sources.computing,
            "platform": self.platform,
            "own": dict(self.own),
            "flags": sorted(self.flags),
        }
        return hashlib.sha256(_text(payload).encode()).hexdigest()[:_LENGTH]

    def counted(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return what counts of a configuration; the content of files in place of their paths."""
        kept = {key: value for key, value in plain(config).items() if key not in self.ignored}
        for path, digest in self.files.items():
            _replace(kept, path, "sha256:" + digest)
        return kept

    def counts_alike(self, config: Mapping[str, Any]) -> bool:
        """Whether another configuration differs in nothing that counts."""
        return _text(self.counted(config)) == _text(self.counted(self.config))


def identify(
    area: str,
    study: str,
    name: str,
    config: Mapping[str, Any],
    files: Mapping[str, Path] | None = None,
    sources: Sources | None = None,
    **others: Any,
) -> Identity:
    """Return the identity of a run whose configuration names these files.

    Args:
        area: as in `Identity`.
        study: the study within the area.
        name: of the run.
        config: the resolved configuration.
        files: dotted field to the file it names: the content counts, the path does not.
        sources: default: those of fineq as this process has met them.
        others: `platform`, `own`, `flags`, as in `Identity`.

    Raises:
        InputError: when a named file cannot be read.

    """
    digests = {path: file_digest(Path(file), path) for path, file in (files or {}).items()}
    sources = own_sources() if sources is None else sources
    return Identity(area, study, name, plain(config), sources, files=digests, **others)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _replace(config: dict[str, Any], field: str, value: str) -> None:
    *parents, leaf = field.split(".")
    for parent in parents:
        config = config.setdefault(parent, {})
    config[leaf] = value


def file_digest(path: Path, field: str = "") -> str:
    """Return the SHA-256 of a file, or of a folder's files by their names.

    Raises:
        InputError: naming the field, when it is not readable.

    """
    if path.is_dir():
        inside = sorted(entry for entry in path.iterdir() if entry.is_file())
        lines = [f"{entry.name}\0{file_digest(entry, field)}\n" for entry in inside]
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        where = f"{field}: " if field else ""
        raise InputError(f"{where}cannot read {path}: {os.strerror(error.errno or 0)}") from None


def sources_of(roots: Sequence[Path]) -> Sources:
    """Return the digests of the `*.py` files below the given package folders.

    Names relative to each root and contents count; places and dates do not.
    """
    found = {
        f"{Path(root).name}/{os.path.relpath(path, root)}".replace(os.sep, "/"): file_digest(path)
        for root in roots
        for path in _python_files(Path(root))
    }
    return Sources(
        _digest(found, lambda name: not name.startswith(DRAWING + SPEAKING)),
        _digest(found, lambda name: name.startswith(DRAWING)),
    )


def _digest(found: Mapping[str, str], counts: Callable[[str], bool]) -> str:
    lines = [f"{name}\0{content}\n" for name, content in sorted(found.items()) if counts(name)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _python_files(root: Path) -> list[Path]:
    found = []
    for entry in os.scandir(root):
        if entry.is_dir() and not entry.name.startswith((".", "__pycache__")):
            found += _python_files(Path(entry.path))
        elif entry.name.endswith(".py"):
            found.append(Path(entry.path))
    return found


# Cached: what runs is what was imported, even if a file changes during a long multirun.
@functools.cache
def own_sources() -> Sources:
    """Return the digests of the sources of fineq, read once per process.

    Those of `experiments` do not count: they only call, and the command `fineq` does without them.
    """
    spec = importlib.util.find_spec(PACKAGE)
    places = (spec.submodule_search_locations or ()) if spec else ()
    return sources_of([Path(place) for place in places])
