"""The command line: compose a typed configuration, run it, end with one sentence and an exit code.

Hydra is used as a library: it composes and launches; it makes no folders, no log files and changes
no directory. Precedence: command line, then the experiment's block for the profile, then the
experiment, then the defaults.
"""

import dataclasses
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiments.sentences import CONFIGS, one_sentence
from experiments.xla import refusal
from fineq.config import RunConfig
from fineq.errors import EXIT_INTERRUPTED, FineqError, InputError
from fineq.fields import flatten, leaves, sweep_axes, validate

LEAST_THREADS = 4
USAGE = """\
usage: python -m experiments.{area} [experiment={area}/<name>] [field=value ...] [options]

  experiment={area}/NAME     one of: {experiments}
  field=value               set a field (below)
  sweep.FIELD=[a,b,...]     lay an axis over a numeric field, in one program; several axes: product
  -m field=a,b ...          one run per value (Hydra multirun; hydra/launcher=... for clusters)
  --cfg                     print the resolved configuration and stop
  --from FILE               start from a run's config.yaml instead of the defaults
  --traceback               show where an error arose
  --help                    this text
"""


class Area(NamedTuple):
    """What the shell needs of an area.

    Attributes:
        name: as in `experiments.<name>` and `configs/<name>.yaml`.
        config_type: dataclass of its configuration.
        run: runs one configuration; returns its exit code and the run folder.
    """

    name: str
    config_type: type[RunConfig]
    run: Callable[[Any], tuple[int, Path]]


class _Options(NamedTuple):
    overrides: list[str]
    multirun: bool
    show: bool
    help: bool
    traceback: bool
    source: str | None


def main(area: Area, argv: Sequence[str] | None = None) -> int:
    """Run the command line of `area` and return the exit code (never raises for bad input)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--traceback" in arguments
    try:
        options = _parse(area, arguments)
        if options.help:
            print(help_text(area))
            return 0
        if options.multirun and (options.show or options.source):
            raise InputError("-m runs many configurations: it goes with neither --cfg nor --from")
        if options.multirun:
            return _multirun(area, options)
        config = compose(area, options.overrides, options.source)
        if options.show:
            print(to_yaml(config), end="")
            return 0
        return area.run(config)[0]
    except FineqError as error:
        return report_error(error, debug)
    except KeyboardInterrupt:
        print("fineq: interrupted; the same command goes on from what was kept", file=sys.stderr)
        return EXIT_INTERRUPTED


def report_error(error: FineqError, debug: bool = False) -> int:
    """Print the error's sentence to standard error and return its exit code."""
    if debug:
        traceback.print_exception(error)
    print(f"fineq: {error}", file=sys.stderr)
    return error.exit_code


def _parse(area: Area, arguments: list[str]) -> _Options:
    switches = {"-m", "--multirun", "--cfg", "--help", "-h", "--traceback"}
    source = None
    if "--from" in arguments:
        at = arguments.index("--from")
        if at + 1 >= len(arguments) or "=" in arguments[at + 1]:
            raise InputError("--from needs a file: the config.yaml of a run")
        source = arguments[at + 1]
        del arguments[at : at + 2]
    words = [word for word in arguments if word not in switches]
    for word in words:
        if word.startswith("-") or ("=" not in word and not word.startswith("~")):
            raise InputError(
                f"{word!r} is not an option of experiments.{area.name}; settings have the form "
                "field=value, and --help lists them"
            )
    given = set(arguments)
    return _Options(
        [_rewrite(word) for word in words],
        multirun=bool(given & {"-m", "--multirun"}),
        show="--cfg" in given,
        help=bool(given & {"--help", "-h"}),
        traceback="--traceback" in given,
        source=source,
    )


def _rewrite(word: str) -> str:
    """`sweep.x=` becomes `++sweep.x=`: the keys below `sweep` are checked here, not by Hydra."""
    if word.startswith("~"):
        raise InputError(f"{word!r}: a field cannot be deleted, only set")
    if word.startswith("+") and not re.match(r"\+{1,2}sweep\.", word):
        name = word.lstrip("+").partition("=")[0]
        raise InputError(f"{name!r} cannot be added with '+'; --help lists the fields there are")
    return "++" + word.lstrip("+") if re.match(r"\+{0,2}sweep\.", word) else word


