"""What the studies of nearly linear-quadratic control share: names, axes, screening, K*."""

from typing import NamedTuple

import numpy as np

import fineq.studies.nlqr.claims  # noqa: F401  (registers the claims)
from fineq.errors import InputError
from fineq.nlqr.costs import CostStatus, infinite_cost
from fineq.nlqr.doubling import EquationStatus
from fineq.nlqr.identification import IdentificationStatus
from fineq.nlqr.policies import linear_policy
from fineq.nlqr.problem import System
from fineq.studies import common
from fineq.studies.found import Quantity
from fineq.studies.nlqr import instances
from fineq.studies.nlqr.config import NlqrConfig
from fineq.studies.nlqr.reference import Optimum as Optimum
from fineq.studies.nlqr.reference import newton as newton
from fineq.studies.nlqr.reference import optimum as optimum
from fineq.sweep import Axis
from fineq.sweep.stages import Member, Stages, seeds_kept

NAMES = common.Names(
    {
        "moment": "iteration",
        "length": "rollout length $T$",
        "smoothing": "smoothing radius $r$",
        "rollouts": "rollouts per estimate $J$",
        "start": "initial policy",
        "system.lipschitz": "Lipschitz constant ℓ",
        "descent.step_size": "step size η",
        "estimator.radius": "smoothing radius r",
        "estimator.num_rollouts": "rollouts per estimate J",
        "descent.horizon": "rollout length T",
        "law.radius": "initial radius |x0|",
    },
    {
        "lipschitz": "ℓ",
        "step_size": "η",
        "num_rollouts": "J",
        "horizon": "T",
        "start_radius": "|K0|",
    },
)
slices = NAMES.slices
GAINS = ("control", "regressor")  # the dimensions of a policy K
POLICIES = (
    Quantity("K_lin", r"linear policy $K_\mathrm{lin}$", GAINS, ()),
    Quantity("K_star", "optimal policy $K^*$", GAINS, ()),
)


class Screen(NamedTuple):
    """What is known of each member before anything is run, `[*axes]` each.

    Attributes:
        plant: the members' systems and linear policies.
        stable: K_lin stabilises (its infinite-horizon cost is finite).
        undecided: too slow to be judged within `reference.max_horizon`.
        horizon: rollout length at which the truncation error is below `reference.tail`.
        cost: infinite-horizon cost of K_lin, infinite where it does not stabilise.
        alike: one boolean: all seeds have the same plant, points and start.
    """

    plant: instances.Plant
    stable: np.ndarray
    undecided: np.ndarray
    horizon: np.ndarray
    cost: np.ndarray
    alike: bool


Study = common.Study[NlqrConfig, instances.Given, instances.Instance]


def make_study(
    config: NlqrConfig,
    given: instances.Given,
    stages: Stages,
    *,
    stable_only: bool = False,
    random: bool = True,
) -> Study:
    """Bind a configuration and screen its members.

    Args:
        config: validated.
        given: what the user brought from files.
        stages: runs the sweeps; the first stage is the screen.
        stable_only: leave out the seeds whose K_lin does not stabilise at every swept value.
        random: the study draws by seed, beside its plants; where not, one seed of a plant that is
            given says all.

    Raises:
        InputError: when no seed is left.
    """
    axes = [*common.user_axes(config), common.seed_axis(config)]
    screen = _screen(config, given, stages, axes)._replace(alike=_alike(config, given))
    stages = stages.holding("plant", axes, screen.plant)
    instance = instances.make_instance(config, given, lambda member: member["plant"])
    study = Study(config, given, stages, instance, axes, alike=screen.alike, screen=screen)
    study = _stable(study) if stable_only else study
    if study.alike and not random:
        axes = [Axis(a.name, list(a.values)[:1]) if a.name == "seed" else a for a in study.axes]
        study = study._replace(axes=axes)
    return study


def _alike(config: NlqrConfig, given: instances.Given) -> bool:
    if given.system is None or config.descent.start in ("random", "identified"):
        return False
    # Points are drawn, by seed, only where no quadrature of the law exists.
    return config.law.name in ("quadrature", "file") or given.system.n <= 3


