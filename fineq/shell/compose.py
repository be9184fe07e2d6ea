"""From words on a command line to a typed and validated configuration.

Hydra chooses and merges the files of `configs/`. What a profile, a saved configuration and the
command line say is laid over them as data. Precedence: command line, then the experiment's block
for the profile, then the experiment, then the defaults; or command line, then a saved file.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fineq.errors import InputError, in_a_line
from fineq.settings.config import PROFILES, RunConfig
from fineq.settings.effects import settle
from fineq.settings.fields import flatten, leaves, sweep_axes, validate, validate_members
from fineq.shell.places import CONFIGS
from fineq.shell.sentences import one_sentence
from fineq.shell.words import OF_A_COMMAND, Word, check_field, files_of, groups, read_words
from fineq.studies.area import Area
from fineq.studies.inputs.files import regular

CHOICES = "choices"  # name under which Hydra finds the files chosen beside a saved configuration


def compose(area: Area, overrides: Sequence[str], source: str | None = None) -> Any:
    """Compose and validate the configuration that `field=value` words ask for.

    Arguments and errors as for `compose_words`.
    """
    return compose_words(area, read_words(area, overrides), source)


def compose_words(area: Area, words: Sequence[Word], source: str | None = None) -> Any:
    """Compose and validate a configuration.

    Args:
        area: the area whose primary config is composed.
        words: what is set and chosen.
        source: a run's config.yaml to start from instead of defaults and experiment.

    Raises:
        InputError: unknown field, wrong type, value out of range, fields that disagree, a field
            that was given and has no effect, an axis that the study does not have.
    """
    from omegaconf import OmegaConf

    chosen = [word for word in words if word.file]
    given = {path: value for word in words if not word.file for path, value in word.fields.items()}
    where = dict.fromkeys((*given, *(path for word in chosen for path in word.fields)), "")
    if source is None:
        composed = _hydra(area, area.name, chosen)
    else:
        saved = read_saved(area, source)
        composed, over = _from_saved(area, saved, source, chosen)
        where = {**dict.fromkeys(saved.keys() - over, source), **where}
    with one_sentence():
        usual = composed.profile
        _lay(area, composed, _profile(composed, given))
        # A word that takes back what a file says is no mistake, one that changes nothing may be.
        idle = {path for path in given if OmegaConf.select(composed, path) == given[path]}
        _lay(area, composed, given)
    config = _typed(area, _without_overridden_axes(composed, given))
    _check_profile(config, usual, source, chosen)
    settled = settle(config, area.effects, where, idle)
    validate_members(settled)
    return settled


def register(area: Area) -> None:
    """Tell Hydra the area's fields and their types."""
    from hydra.core.config_store import ConfigStore

    ConfigStore.instance().store(name=f"{area.name}_schema", node=area.config_type)


def _hydra(area: Area, name: str, chosen: Sequence[Word]) -> Any:
    """What Hydra makes of the primary config `name` and the files chosen."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    register(area)
    # The program that calls `fineq.run` may be one of Hydra's itself.
    of_caller, GlobalHydra.instance().hydra = GlobalHydra.instance().hydra, None
    try:
        with one_sentence(), initialize_config_dir(str(CONFIGS), version_base="1.3"):
            return hydra_compose(name, [text for word in chosen for text in files_of(word)])
    finally:
        GlobalHydra.instance().hydra = of_caller


def _from_saved(
    area: Area, saved: Mapping[str, Any], source: str, chosen: Sequence[Word]
) -> tuple[Any, set[str]]:
    """The saved values on the area's defaults, what chosen files say on top, and its paths."""
    from hydra.core.config_store import ConfigStore
    from omegaconf import OmegaConf, open_dict

    composed = OmegaConf.structured(area.config_type)
    with one_sentence(f"--from {source}: "):
        _lay(area, composed, {path: literal(value) for path, value in saved.items()})
    # Files named on the command line alone: without defaults, which would hide what was saved.
    defaults: list[dict[str, Any]] = [{name: None} for name in groups(area)]
    quiet = [{f"override hydra/{name}_logging": "none"} for name in ("job", "hydra")]
    if "setting" in groups(area):
        defaults.append({"optional figure": "${experiment}/${setting}"})
    ConfigStore.instance().store(name=CHOICES, node={"defaults": [*defaults, "_self_", *quiet]})
    over = _hydra(area, CHOICES, chosen)
    with one_sentence(), open_dict(composed):
        found: Any = OmegaConf.to_container(over, resolve=False)
        return OmegaConf.merge(composed, over), set(flatten(found))


def read_saved(area: Area, source: str) -> dict[str, Any]:
    """The fields in a run's config.yaml, by dotted path: plain values, nothing is resolved.

    Those of `OF_A_COMMAND` stay behind.

    Raises:
        InputError: when it is no file, no YAML, or holds anything but the area's fields.
    """
    import yaml
    from omegaconf._utils import get_yaml_loader

    path = regular(f"--from {source}", source)
    try:
        saved = yaml.load(path.read_bytes(), Loader=get_yaml_loader())  # a safe loader
    except Exception as error:
        why = _why_unread(error)
        raise InputError(f"--from {source}: not a configuration in YAML ({why})") from error
    if not isinstance(saved, dict) or not all(isinstance(name, str) for name in saved):
        raise InputError(f"--from {source}: not the config.yaml of a run")
    with one_sentence(f"--from {source}: "):
        fields = flatten(saved)
    for name in fields:
        if name != "sweep" and not name.startswith("sweep."):
            try:
                check_field(area, name)
            except InputError as error:
                raise InputError(f"--from {source}: {error}") from None
    return {name: value for name, value in fields.items() if name not in OF_A_COMMAND}


