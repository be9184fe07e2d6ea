"""How an error of the score becomes an error of the reward.

On draws of a mixture a network learns the score, and copies of it are kept along its training:
early, about the best, and late, when it has learnt its draws by heart. Each copy is a base model of
its own and is fine-tuned, exactly and by adapters; what comes of it is judged on the chain of the
*exact* score, whose optimum a grid computes. With P the paths of the exact score's chain, P̂ those
of the network's, and P*, P̂* their tilts by e^{r/β},

    (J(P*) - J(P̂*))/β = KL(P̂* ‖ P*) <= e^{max r/β}/E_P̂[e^{r/β}] · KL(P̂ ‖ P)   for each Y_0,

with J on the true chain: the loss of the objective is of first order in KL(P̂ ‖ P), and that is the
squared error of the score, summed along the chain. So it is of second order in the error: seen
where a part λ of the last copy's is left, with means m + λ(m̂ - m). Chains of fixed covariances
reach their tilts to the order of a step (`finetune/score-error`).
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq import figures, pift
from fineq.claims import Theory
from fineq.ddpm import laws
from fineq.ddpm.training import make_denoising
from fineq.errors import InputError
from fineq.finetune import Tuning, adapted, exact_problem, make_tuning
from fineq.finetune.problem import PointReward
from fineq.optimiser import Optimiser
from fineq.pift import grid
from fineq.pift.grid.density import where_inside
from fineq.pift.rewards import Custom
from fineq.rates import paired_exponents
from fineq.studies import statistics
from fineq.studies.common import Slice, listed
from fineq.studies.finetune import common
from fineq.studies.finetune.config import FinetuneConfig
from fineq.studies.finetune.copies import KeptVariables, copies
from fineq.studies.finetune.data import components
from fineq.studies.finetune.given import Given
from fineq.studies.finetune.grids import grid_of, log_mass, means_at, start_weights
from fineq.studies.finetune.pretrain import denoiser_of
from fineq.studies.finetune.rewards import Rewarded, rewarded
from fineq.studies.recipe import Draw, Found, Quantity, Recipe, Row, View
from fineq.sweep import Axis, Table, Task, solving
from fineq.sweep.stages import Member, Stages

PARTS = (0.125, 0.25, 0.5, 1.0)  # of the last copy's error
OUTSIDE = 1e-6  # mass that a law may have beyond the grid
MARGIN = 0.05  # on an order: what extrapolating from these parts may leave
OWN = ("beta", "stop")
ORDER = statistics.LimitingOrder("part_loss", "part", below=1.0)
QUANTITIES = (
    Quantity("score_error", "error of the score, KL of paths [nat]", own=("stop",)),
    Quantity("loss", "loss of the objective, fine-tuned exactly [nat]", own=OWN),
    Quantity("network_loss", "loss of the objective, fine-tuned by adapters [nat]", own=OWN),
    Quantity("bound", "bound on the loss of the objective [nat]", own=OWN),
    Quantity("part_loss", "loss of the objective, fine-tuned exactly [nat]", own=("beta", "part")),
)


def bind(config: FinetuneConfig, given: Given, stages: Stages) -> common.Study:
    """A study whose own axes are the price β, and the step at which a copy was kept.

    Raises:
        InputError: for steps that do not rise.
    """
    stops = config.pretrain.stops
    if sorted(set(stops)) != stops:
        raise InputError(f"pretrain.stops must rise, got {stops}")
    own = (Axis("beta", config.betas), Axis("stop", stops))
    study = common.make_study(config, given, stages, *own)
    return study._replace(screen=denoiser_of(study))


def measure(study: common.Study) -> Found:
    """Learn the score, keep copies, fine-tune each, and judge all on the true chain."""
    made, axes = rewarded(study), [*study.own, *study.axes]
    prices, stops = study.own
    grid.checks.check_grid(_true(study, made, prices.values[0]), _grid(study))
    learnt, lost = _copies(study)
    copies = Table([stops, *study.axes], learnt)
    best = study.stages.measure("optimum", partial(_best, study, made), [prices])
    errors = study.stages.measure(
        "score errors", partial(_score_error, study), [stops, *study.axes], {"copy": copies}
    )
    exact = study.stages.measure(
        "exact fine-tuning",
        partial(_exact, study, made),
        axes,
        {
            "copy": copies,
            "best": Table([prices], best),
            "error": Table([stops, *study.axes], errors),
        },
    )
    steps = study.config.tuning.num_steps
    trained = study.stages.sweep(
        "fine-tuning",
        lambda static: solving(
            lambda key, member: Task(
                _tuning(study, made, member), common.policy_iteration(study, member)
            ),
            num_steps=steps,
            record=[0, steps],
        ),
        axes,
        inputs={"copy": copies},
    )
    network = study.stages.measure(
        "fine-tuned networks",
        partial(_network, study, made),
        axes,
        {"copy": copies, "best": Table([prices], best), "adapters": trained.final.average},
    )
    parts = Axis("part", PARTS)
    last = Table(study.axes, jax.tree.map(lambda x: x[-1], learnt))
    part_loss = study.stages.measure(
        "a part of the error",
        partial(_in_part, study, made),
        [prices, parts, *study.axes],
        {"copy": last, "best": Table([prices], best)},
    )
    return Found(
        {
            "score_error": errors["total"],
            "network_loss": network,
            "part_loss": part_loss,
            **exact,
        },
        [*study.own, parts],
        lost=trained.diverged | lost,
        notes=made.notes | _left_out(exact["loss"], network, part_loss),
    )


def _left_out(*losses: np.ndarray) -> dict[str, str]:
    lost, all_of = (sum(f(x) for x in losses) for f in (lambda x: np.isnan(x).sum(), np.size))
    words = f"{lost} of {all_of} chains have more than {OUTSIDE:g} of their mass beyond the grid"
    return {"grid": f"{words}, and are left out"} if lost else {}


def _copies(study: common.Study) -> tuple[Any, np.ndarray]:
    """Variables of the copies `[stop, *axes, ...]`, and which trainings diverged, `[*axes]`."""
    p, data = study.config.pretrain, study.given.data
    problem = make_denoising(jax.random.key(0), study.screen, data.x, data.held_x)
    # The rate stays, so that no copy is of a training that would have gone on otherwise.
    by = KeptVariables(optimiser=Optimiser(p.learning_rate, average=p.average), batch=p.batch)
    trained = study.stages.sweep(
        "pre-training",
        lambda static: solving(
            lambda key, member: Task(problem, by), num_steps=p.stops[-1], record=p.stops
        ),
        study.axes,
    )
    return copies(trained, p.stops), trained.diverged


def _tuning(study: common.Study, made: Rewarded, member: Member) -> Tuning:
    base = study.screen.holding(member["copy"])
    return make_tuning(base, made.reward, jnp.asarray(member["beta"], study.dtype))


def _grid(study: common.Study) -> pift.Grid:
    return grid_of(study.config.data, study.config.truth.num_points)


def _true(study: common.Study, made: Rewarded | None, beta: Any) -> pift.Problem:
    """The problem of the exact score's chain; without a reward, 0."""
    law = laws.mixture(np.full(2, 0.5), *components(study.config.data))
    chain = pift.ddpm_chain(law, study.screen.schedule)
    reward = Custom(_nothing) if made is None else PointReward(made.reward)
    return pift.make_problem(chain, reward, beta)