def _screen(config: NlqrConfig, given: instances.Given, stages: Stages, axes: list[Axis]) -> Screen:
    reference = config.reference
    plant = instances.make_plant(config, given)
    instance = instances.make_instance(config, given, plant)

    def look(member: Member) -> Screen:
        at = instance(member)
        found = infinite_cost(
            at.K_lin,
            at.problem.system,
            at.points,
            tolerance=reference.tail,
            max_horizon=reference.max_horizon,
        )
        system = at.problem.system
        own = instances.Plant(system.A, system.B, system.C, at.K_lin, at.P, at.solved)
        if config.descent.start == "identified":
            start = instances.identified_start(instances.at_member(config, member), at)
            own = own._replace(K_identified=start.K, identification=start.found.status)
        return Screen(
            own,
            found.status == CostStatus.STABLE,  # type: ignore[arg-type]
            found.status == CostStatus.UNDECIDED,  # type: ignore[arg-type]
            found.horizon,  # type: ignore[arg-type]
            found.cost,  # type: ignore[arg-type]
            alike=False,
        )

    return stages.measure("screen", look, axes)


def _stable(study: Study) -> Study:
    others = tuple(i for i, axis in enumerate(study.axes) if axis.name != "seed")
    if not np.all(study.screen.stable, axis=others).any():
        if study.given.system is not None:
            raise InputError(_plant_refused(study, study.given.system))
        slow = _undecided(study)
        raise InputError(
            f"K_lin is not found to stabilise any of the {study.config.seeds} systems at every "
            f"swept value ({slow} of them too slow to be judged within reference.max_horizon="
            f"{study.config.reference.max_horizon}): lower system.lipschitz or law.radius, raise "
            "reference.max_horizon, or take more seeds"
        )
    return study._replace(axes=seeds_kept(study.axes, study.screen.stable))


def _plant_refused(study: Study, system: System) -> str:
    """Why a plant that is given has no stabilising K_lin, and what helps."""
    status = EquationStatus(int(linear_policy(system).status))
    if status > EquationStatus.INACCURATE:
        return (
            "the system has no K_lin: its Riccati equation is not solved "
            f"({status.message}): change A, B, Q or R, or take precision=float64 if it "
            "was float32"
        )
    slow = ", which is too slow to be judged" if study.screen.undecided.any() else ""
    return (
        f"K_lin is not found to stabilise the system at every swept value{slow} within "
        f"reference.max_horizon={study.config.reference.max_horizon}: lower system.lipschitz or "
        "law.radius, or raise reference.max_horizon"
    )


def _undecided(study: Study) -> int:
    """Seeds too slow to be judged at some swept value."""
    # Seeds are the last axis: `make_study` lays them there.
    return int(study.screen.undecided.reshape(-1, study.config.seeds).any(axis=0).sum())


def dropped_note(study: Study) -> str:
    """How many seeds were left out or have no identified start, in words; empty where none."""
    parts = []
    # Seeds that are all alike are all kept, and one of them may stand for the others.
    dropped = 0 if study.screen.alike else study.config.seeds - len(common.seeds_of(study.axes))
    if dropped:
        slow = _undecided(study)
        parts.append(
            f"{dropped} of {study.config.seeds} seeds left out: K_lin is not found to "
            "stabilise them at every swept value"
            + (f" ({slow} too slow to be judged; raise reference.max_horizon)" if slow else "")
        )
    if study.screen.alike:
        parts.append(
            "all seeds have the same plant: exact numbers are those of one, without interval"
        )
    found = study.screen.plant.identification
    missing = 0 if found is None else int(np.sum(found != IdentificationStatus.IDENTIFIED))
    if found is not None and missing:
        parts.append(
            f"{missing} of {np.size(found)} have no start: their samples are rank deficient"
        )
    return "; ".join(parts)


def kept(study: Study, values: np.ndarray) -> np.ndarray:
    """Of an array over all seeds `[*axes, ...]`, as the screen's, those that the study kept."""
    positions = [seed - study.config.first_seed for seed in common.seeds_of(study.axes)]
    return np.take(values, positions, axis=len(study.axes) - 1)


def policies(study: Study, star: Optimum) -> dict[str, np.ndarray]:
    """`POLICIES` `[*study.axes, p, n + d]`."""
    return {"K_lin": kept(study, study.screen.plant.K_lin), "K_star": np.asarray(star.K)}


def in_order(study: Study) -> list[Axis]:
    """The axes of swept fields and seeds in the order of the screen, own ones among them."""
    order = [*(axis.name for axis in common.user_axes(study.config)), "seed"]
    known = (axis for axis in (*study.own, *study.axes) if axis.name in order)
    return sorted(known, key=lambda axis: order.index(axis.name))


def exact_horizon(study: Study) -> int:
    """One static rollout length that leaves every stable member's tail below `reference.tail`.

    Twice the longest that K_lin needs: policies on the way to K* may decay more slowly.
    """
    longest = int(np.max(np.where(study.screen.stable, study.screen.horizon, 1)))
    return min(2 * longest, study.config.reference.max_horizon)
