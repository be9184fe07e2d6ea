"""How many one-step samples recover A, B and C exactly (`nlqr/exact-recovery`).

Each trial draws a system and samples of its dynamics, and solves least squares with the first N of
them, for N around m = n + p + d: the paper asks for N of that order. Inputs are zero with
probability 1/2, so that N = m is enough only where at least p of them are not zero. What counts as
exact is said in `fineq.nlqr.recovery`.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from fineq import claims, figures
from fineq.claims import counting
from fineq.keys import key_for
from fineq.nlqr import recovery
from fineq.nlqr.identification import recovery_probability
from fineq.nlqr.policies import linear_policy
from fineq.rates import Interval, normal_margin
from fineq.results import Array as Named
from fineq.settings.fields import replace_at
from fineq.studies import common
from fineq.studies.nlqr import instances
from fineq.studies.nlqr.common import NAMES
from fineq.studies.nlqr.config import NlqrConfig
from fineq.studies.recipe import Draw, Found, Quantity, Recipe, Row, View
from fineq.studies.statistics import Got
from fineq.sweep import Axis
from fineq.sweep.stages import Member, Stages

CLOSE = 0.05  # agreement of a share with its probability, where it is to be confirmed
ROUNDING = 1e-12  # of the probability itself
CLAIM = "nlqr/exact-recovery"


class Size(NamedTuple):
    """One size: states, controls, features."""

    n: int
    p: int
    d: int

    @property
    def unknowns(self) -> int:
        """The columns of the regression, m = n + p + d."""
        return self.n + self.p + self.d

    @property
    def label(self) -> str:
        """For people."""
        return f"n = {self.n}, p = {self.p}, d = {self.d}"


def _sizes(config: NlqrConfig, given: instances.Given) -> dict[str, tuple[NlqrConfig, Size]]:
    """By its words each size and its configuration; what the user brought has one of its own."""
    if given.system is not None:
        found = [(config, Size(given.system.n, given.system.p, given.system.d))]
    else:
        found = [
            (
                replace_at(config, {"system.n": n, "system.p": p}),
                Size(n, p, instances.num_features(config, given, n)),
            )
            for n, p in config.recovery.sizes
        ]
    return {size.label: (own, size) for own, size in found}


def bind(config: NlqrConfig, given: instances.Given, stages: Stages) -> common.Study:
    """A study along sizes, and along samples beyond the unknowns, N - m."""
    offsets = range(-config.recovery.below, config.recovery.above + 1)
    own = (Axis("size", list(_sizes(config, given)), static=True), Axis("offset", offsets))
    axes = [*common.user_axes(config), common.seed_axis(config)]
    # Every size has instances of its own.
    return common.Study(config, given, stages, lambda member: member, axes, own)


def measure(study: common.Study) -> Found:
    """Identify many systems from N samples each, for every size and every N around m."""
    config, stages, offset = study.config, study.stages, study.own[1]
    trials: dict[Size, recovery.Recovery] = {}
    for own, size in _sizes(config, study.given).values():
        make, m = instances.make_problem(own, study.given), size.unknowns

        def trial(member: Member, make: Any = make, m: int = m) -> recovery.Recovery:
            key = key_for(member["seed"], "samples to recover a system from")
            num, most = m + member["offset"], m + config.recovery.above
            return recovery.recover(key, make(member), num, most)

        name = f"recovery-{size.n}-{size.p}-{size.d}"
        trials[size] = stages.measure(name, trial, [offset, *study.axes])
    parts = {
        name: np.stack([getattr(trial, name) for trial in trials.values()])
        for name in ("error", "tolerance", "condition", "rank")
    }
    known = np.isfinite(parts["condition"])
    apart = np.where(known, policy_errors(stages, trials, study.axes), np.nan)
    exact = parts["error"] <= parts["tolerance"]
    sizes, offsets = list(trials), np.array(offset.values)
    chances = [[recovery_probability(s.unknowns + int(k), *s) for k in offsets] for s in sizes]
    text = "predicted probability of exact recovery"
    unknowns = np.array([size.unknowns for size in sizes])
    return Found(
        {**parts, "exact": exact, "policy_error": apart},
        study.own,
        {"offset": Named(offsets, ("offset",), "1", "samples beyond the unknowns, $N - m$")},
        np.asarray(np.isnan(parts["error"]).all(axis=(0, 1))),
        {"criterion": "exact: relative error of (A, B, C) <= N m condition rounding"},
        arrays={
            "prediction": Named(np.array(chances), ("size", "offset"), "1", text),
            "unknowns": Named(unknowns, ("size",), "1", "unknowns per state, m = n + p + d"),
        },
        more={size.label: size for size in sizes},
    )


def policy_errors(
    stages: Stages, trials: Mapping[Size, recovery.Recovery], axes: list[Axis]
) -> np.ndarray:
    """Relative error of K_lin of the identified system, `[size, offset, *axes]`.

    All sizes are one program: systems are filled up to the largest size. NaN where there is no
    K_lin.
    """
    n, p, d = (int(most) for most in np.max([tuple(size) for size in trials], axis=0))

    def stacked(trial: recovery.Recovery) -> Any:
        # The true system first, once for all sample numbers.
        pairs = jax.tree.map(lambda t, f: np.concatenate([t[:1], f]), trial.system, trial.found)
        return recovery.filled_up(pairs, n, p, d)

    table = jax.tree.map(lambda *parts: np.stack(parts), *map(stacked, trials.values()))
    leading = [Axis("size", range(len(trials))), Axis("which", range(table.A.shape[1])), *axes]
    K = stages.measure(
        "policies", lambda member: linear_policy(member["system"]).K, leading, {"system": table}
    )
    true, found = K[:, :1], K[:, 1:]
    return np.linalg.norm(found - true, axis=(-2, -1)) / np.linalg.norm(true, axis=(-2, -1))


def as_predicted(found: Interval, law: str, value: float, exact: bool = True) -> claims.Theory:
    """The theory that trials follow a law which gives a probability, or else a bound of it.

    A 95% interval that leaves the probability out refutes the law, however near it lies: the exact
    binomial test. One that holds it confirms it as far as `CLOSE`, once it is that narrow.
    """
    if not exact:
        return claims.Theory(
            value, "<=", f"{law} at most, as states may be dependent", margin=ROUNDING
        )
    inside = found.low <= value <= found.high
    return claims.Theory(value, "~", law, margin=CLOSE if inside else ROUNDING)


def trials_for(probability: float) -> int:
    """How many trials decide: their interval stays within `CLOSE` of a true probability.

    It reaches as far beyond the share, at most, as the share lies from the truth: twice the margin
    of a share, at 95%. A probability near 0 or 1 counts as `CLOSE` from it.
    """
    p = min(max(probability, CLOSE), 1 - CLOSE)
    return math.ceil(p * (1 - p) * (2 * normal_margin(1.0) / CLOSE) ** 2)


def _size(view: View) -> Size:
    return view.found.more[view.at["size"]]


def _trials(view: View) -> str:
    sizes, count = len(view.found.more), view("exact").shape[-1]
    each = " each" if sizes > 1 else ""
    return f"{counting.counted(sizes, 'size')}, {counting.counted(count, 'trial')}{each}"


def _too_early(view: View) -> Got:
    """Trials with an exact recovery from fewer than m samples."""
    few = view.values_of("offset") < 0
    return Got(counting.share_tried(np.any(view("exact")[:, few], axis=1)), said=_trials(view))


def _largest_error(view: View) -> Got:
    apart = view("policy_error")
    exactly = apart[view("exact") & np.isfinite(apart)]
    worst = float(exactly.max()) if exactly.size else np.nan
    return Got(claims.Measured.exact(worst), said=_trials(view))


def _exact(view: View) -> Got:
    # Sizes share their seeds: what they show is no larger number of trials.
    mask = view("exact")
    return Got(
        counting.share(mask), said=f"{_size(view).label}, {counting.counted(mask.size, 'trial')}"
    )


def _chance(view: View) -> float:
    return recovery_probability(_size(view).unknowns + int(view.at["offset"]), *_size(view))


def _predicted(view: View) -> claims.Theory:
    size, config = _size(view), view.study.config
    # Whether n + d draws of ψ(x0) are independent vectors almost surely, so that inputs decide.
    spread = config.law.name in ("ball", "gaussian") or (config.law.name == "sphere" and size.n > 1)
    independent = spread and config.kernel.name in ("sin", "tanh", "products")
    law = f"P(Bin({size.unknowns + int(view.at['offset'])}, 1/2) >= {size.p})"
    return as_predicted(counting.share(view("exact")), law, _chance(view), independent)


def _not_identifiable(view: View) -> str:
    """Why samples cannot decide, from the ranks of the regressors at the largest N.

    Where a feature vanishes, or repeats others, on all states, no number of samples tells its
    column of C: the regressors have a deficient rank in every trial.
    """
    size = _size(view)
    most = int(np.max(view.chosen(offset=view.values_of("offset")[-1])("rank")))
    if most == size.unknowns:
        return ""
    return (
        f"C is not identifiable: the regressors have rank {most} of {size.unknowns} at most in all "
        "trials, whatever the samples; a kernel whose features are not 0 and not dependent decides"
    )


def _samples(view: View) -> str:
    beyond = int(view.at["offset"])
    return f"Exact recoveries from N = m{f' + {beyond}' if beyond else ''} samples (share)"


def _panels(view: View) -> list[figures.Panel]:
    sizes = view.found.more
    recoveries = view.panel(
        "fractions",
        "offset",
        [view.line("exact", label, size=label) for label in sizes],
        *(
            figures.Theory(
                "predicted" * (i == 0), variable="prediction", line=i, at={"size": label}
            )
            for i, label in enumerate(sizes)
        ),
        figures.Theory("$N = m = n + p + d$", threshold=0.0),
        title="Exact recoveries of $A, B, C$",
        ylabel="share of trials",
    )
    errors = [view.line("error", label, size=label) for label in sizes]
    title = "How far off they are"
    return [recoveries, view.panel("curves", "offset", errors, title=title, log="y")]


run = Recipe(
    bind=bind,
    measure=measure,
    names=NAMES,
    quantities=(
        Quantity("exact", "A, B and C recovered exactly"),
        Quantity("error", "relative error of $A, B, C$"),
        Quantity("tolerance", "largest relative error that counts as exact"),
        Quantity("condition", "condition number of the regressors; infinite at deficient rank"),
        Quantity("rank", "rank of the regressors"),
        Quantity("policy_error", "relative error of the linear policy"),
    ),
    claims=(
        Row(
            CLAIM,
            "Trials with an exact recovery from fewer than m samples (share)",
            _too_early,
            claims.Theory(0.0, "<=", "no fewer equations than unknowns"),
            sampled=True,
            when=lambda view: view.values_of("offset")[0] < 0,
        ),
        Row(
            CLAIM,
            _samples,
            _exact,
            _predicted,
            each=("offset", "size"),
            when=lambda view: view.at["offset"] in (0, view.values_of("offset")[-1]),
            premature=_not_identifiable,
            decides=lambda view: f"seeds={trials_for(_chance(view))} decides",
        ),
        Row(CLAIM, "Largest relative error of K_lin where exact", _largest_error),
    ),
    figures=(
        Draw(
            "exact_recovery",
            _panels,
            "Exact recovery of $A, B, C$ from $N$ one-step samples; $m = n + p + d$ unknowns per "
            "state.",
        ),
    ),
)