def _nothing(y: Array) -> Array:
    return 0.0 * y[0]


def _best(study: common.Study, made: Rewarded, member: Member) -> Array:
    """J of the true chain's optimum."""
    on = pift.gridded(_true(study, made, member["beta"]), _grid(study))
    return start_weights(on) @ pift.optimum(on).value[0]


def _score_error(study: common.Study, member: Member) -> dict[str, Array]:
    """KL(P̂ ‖ P), run forward, and given Y_0 at the points of the grid, `[P]`, run backward."""
    problem, on_grid = _true(study, None, 1.0), _grid(study)
    means = means_at(on_grid, study.screen.holding(member["copy"]))
    found = grid.objective(problem, on_grid, means)
    total = where_inside(on_grid, found.densities, jnp.sum(found.divergences), OUTSIDE)
    return {"total": total, "given": -grid.evaluate(pift.gridded(problem, on_grid), means)[0]}


def _exact(study: common.Study, made: Rewarded, member: Member) -> dict[str, Array]:
    """The loss of the copy's own optimum, and its bound."""
    tuning = _tuning(study, made, member)
    own = pift.gridded(exact_problem(tuning), _grid(study))
    highest = jnp.max(jax.vmap(own.problem.reward)(own.grid.points())) / tuning.beta
    factor = jnp.exp(highest - log_mass(own))
    return {
        "loss": _lost(study, made, member, pift.optimum(own).mean),
        "bound": start_weights(own) @ (factor * member["error"]["given"]),
    }