def compose(area: Area, overrides: Sequence[str], source: str | None = None) -> Any:
    """Compose and validate the configuration.

    Args:
        area: the area whose primary config is composed.
        overrides: `field=value` words, already rewritten.
        source: a run's config.yaml to start from instead of defaults and experiment.

    Raises:
        InputError: unknown field, wrong type, value out of range, fields that disagree.
    """
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    _register(area)
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONFIGS), version_base="1.3"):
            composed = _compose_with_profile(area, list(overrides), source)
    finally:
        GlobalHydra.instance().clear()
    return _typed(area, _without_overridden_axes(composed, overrides))


def _without_overridden_axes(composed: Any, overrides: Sequence[str]) -> Any:
    """A value given on the command line replaces the axis an experiment lays along that field."""
    from omegaconf import OmegaConf, open_dict

    names = [word.partition("=")[0] for word in overrides]
    given = {name for name in names if not name.startswith("++sweep")}
    swept = tuple(name.removeprefix("++sweep.") for name in names if name.startswith("++sweep"))
    axes = flatten(OmegaConf.to_container(composed.sweep))  # type: ignore[arg-type]
    kept = {
        path: values
        for path, values in axes.items()
        if path not in given or any(path == n or path.startswith(n + ".") for n in swept)
    }
    with open_dict(composed):
        composed.sweep = {}
        for path, values in kept.items():
            OmegaConf.update(composed, f"sweep.{path}", values, force_add=True)
    return composed


def _register(area: Area) -> None:
    from hydra.core.config_store import ConfigStore

    ConfigStore.instance().store(name=f"{area.name}_schema", node=area.config_type)


def _compose_with_profile(area: Area, overrides: list[str], source: str | None) -> Any:
    from hydra import compose as hydra_compose
    from omegaconf import OmegaConf

    with one_sentence():
        if source is not None:
            return _compose_from_file(area, overrides, source)
        first = hydra_compose(area.name, overrides)
        block = OmegaConf.to_container(first).get("profiles", {}).get(first.profile, {})  # type: ignore[union-attr]
        profile = [f"{path}={_word(value)}" for path, value in flatten(block).items()]
        profile = [("++" if word.startswith("sweep.") else "") + word for word in profile]
        return hydra_compose(area.name, profile + overrides)


def _compose_from_file(area: Area, overrides: list[str], source: str) -> Any:
    from hydra import compose as hydra_compose
    from omegaconf import OmegaConf

    path = Path(source)
    if not path.is_file():
        raise InputError(f"--from {source}: there is no such file")
    try:
        saved = OmegaConf.load(path)
    except Exception as error:
        raise InputError(f"--from {source}: not a configuration in YAML") from error
    if not OmegaConf.is_dict(saved):
        raise InputError(f"--from {source}: not the config.yaml of a run")
    words = [
        f"{'++' if name.startswith('sweep.') else ''}{name}={_word(value)}"
        for name, value in flatten(OmegaConf.to_container(saved)).items()  # type: ignore[arg-type]
    ]
    return hydra_compose(area.name, words + overrides)


