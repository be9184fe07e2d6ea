"""The sources of what a user brings: the modules that their function is made of.

A function may be wrapped (`functools.partial`, a decorator, `jax.custom_jvp`), bound to an object,
or an object itself, and it calls what its module imports. All modules that can be reached from
it and are neither the standard library's, an installed package's nor fineq's are the user's own.
What they read at run time, and modules named only by a computed string, are not seen.
"""

import ast
import functools
import hashlib
import importlib.machinery
import importlib.util
import sys
import sysconfig
import warnings
import weakref
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from fineq.errors import InputError
from fineq.runs.digest import PACKAGE

_INSTALLED = ("site-packages", "dist-packages")
# What was imported is what runs, though its file may change during a long multirun.
_seen: "weakref.WeakKeyDictionary[ModuleType, str]" = weakref.WeakKeyDictionary()


def own_code(target: str, function: Callable[..., Any] | None = None) -> dict[str, str]:
    """Return the SHA-256 of the source of every module of the user's, by the module's name.

    Args:
        target: the address `module:function`, imported; this module counts wherever it lies.
        function: what was found there.

    Raises:
        InputError: when the source of a module of the user's cannot be read.

    """
    first = target.partition(":")[0]
    found: dict[str, str] = {}
    waiting, met = {first, *modules_of(function)}, set()
    while waiting:
        name = waiting.pop()
        met.add(name)
        spec = _spec(name)
        if spec is None or not (name == first or _is_own(spec)):
            continue
        content = _content(spec)
        if content is not None:
            found[name] = _digest(spec, content)
        waiting |= _reached(name, spec, content or b"") - met
    return dict(sorted(found.items()))


def modules_of(function: Any) -> set[str]:
    """Return the names of the modules in which a callable and all that it wraps were written."""
    names: set[str] = set()
    met: set[int] = set()
    waiting = [function]
    while waiting:
        item = waiting.pop()
        if item is None or id(item) in met or isinstance(item, (ModuleType, CodeType)):
            continue
        met.add(id(item))
        classes = item.__mro__ if isinstance(item, type) else type(item).__mro__
        names |= {str(kind.__module__) for kind in classes}
        name = getattr(item, "__module__", None)
        names |= {name} if isinstance(name, str) else set()
        waiting += _parts(item)
    return names


def _parts(item: Any) -> list[Any]:
    """What a callable holds that may itself be called.

    Attributes of objects hold what custom derivatives and most wrappers wrap; those that an object
    makes up when asked are not asked for.
    """
    parts: list[Any] = []
    if isinstance(item, functools.partial):
        parts += [item.func, *item.args, *item.keywords.values()]
    if isinstance(item, MethodType):
        parts += [item.__func__, item.__self__]
    if isinstance(item, FunctionType):
        parts += [*(item.__defaults__ or ()), *(item.__kwdefaults__ or {}).values(), *_cells(item)]
    if not isinstance(item, type):
        parts += getattr(item, "__dict__", {}).values()
        if not hasattr(type(item), "__getattr__"):
            parts.append(getattr(item, "__wrapped__", None))
    return [part for part in parts if callable(part)]


def _cells(function: FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not yet filled
            continue


def _spec(name: str) -> ModuleSpec | None:
    """Where a module comes from; of one not yet imported found without importing its packages."""
    module = sys.modules.get(name)
    if module is not None:
        return getattr(module, "__spec__", None)
    parent, _, _ = name.rpartition(".")
    if not parent:
        return importlib.machinery.PathFinder.find_spec(name)
    above = _spec(parent)
    if above is None or above.submodule_search_locations is None:
        return None
    return importlib.machinery.PathFinder.find_spec(name, above.submodule_search_locations)


@functools.cache
def _standard() -> tuple[Path, ...]:
    return tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib"))


def _is_own(spec: ModuleSpec) -> bool:
    if spec.name.partition(".")[0] == PACKAGE:
        return False
    if not spec.has_location:  # built in, frozen, or a package without a file of its own
        return spec.origin is None and spec.submodule_search_locations is not None
    place = Path(str(spec.origin)).resolve()
    if set(place.parts) & set(_INSTALLED):
        return False
    return not any(place.is_relative_to(root) for root in _standard())


def _content(spec: ModuleSpec) -> bytes | None:
    """The file of a module, which may lie in an archive; None where it has none."""
    if not spec.has_location:
        return None
    read = getattr(spec.loader, "get_data", None)
    try:
        return Path(str(spec.origin)).read_bytes() if read is None else read(spec.origin)
    except OSError as error:
        raise InputError(f"cannot read the source of {spec.name}: {error}") from None


def _digest(spec: ModuleSpec, content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    module = sys.modules.get(spec.name)
    return digest if module is None else _seen.setdefault(module, digest)


def _reached(name: str, spec: ModuleSpec, content: bytes) -> set[str]:
    """The names of all modules that a module imports or holds, with the packages they lie in."""
    package = name if spec.submodule_search_locations is not None else name.rpartition(".")[0]
    names = {name, *_imported(content, package)}
    for item in list(vars(sys.modules[name]).values()) if name in sys.modules else []:
        if isinstance(item, ModuleType):
            names.add(item.__name__)
        elif callable(item):
            names |= modules_of(item)
    return {part for whole in names for part in _prefixes(whole)}


def _prefixes(name: str) -> Iterator[str]:
    words = name.split(".")
    return (".".join(words[: i + 1]) for i in range(len(words)))


def _imported(content: bytes, package: str) -> Iterator[str]:
    """The modules that a source imports anywhere, also within functions; none if it is no source.

    `from a import b` may name a module b of a package a, or something in a: both are given.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python has given them when it compiled the module
            tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            try:
                base = importlib.util.resolve_name(module, package) if node.level else module
            except ImportError:  # beyond the top: it would fail when run
                continue
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