def _in_part(study: common.Study, made: Rewarded, member: Member) -> Array:
    """The loss of the optimum where a part of the copy's error is left."""
    whole = exact_problem(_tuning(study, made, member))
    exact = _true(study, made, member["beta"]).chain.mean
    mean = pift.Between(exact, whole.chain.mean, member["part"])
    partly = whole._replace(chain=whole.chain._replace(mean=mean))
    return _lost(study, made, member, pift.optimum(pift.gridded(partly, _grid(study))).mean)


def _network(study: common.Study, made: Rewarded, member: Member) -> Array:
    """The loss of the copy with its adapters."""
    policy = adapted(study.screen.holding(member["copy"]), member["adapters"])
    return _lost(study, made, member, means_at(_grid(study), policy))


def _lost(study: common.Study, made: Rewarded, member: Member, means: Array) -> Array:
    """(J* - J)/β of a policy on the true chain, in nats, run forward; NaN where it goes too far."""
    on_grid = _grid(study)
    found = grid.objective(_true(study, made, member["beta"]), on_grid, means)
    lost = (member["best"] - found.objective) / member["beta"]
    return where_inside(on_grid, found.densities, lost, OUTSIDE)


def _slopes(quantity: str, view: View) -> np.ndarray:
    """The exponent of a loss in the error of the score over the copies of each seed, `[seed]`."""
    return paired_exponents(*(view.along(name, "stop") for name in ("score_error", quantity)))


def _several(view: View) -> bool:
    return len(view.values_of("stop")) > 1


def _late(quantity: str, view: View) -> np.ndarray:
    """What the last copy has over the best one, `[seed]`."""
    values = view.along(quantity, "stop")
    return values[..., -1] / np.min(values, axis=-1)


def _panels(view: View) -> list[figures.Panel]:
    found = [
        view.panel("curves", "stop", {"score_error": ""}, title="Error of the score", log="xy")
    ]
    for beta in view.values_of("beta"):
        at = view.chosen(beta=beta)
        lines = {"bound": "bound", "network_loss": "by adapters", "loss": "exactly"}
        title = f"Loss of the objective, β = {beta:g}"
        found.append(at.panel("curves", "stop", lines, title=title, log="xy", ylabel="nats"))
    return found


def _parts(view: View) -> list[figures.Panel]:
    theory = figures.Theory("order 2, of small parts", exponent=2.0, line=0)
    return [
        view.panel(
            "powerlaw",
            "part",
            [view.line("part_loss", "", beta=beta)],
            theory,
            title=f"Loss of the objective, β = {beta:g}",
        )
        for beta in view.values_of("beta")
    ]


def _instance(study: common.Study, piece: Slice) -> str:
    data, n = study.config.data, study.config.network
    return listed(f"{data.num} draws of a {data.name}", f"{n.name} of width {n.width}", piece.label)


run = Recipe(
    bind=bind,
    measure=measure,
    names=common.NAMES,
    words=_instance,
    quantities=QUANTITIES,
    claims=(
        Row(
            "finetune/score-error",
            "loss of the objective over its bound, {stop} steps, β = {beta}",
            statistics.Median(lambda view: view("loss") / view("bound")),
            Theory(1.0, "<=", "of the tilted laws; their chains, to the order of a step"),
            each=("beta", "stop"),
        ),
        Row(
            "finetune/score-error",
            "order of the loss in the part of the error that is left, β = {beta}",
            ORDER,
            Theory(2.0, "~", "of second order in the error of the score", margin=MARGIN),
            each=("beta",),
        ),
        Row(
            "finetune/score-error",
            "exponent of the loss in the error of the score in nats over the copies, β = {beta}",
            statistics.Median(partial(_slopes, "loss")),
            each=("beta",),
            when=_several,
        ),
        Row(
            "finetune/score-error",
            "the same fine-tuned by adapters, β = {beta}",
            statistics.Median(partial(_slopes, "network_loss")),
            each=("beta",),
            when=_several,
        ),
        Row(
            "finetune/score-error",
            "error of the score after the longest training over the least",
            statistics.Median(partial(_late, "score_error"), log=True),
        ),
        Row(
            "finetune/score-error",
            "loss of the objective after the longest training over the least, β = {beta}",
            statistics.Median(partial(_late, "loss"), log=True),
            each=("beta",),
        ),
    ),
    figures=(
        Draw("score_error", _panels, "An error of the score, and what it costs in fine-tuning."),
        Draw("parts", _parts, "A part of the last copy's error, and what it costs."),
    ),
)