def _word(value: Any) -> str:
    """A value in Hydra's override grammar."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ",".join(_word(item) for item in value) + "]"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"
    return repr(value)


def _typed(area: Area, composed: Any) -> Any:
    from omegaconf import OmegaConf

    with one_sentence():
        config = OmegaConf.to_object(composed)
    if not isinstance(config, area.config_type):
        raise InputError(f"configs/{area.name}.yaml does not follow {area.config_type.__name__}")
    _refuse_strays(config)
    validate(config)
    sweep_axes(config, config.sweep)
    return config


def _refuse_strays(config: Any, prefix: str = "") -> None:
    names = {field.name for field in dataclasses.fields(config)}
    stray = sorted(set(vars(config)) - names)
    if stray:
        raise InputError(f"{prefix}{stray[0]} is not a field; --help lists the fields there are")
    for name in names:
        value = getattr(config, name)
        if dataclasses.is_dataclass(value):
            _refuse_strays(value, f"{prefix}{name}.")


def _multirun(area: Area, options: _Options) -> int:
    """One run per combination of comma lists, by Hydra's sweeper and launcher."""
    from hydra._internal.hydra import Hydra
    from hydra._internal.utils import create_automatic_config_search_path
    from hydra.core.global_hydra import GlobalHydra

    _register(area)
    GlobalHydra.instance().clear()
    with tempfile.TemporaryDirectory() as scratch:
        # Hydra's sweeper leaves a file of its own in its folder; a launcher for clusters needs
        # that folder where all machines see it, and then the user names it.
        ours = [] if _names_folder(options.overrides) else [f"hydra.sweep.dir='{scratch}'"]
        try:
            with one_sentence():
                search = create_automatic_config_search_path(None, None, str(CONFIGS))
                hydra = Hydra.create_main_hydra2("fineq", search)
                batches = hydra.multirun(area.name, _Job(area.name), ours + options.overrides)
        finally:
            GlobalHydra.instance().clear()
    jobs = [job for batch in batches for job in (batch if isinstance(batch, list) else [batch])]
    return max((_job_code(job) for job in jobs), default=0)


def _names_folder(overrides: Sequence[str]) -> bool:
    return any(word.startswith(("hydra.sweep.dir=", "hydra/launcher=")) for word in overrides)


class _Job:
    """The task function of a multirun: importable by name, so that launchers can send it away."""

    def __init__(self, area: str) -> None:
        self.area = area

    def __call__(self, _: Any) -> int:
        import importlib

        from hydra.core.hydra_config import HydraConfig

        area = importlib.import_module(f"experiments.{self.area}").AREA
        words = list(HydraConfig.get().overrides.task)
        code = main(area, words)
        forget_programs()
        return code


def _job_code(job: Any) -> int:
    """The exit code of a finished job; an exception that is not ours is raised again."""
    return int(job.return_value)


def settings(config: Any) -> dict[str, Any]:
    """The resolved configuration as nested plain values; profiles have been applied and go."""
    return {k: v for k, v in dataclasses.asdict(config).items() if k != "profiles"}


def to_yaml(config: Any) -> str:
    """The resolved configuration as YAML."""
    import yaml

    return yaml.safe_dump(settings(config), sort_keys=False, allow_unicode=True)


def help_text(area: Area) -> str:
    """Every field with its meaning, default, unit and range."""
    names = sorted(path.stem for path in (CONFIGS / "experiment" / area.name).glob("*.yaml"))
    lines = [USAGE.format(area=area.name, experiments=", ".join(names)), "fields:"]
    for leaf in leaves(area.config_type()):
        spec = leaf.spec
        default = "null" if leaf.value is None else leaf.value
        unit = f" {spec.unit}" if spec.unit else ""
        allowed = f"; {spec.allowed()}" if spec.allowed() else ""
        lines += [f"  {leaf.path}={default}{unit}", f"      {spec.help}{allowed}"]
    return "\n".join(lines)


def forget_programs() -> None:
    """Drop compiled programs, between studies of one process.

    Each takes a few of the 65,530 memory maps that Linux allows a process, and all of them more.
    """
    import jax

    jax.clear_caches()


def prepare_jax() -> None:
    """Switch float64 on before JAX is first used, and keep compiled programs between runs.

    Compiled programs go to `.cache/jax` beside `configs/`, unless JAX_COMPILATION_CACHE_DIR says
    otherwise. JAX's notes about backends that are absent are silenced.

    Raises:
        InputError: for XLA_FLAGS that the installed jaxlib does not take.
    """
    import logging

    flags = os.environ.get("XLA_FLAGS", "").strip()
    if flags and (why := refusal(flags)):
        raise InputError(f"XLA_FLAGS={flags} is not taken by the installed jaxlib: {why}")
    # Batched LAPACK calls of XLA's CPU client wait inside the threads they need: with two threads,
    # two calls at once wait forever (jaxlib 0.10.2).
    os.environ.setdefault("NPROC", str(max(LEAST_THREADS, os.cpu_count() or 1)))
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(CONFIGS.parent / ".cache" / "jax"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
    logging.getLogger("jax._src.xla_bridge").setLevel(logging.ERROR)
    import jax

    jax.config.update("jax_enable_x64", True)
