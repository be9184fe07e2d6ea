"""One run per combination of comma lists, by Hydra's sweeper and launcher."""

import tempfile
from collections.abc import Sequence
from typing import Any

from experiments.area import Area
from experiments.backend import forget_programs
from experiments.compose import register
from experiments.options import Options
from experiments.sentences import CONFIGS, one_sentence


def multirun(area: Area, options: Options) -> int:
    """One run per combination of comma lists, by Hydra's sweeper and launcher."""
    from hydra._internal.hydra import Hydra
    from hydra._internal.utils import create_automatic_config_search_path
    from hydra.core.global_hydra import GlobalHydra

    register(area)
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

        from experiments.shell import main

        area = importlib.import_module(f"experiments.{self.area}").AREA
        words = list(HydraConfig.get().overrides.task)
        code = main(area, words)
        forget_programs()
        return code


def _job_code(job: Any) -> int:
    """The exit code of a finished job; an exception that is not ours is raised again."""
    return int(job.return_value)
