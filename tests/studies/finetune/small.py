"""Small configurations for tests of studies, and the base models that they need."""

import dataclasses
from pathlib import Path
from typing import Any

from fineq.results import StudyResult
from fineq.shell.compose import compose
from fineq.shell.execute import execute
from fineq.studies.area import Area
from fineq.studies.finetune.area import AREA
from fineq.studies.finetune.config import FinetuneConfig
from fineq.sweep.stages import Stages

NETWORK = "network.width=16 network.depth=1 chain.num_steps=6"
BASE = f"pretrain.num_steps=40 {NETWORK}"
TINY = {
    "pretrain": f"{BASE} seeds=2",
    "beta": f"{BASE} seeds=2 betas=[1.0,3.0] tuning.num_steps=3 tuning.num_paths=4 "
    "truth.num_paths=256 truth.num_curvatures=1",
    # A U-Net takes a minute to compile.
    "image": f"{BASE} network.name=mlp seeds=2 betas=[1.0] tuning.num_steps=2 "
    "tuning.num_paths=2 truth.num_paths=256",
    "demo": f"{BASE} seeds=2 tuning.num_steps=2 tuning.num_paths=4 truth.num_paths=256",
    "prompts": f"{BASE} seeds=2 tuning.num_steps=2 tuning.num_paths=4 truth.num_paths=256 "
    "reward.labels=[3,8]",
    "score_error": "seeds=2 pretrain.stops=[100,400] network.width=16 network.depth=1 "
    "chain.num_steps=12 tuning.num_steps=2 tuning.num_paths=4 truth.num_points=121",
    "methods": f"{BASE} seeds=2 methods.names=[pi_ft,draft_last] methods.last=2 "
    "methods.best_of=[2] tuning.num_steps=2 tuning.num_paths=4 truth.num_paths=256",
    "ablations": f"{BASE} seeds=2 ablations.rank=[2,4] ablations.num_paths=[4] "
    "ablations.num_inner=[2] ablations.damping=[0.5,1.0] ablations.num_steps=[2] "
    "tuning.num_steps=2 tuning.num_paths=4 truth.num_paths=256",
    "memory": "network.width=8 chain.num_steps=4 seeds=2 memory.num_steps=[4] "
    "memory.num_paths=[4,8] tuning.num_paths=4 tuning.rank=2",
    # Long enough that its base model stays where the grid is.
    "mixture": f"pretrain.num_steps=400 {NETWORK} seeds=2 tuning.num_steps=4 "
    "truth.num_paths=256 truth.num_points=121",
}


def supplied(area: Area, config: Any, output: Path) -> Any:
    """The configuration with the run that it needs, made below a folder."""
    needed = area.needs(config)
    if needed is None:
        return config
    made = dataclasses.replace(needed.config, output=str(output), quiet=True)
    return area.supplied(config, execute(area, made, alone=False)[1])


def small(name: str, output: Path, *words: str) -> FinetuneConfig:
    """An experiment at a tiny size, with its base model."""
    last = {word.partition("=")[0]: word for word in (*TINY[name].split(), *words)}
    size = [] if name == "demo" else ["profile=smoke"]
    line = [f"experiment=finetune/{name}", *size, *last.values()]
    return supplied(AREA, compose(AREA, line), output)


def run_small(name: str, output: Path, *words: str) -> tuple[FinetuneConfig, StudyResult]:
    """The same, run."""
    config = small(name, output, *words)
    study, loaded = AREA.begin(config)
    return config, study(config, loaded.given, Stages())
