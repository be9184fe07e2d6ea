"""From words on a command line to a typed and validated configuration.

Precedence: command line, then the experiment's block for the profile, then the experiment, then the
defaults.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.area import Area
from experiments.sentences import CONFIGS, one_sentence
from fineq.errors import InputError
from fineq.fields import flatten, sweep_axes, validate


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

    register(area)
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


def register(area: Area) -> None:
    """Tell Hydra the area's fields and their types."""
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


def settings(config: Any) -> dict[str, Any]:
    """The resolved configuration as nested plain values; profiles have been applied and go."""
    return {k: v for k, v in dataclasses.asdict(config).items() if k != "profiles"}


def to_yaml(config: Any) -> str:
    """The resolved configuration as YAML."""
    import yaml

    return yaml.safe_dump(settings(config), sort_keys=False, allow_unicode=True)
