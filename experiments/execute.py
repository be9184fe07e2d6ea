"""Carry out one configured study: open its run folder, compute, save, report."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fineq.config import RunConfig
from fineq.console import Console, make_console
from fineq.errors import EXIT_ALL_DIVERGED, EXIT_CLAIM_FAILED, EXIT_DONE
from fineq.iterate import interruptible
from fineq.results import StudyResult
from fineq.runs import Checkpoints, Run, open_run
from fineq.sweep.stages import Stages

Study = Callable[[Any, Any, Stages], StudyResult]


def execute(
    area: str,
    config: RunConfig,
    settings: Mapping[str, Any],
    study: Study,
    given: Any,
    files: Mapping[str, Path],
) -> tuple[int, Path]:
    """Run a study, or find it done, and show what it found.

    Args:
        area: first folder below the output.
        config: the validated configuration.
        settings: the same as nested plain values, as saved beside the results.
        study: `(config, given, stages) -> StudyResult`.
        given: what was loaded from files.
        files: configuration field to the file it names; their content identifies the run.

    Returns:
        The exit code and the run folder.

    Raises:
        FineqError: bad input, too little memory or disk, interruption.
    """
    console = make_console(config.quiet)
    run = open_run(
        config.output,
        area=area,
        study=config.study,
        name=config.name,
        config=settings,
        files=files,
        force=config.force,
    )
    with run:
        for sentence in run.damage:
            console.line(f"{sentence}; it is made again")
        if run.complete:
            console.line("this run is complete; force=true computes it again")
        else:
            _compute(run, config, study, given, console)
        loaded = run.load()
        console.report(loaded.summary, loaded.files)
    return _exit_code(loaded.summary, config.strict), run.path


def _compute(run: Run, config: RunConfig, study: Study, given: Any, console: Console) -> None:
    if run.resumed:
        console.line("going on from where an earlier attempt was interrupted")
    started = time.monotonic()
    stages = Stages(
        store=Checkpoints(run.checkpoints, notify=console.line),
        block_size=config.block_size,
        save_seconds=config.save_every,
    )
    with console.progress("gap") as progress, interruptible():
        stages.progress = progress
        result = study(config, given, stages)
        timing = {**stages.timing, "total": time.monotonic() - started}
        run.save(result, timing, config.precision)


def _exit_code(summary: Mapping[str, Any], strict: bool) -> int:
    if summary["status"] == "diverged":
        return EXIT_ALL_DIVERGED
    failed = any(claim["verdict"] == "fails" for claim in summary["claims"])
    return EXIT_CLAIM_FAILED if strict and failed else EXIT_DONE
