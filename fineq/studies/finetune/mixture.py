"""The whole pipeline where the truth is known: a mixture, whose optimum a grid computes.

A network is trained on draws of the mixture and fine-tuned by adapters. On a line or in the plane
the optimum of the *same* base model is exact to the order of a grid, so that three things are known
beside what any run tells: the control error along training, what a policy earns, and what is left
to gain. The optimum itself misses the tilted law by the order of a step, and that is said beside it
(`finetune/exact`, `finetune/gap`).
"""

from functools import partial

import numpy as np
from jax import Array

from fineq import figures, pift
from fineq.claims import Theory
from fineq.errors import InputError
from fineq.finetune import Reference, Tuning, adapted, exact_problem, reference_of
from fineq.finetune.truth import gaps
from fineq.finetune.weights import weigh
from fineq.keys import key_for
from fineq.pift import grid
from fineq.pift.certificates import ENOUGH
from fineq.studies import statistics
from fineq.studies.finetune import common, tuned
from fineq.studies.finetune.adapters import kept
from fineq.studies.finetune.config import FinetuneConfig
from fineq.studies.finetune.given import Given
from fineq.studies.finetune.grids import grid_of, log_mass, means_at, start_weights
from fineq.studies.finetune.rewards import Rewarded, rewarded
from fineq.studies.recipe import Draw, Found, Quantity, Recipe, Row, View
from fineq.sweep import Axis, Table
from fineq.sweep.stages import Member, Stages

NUM_REFERENCE = 512  # paths of the optimum on which control errors are measured
MARGIN = 0.02  # nats by which an estimated gap may miss the exact one
QUANTITIES = (
    Quantity("error", "control error, KL of the optimum from the policy [nat]", ("iteration",)),
    Quantity("left", "exact gap to the best policy [nat]"),
    Quantity("remainder", "what the best policy leaves of the bound [nat]", seeds=False),
    Quantity("estimate", "estimated gap to the bound [nat]"),
    Quantity("exact", "exact gap to the bound [nat]"),
    Quantity("effective", "effective paths behind the estimate"),
)


def bind(config: FinetuneConfig, given: Given, stages: Stages) -> common.Study:
    """A study whose own axis is the price β.

    Raises:
        InputError: for data on no line or plane.
    """
    assert given.base is not None
    if given.base.data.name != "mixture":
        raise InputError(
            f"study=mixture needs a base model of data.name=mixture, got {given.base.data.name}"
        )
    return common.make_study(config, given, stages, Axis("beta", config.betas))


def measure(study: common.Study) -> Found:
    """Solve exactly, fine-tune, and compare."""
    made, axes = rewarded(study), [*study.own, *study.axes]
    grid.checks.check_grid(
        exact_problem(common.tuning_of(study, made.reward, {"beta": study.own[0].values[0]})),
        _grid(study),
    )
    exact = study.stages.measure("optimum", partial(_exact, study, made), list(study.own))
    table = Table(study.own, exact)

    def reference(tuning: Tuning, member: Member) -> Reference:
        mean = grid.grid_mean(_grid(study), member["exact"]["means"])
        root = key_for(member["seed"], "paths of the optimum")
        return reference_of(root, tuning, mean, NUM_REFERENCE)

    trained = tuned.fine_tune(
        study,
        made,
        axes,
        partial(common.policy_iteration, study),
        study.config.tuning.num_steps,
        inputs={"exact": table},
        reference=reference,
    )
    seen = study.stages.measure(
        "gaps",
        partial(_gaps, study, made),
        axes,
        {"adapters": trained.final.average, "exact": table},
    )
    betas = np.asarray(study.own[0].values)
    return Found(
        {
            "error": trained.metrics["error"],
            "remainder": ((exact["bound"] - exact["best"]) / betas),
            **seen,
        },
        list(study.own),
        {"iteration": trained.iterations},
        trained.diverged,
        made.notes,
        files=kept(study, trained.final.average, trained.diverged),
    )


def _grid(study: common.Study) -> pift.Grid:
    assert study.given.base is not None
    return grid_of(study.given.base.data, study.config.truth.num_points)


def _exact(study: common.Study, made: Rewarded, member: Member) -> dict[str, Array]:
    """The optimum of the base model: its means, what it earns, and the conditional bound."""
    problem = exact_problem(common.tuning_of(study, made.reward, member))
    on = pift.gridded(problem, _grid(study))
    optimum = pift.optimum(on)
    weights = start_weights(on)
    return {
        "means": optimum.mean,
        "best": weights @ optimum.value[0],
        "bound": member["beta"] * (weights @ log_mass(on)),
    }


def _gaps(study: common.Study, made: Rewarded, member: Member) -> dict[str, Array]:
    """What a fine-tuned policy leaves: exactly, and as simulated paths tell."""
    truth, tuning = study.config.truth, common.tuning_of(study, made.reward, member)
    policy = adapted(tuning.base, member["adapters"])
    on = pift.gridded(exact_problem(tuning), _grid(study))
    earned = start_weights(on) @ grid.evaluate(on, means_at(on.grid, policy))[0]
    roots = [key_for(member["seed"], "paths of the base"), key_for(member["seed"], "own paths")]
    before, own = (
        weigh(root, tuning, by, truth.num_paths, truth.inner)
        for root, by in zip(roots, (None, policy), strict=True)
    )
    found = gaps(before, own, tuning.beta).conditional
    exact = member["exact"]
    return {
        "left": (exact["best"] - earned) / tuning.beta,
        "exact": (exact["bound"] - earned) / tuning.beta,
        "estimate": found.value,
        "effective": found.effective,
    }


def _fall(view: View) -> np.ndarray:
    errors = view("error")
    return errors[:, -1] / errors[:, 0]


def _missed(view: View) -> np.ndarray:
    apart = view("estimate") - view("exact")
    return np.where(view("effective") >= ENOUGH, apart, np.nan)


def _panels(view: View) -> list[figures.Panel]:
    betas = view.values_of("beta").tolist()
    lines = [view.line("error", f"β = {beta:g}", beta=beta) for beta in betas]
    return [
        view.panel(
            "convergence", "iteration", lines, title="Control error", ordered=True, ylabel="nats"
        ),
        view.panel(
            "curves",
            "beta",
            {"exact": "exact", "estimate": "estimated", "remainder": "of the best policy"},
            title="Gap to the bound",
            log="xy",
            ylabel="nats",
        ),
    ]


run = Recipe(
    bind=bind,
    measure=measure,
    names=common.NAMES,
    words=common.named_instance,
    quantities=QUANTITIES,
    claims=(
        Row(
            *("finetune/exact", "control error after training over that before, β = {beta}"),
            statistics.Median(_fall),
            Theory(1.0, "<=", "training approaches the optimum"),
            each=("beta",),
        ),
        Row(
            *("finetune/gap", "estimated gap less the exact one, β = {beta}"),
            statistics.Median(_missed),
            Theory(0.0, "~", "the same number", margin=MARGIN),
            each=("beta",),
            unit="nat",
        ),
        common.told(
            *(
                "finetune/exact",
                "left",
                "what the network leaves of the best policy's J, β = {beta}",
            ),
            "nat",
            each=("beta",),
        ),
        Row(
            *("finetune/gap", "what the best policy leaves of the bound, β = {beta}"),
            statistics.Exact(lambda view: view("remainder"), said="by quadrature"),
            each=("beta",),
            unit="nat",
        ),
    ),
    figures=(Draw("mixture", _panels, "Fine-tuning on a mixture, beside the exact optimum."),),
)