def _why_unread(error: Exception) -> str:
    """What a YAML parser has against a text, and where."""
    if isinstance(error, RecursionError):
        return "brackets are nested too deep"
    said = " ".join(str(getattr(error, "problem", None) or in_a_line(error)).split())
    mark = getattr(error, "problem_mark", None)
    return f"line {mark.line + 1}: {said}" if mark else said


def literal(value: Any) -> Any:
    """The value with every `${` in its texts escaped, so that it stands for itself."""
    if isinstance(value, str):
        return re.sub(r"(\\*)\$\{", r"\1\1\\${", value)
    if isinstance(value, list):
        return [literal(item) for item in value]
    if isinstance(value, dict):
        return {literal(name): literal(item) for name, item in value.items()}
    return value


def _lay(area: Area, composed: Any, fields: Mapping[str, Any]) -> None:
    """Set fields, by dotted path, each checked against its type."""
    from omegaconf import OmegaConf

    listed = {leaf.path: leaf.spec for leaf in leaves(area.config_type()) if leaf.spec.depths}
    for path, value in fields.items():
        looked_up = isinstance(value, str) and ("${" in value or value == "???")
        if path in listed and value is not None and not (isinstance(value, list) or looked_up):
            raise InputError(
                f"{path} must be a list in brackets, such as {listed[path].example()}, got {value}"
            )
        if path == "sweep" and not isinstance(value, dict):
            raise InputError(f"sweep must be given as sweep.FIELD=[a,b,...], got {value}")
        OmegaConf.update(composed, path, value, force_add=path.startswith("sweep."))


def _profile(composed: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the profile's block of the experiment says."""
    from omegaconf import OmegaConf

    name = given.get("profile", composed.profile)
    if name not in PROFILES:
        return {}  # `validate` has the sentence
    blocks: Any = OmegaConf.to_container(composed.profiles, resolve=False)
    return flatten(blocks.get(name, {}))


def _check_profile(
    config: RunConfig, usual: str, source: str | None, chosen: Sequence[Word]
) -> None:
    """Raise `InputError` for a profile of no experiment: its name would change nothing."""
    if config.profiles or config.profile == usual:
        return
    for word in chosen:
        if word.key == "experiment" and word.value is not None:
            raise InputError(
                f"profile={config.profile} has no effect: experiment={word.value} has one size"
            )
    start = f"--from {source}" if source else "what runs here"
    raise InputError(
        f"profile={config.profile} has no effect: profiles are blocks of an experiment=NAME, and "
        f"{start} has none"
    )


def _without_overridden_axes(composed: Any, given: Mapping[str, Any]) -> Any:
    """A value given on the command line replaces the axis an experiment lays along that field."""
    from omegaconf import OmegaConf, open_dict

    swept = tuple(name.removeprefix("sweep.") for name in given if name.startswith("sweep."))
    axes: dict[str, Any] = {}
    # An experiment may write with dots what the command line nests: what came later counts.
    for name, values in OmegaConf.to_container(composed.sweep).items():  # type: ignore[union-attr]
        axes |= flatten({str(name): values})
    axes |= {path: given[f"sweep.{path}"] for path in swept}
    kept = {path: values for path, values in axes.items() if path not in given or path in swept}
    with open_dict(composed):
        composed.sweep = {}
        for path, values in kept.items():
            OmegaConf.update(composed, f"sweep.{path}", values, force_add=True)
    return composed


def _typed(area: Area, composed: Any) -> Any:
    from omegaconf import OmegaConf

    with one_sentence():
        config = OmegaConf.to_object(composed)
    if not isinstance(config, area.config_type):
        raise InputError(f"configs/{area.name}.yaml does not follow {area.config_type.__name__}")
    for path in _strays(config):
        raise InputError(f"{path} is not a field; --help lists the fields there are")
    if not config.output.strip():
        raise InputError("output must name a folder, got nothing")
    validate(config)
    sweep_axes(config, config.sweep)
    return config


def _strays(config: Any, prefix: str = "") -> Iterator[str]:
    """Fields in files of `configs/` that the area does not have."""
    names = {field.name for field in dataclasses.fields(config)}
    yield from (prefix + name for name in sorted(set(vars(config)) - names))
    for name in names:
        value = getattr(config, name)
        if dataclasses.is_dataclass(value):
            yield from _strays(value, f"{prefix}{name}.")


def settings(config: Any) -> dict[str, Any]:
    """The resolved configuration as nested plain values; profiles have been applied and go."""
    return {k: v for k, v in dataclasses.asdict(config).items() if k != "profiles"}


def to_yaml(config: Any) -> str:
    """The resolved configuration as YAML."""
    import yaml

    return yaml.safe_dump(settings(config), sort_keys=False, allow_unicode=True)
