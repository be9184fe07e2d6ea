"""How many one-step samples recover A, B and C exactly (`nlqr/exact-recovery`).

Each trial draws a system and samples of its dynamics, and solves least squares with the first N of
them, for N around m = n + p + d: the paper asks for N of that order. Inputs are zero with
probability 1/2, so that N = m is enough only where at least p of them are not zero.

A recovery counts as exact when the relative error of (A, B, C) is at most N m κ ε, with κ the
condition number of the regressors and ε the rounding unit: the form of the normwise bound for
backward stable least squares (Higham 2002, section 20; residuals vanish here, so κ enters once).
Regressors of deficient rank have no κ. Then half of the digits must be right: it is the error that
decides, and not the rank.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fineq.claims import Claim, Measured, Theory
from fineq.claims.counting import counted, share, share_tried
from fineq.figures import Figure, Line, Panel
from fineq.figures import Theory as Drawn
from fineq.nlqr.features import Zero
from fineq.nlqr.identification import (
    IdentificationStatus,
    identified_system,
    identify,
    one_step_samples,
    recovery_probability,
)
from fineq.nlqr.policies import linear_policy
from fineq.nlqr.problem import System
from fineq.rates import Interval, normal_margin
from fineq.results import Array as Named
from fineq.results import Arrays, StudyResult, status_of
from fineq.settings.fields import replace_at
from fineq.studies.common import on, seed_axis, small_multiples, titled, user_axes
from fineq.studies.nlqr.arrays import Slice, coords_of, dims_of, named_arrays, slices
from fineq.studies.nlqr.claims import claim
from fineq.studies.nlqr.config import NlqrConfig
from fineq.studies.nlqr.instances import Given, make_problem, num_features
from fineq.sweep import Axis
from fineq.sweep.stages import Member, Stages

CLOSE = 0.05  # agreement of a share with its probability, where it is to be confirmed
ROUNDING = 1e-12  # of the probability itself
ABOUT = {
    "exact": "A, B and C recovered exactly",
    "error": "relative error of A, B, C",
    "tolerance": "largest relative error that counts as exact",
    "condition": "condition number of the regressors; infinite at deficient rank",
    "rank": "rank of the regressors",
    "policy_error": "relative error of the linear policy",
}


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


class Trial(NamedTuple):
    """One identification.

    Attributes:
        system: the true one.
        found: the system with the identified A, B, C in place of its own.
        error: relative error of (A, B, C), Frobenius norms.
        tolerance: the largest error that counts as exact.
        condition: of the regressors; infinite at deficient rank.
        rank: of the regressors.
    """

    system: System
    found: System
    error: Array
    tolerance: Array
    condition: Array
    rank: Array


def run(config: NlqrConfig, given: Given, stages: Stages) -> StudyResult:
    """Identify many systems from N samples each, for every size and every N around m."""
    offsets = np.arange(-config.recovery.below, config.recovery.above + 1)
    axes = [*user_axes(config), seed_axis(config)]
    trials: dict[Size, Trial] = {}
    for own, size in _sizes(config, given):
        name = f"recovery-{size.n}-{size.p}-{size.d}"
        trial = make_trial(own, given, size)
        trials[size] = stages.measure(name, trial, [Axis("offset", offsets), *axes])
    sizes = list(trials)
    values = _values(list(trials.values()), policy_errors(stages, trials, axes))
    return StudyResult(
        _arrays(values, sizes, offsets, axes),
        _coords(config, sizes, offsets, axes),
        tuple(c for piece in slices(axes) for c in _claims(config, values, sizes, offsets, piece)),
        figures=_figures(sizes, slices(axes)),
        status=status_of(np.asarray(np.isnan(values["error"]).all(axis=(0, 1)))),
        notes={"criterion": "exact: relative error of (A, B, C) <= N m condition rounding"},
    )


def _sizes(config: NlqrConfig, given: Given) -> list[tuple[NlqrConfig, Size]]:
    """A configuration for each size; what the user brought has one of its own."""
    if given.system is not None:
        system = given.system
        return [(config, Size(system.n, system.p, system.d))]
    return [
        (
            replace_at(config, {"system.n": n, "system.p": p}),
            Size(n, p, num_features(config, given, n)),
        )
        for n, p in config.recovery.sizes
    ]


def make_trial(config: NlqrConfig, given: Given, size: Size) -> Callable[[Member], Trial]:
    """A pure function from a member, which has an `offset` N - m, to its trial."""
    make = make_problem(config, given)
    m, most = size.unknowns, size.unknowns + config.recovery.above

    def trial(member: Member) -> Trial:
        problem, key = make(member)
        system = problem.system
        num = m + member["offset"]
        # The same samples for every N: the first N of them.
        samples = one_step_samples(key, problem, most)
        found = identify(samples, system.phi, system.scale, num)
        guess = identified_system(system, found)
        true = _theta(system)
        eps = jnp.finfo(true.dtype).eps
        identified = found.status == IdentificationStatus.IDENTIFIED
        return Trial(
            system,
            guess,
            jnp.linalg.norm(_theta(guess) - true) / jnp.linalg.norm(true),
            jnp.where(identified, num * m * found.condition * eps, jnp.sqrt(eps)),
            found.condition,
            found.rank,
        )

    return trial


def _theta(system: System) -> Array:
    return jnp.concatenate([system.A, system.B, system.C], axis=1)


def policy_errors(stages: Stages, trials: dict[Size, Trial], axes: list[Axis]) -> np.ndarray:
    """Relative error of K_lin of the identified system, `[size, offset, *axes]`.

    All sizes are one program: a system is filled up with states that stay at rest and inputs that
    do nothing, which changes neither K_lin nor its norm. NaN where there is no K_lin.
    """
    n, p, d = np.max([tuple(size) for size in trials], axis=0)

    def stacked(trial: Trial) -> System:
        # The true system first, once for all sample numbers.
        pairs = jax.tree.map(lambda t, f: np.concatenate([t[:1], f]), trial.system, trial.found)
        return _filled(pairs, Size(int(n), int(p), int(d)))

    table = jax.tree.map(lambda *parts: np.stack(parts), *map(stacked, trials.values()))
    num = table.A.shape[1]
    leading = [Axis("size", range(len(trials))), Axis("which", range(num)), *axes]
    K = stages.measure(
        "policies", lambda member: linear_policy(member["system"]).K, leading, {"system": table}
    )
    true, found = K[:, :1], K[:, 1:]
    return np.linalg.norm(found - true, axis=(-2, -1)) / np.linalg.norm(true, axis=(-2, -1))


def _filled(system: System, size: Size) -> System:
    """The system `[...]` with zeros up to a larger size, and ones on the diagonals of Q and R."""

    def fill(M: Any, rows: int, columns: int, diagonal: float = 0.0) -> np.ndarray:
        filled = np.zeros((*M.shape[:-2], rows, columns), M.dtype)
        if diagonal:
            filled[...] = diagonal * np.eye(rows)
        filled[..., : M.shape[-2], : M.shape[-1]] = M
        return filled

    n, p, d = size
    A, B, C = fill(system.A, n, n), fill(system.B, n, p), fill(system.C, n, d)
    Q, R = fill(system.Q, n, n, 1.0), fill(system.R, p, p, 1.0)
    return System(A, B, C, Q, R, system.scale, Zero(d))  # type: ignore[arg-type]


def _values(trials: list[Trial], policy_error: np.ndarray) -> dict[str, np.ndarray]:
    """What is known of every trial, `[size, offset, *axes]`."""
    names = ("error", "tolerance", "condition", "rank")
    values = {name: np.stack([getattr(trial, name) for trial in trials]) for name in names}
    values["exact"] = values["error"] <= values["tolerance"]
    values["policy_error"] = np.where(np.isfinite(values["condition"]), policy_error, np.nan)
    return values


def predictions(sizes: list[Size], offsets: np.ndarray) -> np.ndarray:
    """The probability of exact recovery, `[size, offset]`."""
    return np.array(
        [[recovery_probability(s.unknowns + int(k), *s) for k in offsets] for s in sizes]
    )


def _not_identifiable(rank: np.ndarray, size: Size) -> str:
    """Why samples cannot decide, from the ranks of the regressors at the largest N, any shape.

    Where a feature vanishes, or repeats others, on all states, no number of samples tells its
    column of C: the regressors have a deficient rank in every trial.
    """
    most = int(np.max(rank))
    if most == size.unknowns:
        return ""
    return (
        f"C is not identifiable: the regressors have rank {most} of {size.unknowns} at most in all "
        "trials, whatever the samples; a kernel whose features are not 0 and not dependent decides"
    )


def as_predicted(share: Interval, law: str, value: float, exact: bool = True) -> Theory:
    """The theory that trials follow a law which gives a probability, or else a bound of it.

    A 95% interval that leaves the probability out refutes the law, however near it lies: the exact
    binomial test. One that holds it confirms it as far as `CLOSE`, once it is that narrow.
    """
    if not exact:
        return Theory(value, "<=", f"{law} at most, as states may be dependent", margin=ROUNDING)
    inside = share.low <= value <= share.high
    return Theory(value, "~", law, margin=CLOSE if inside else ROUNDING)


def _independent(config: NlqrConfig, size: Size) -> bool:
    """Whether n + d draws of ψ(x0) are independent vectors almost surely, so that inputs decide."""
    spread = config.law.name in ("ball", "gaussian") or (config.law.name == "sphere" and size.n > 1)
    return spread and config.kernel.name in ("sin", "tanh", "products")


def trials_for(probability: float) -> int:
    """How many trials decide: their interval stays within `CLOSE` of a true probability.

    It reaches as far beyond the share, at most, as the share lies from the truth: twice the margin
    of a share, at 95%. A probability near 0 or 1 counts as `CLOSE` from it.
    """
    p = min(max(probability, CLOSE), 1 - CLOSE)
    return math.ceil(p * (1 - p) * (2 * normal_margin(1.0) / CLOSE) ** 2)


def _claims(
    config: NlqrConfig,
    values: dict[str, np.ndarray],
    sizes: list[Size],
    offsets: np.ndarray,
    piece: Slice,
) -> list[Claim]:
    here = (slice(None), slice(None), *piece.index)
    exact, policy_error = values["exact"][here], values["policy_error"][here]
    count = exact.shape[-1]
    where = on(piece, counted(len(sizes), "size"), _trials(count, len(sizes)))
    about = partial(claim, "nlqr/exact-recovery")
    found = []
    if np.any(offsets < 0):
        found.append(
            about(
                share_tried(np.any(exact[:, offsets < 0], axis=1)),
                Theory(0.0, "<=", "no fewer equations than unknowns"),
                instance=where,
                what="Trials with an exact recovery from fewer than m samples (share)",
                sampled=True,
            )
        )
    # Sizes share their seeds: what they show is no larger number of trials.
    for beyond in dict.fromkeys((0, int(offsets[-1]))):
        for i, size in enumerate(sizes):
            num = size.unknowns + beyond
            counts = share(exact[i][offsets == beyond])
            expected = recovery_probability(num, *size)
            law = f"P(Bin({num}, 1/2) >= {size.p})"
            found.append(
                about(
                    counts,
                    as_predicted(counts, law, expected, _independent(config, size)),
                    instance=on(piece, size.label, counted(count, "trial")),
                    what=f"Exact recoveries from N = m{f' + {beyond}' if beyond else ''} samples "
                    "(share)",
                    undecided=_not_identifiable(values["rank"][here][i, -1], size),
                    decides=f"seeds={trials_for(expected)} decides",
                )
            )
    exactly = policy_error[exact & np.isfinite(policy_error)]
    worst = Measured.exact(float(exactly.max()) if exactly.size else np.nan)
    what = "Largest relative error of K_lin where exact"
    return [*found, about(worst, None, instance=where, what=what)]


def _trials(count: int, sizes: int) -> str:
    return counted(count, "trial") + (" each" if sizes > 1 else "")


def _arrays(
    values: dict[str, np.ndarray], sizes: list[Size], offsets: np.ndarray, axes: list[Axis]
) -> Arrays:
    dims = ("size", "offset", *dims_of(axes))
    predicted = Named(
        predictions(sizes, offsets), dims[:2], "1", "predicted probability of exact recovery"
    )
    return named_arrays(values, dims, ABOUT) | {"prediction": predicted}


def _coords(config: NlqrConfig, sizes: list[Size], offsets: np.ndarray, axes: list[Axis]) -> Arrays:
    unknowns = np.array([size.unknowns for size in sizes])
    return coords_of(axes, config) | {
        "size": Named(np.array([size.label for size in sizes]), ("size",), "1", "size"),
        "offset": Named(offsets, ("offset",), "1", "samples beyond the unknowns, N − m"),
        "unknowns": Named(unknowns, ("size",), "1", "unknowns per state, m = n + p + d"),
    }


def _figures(sizes: list[Size], pieces: list[Slice]) -> tuple[Figure, ...]:
    def panel(piece: Slice) -> Panel:
        at = [{**piece.at, "size": size.label} for size in sizes]
        lines = tuple(Line("exact", s.label, where) for s, where in zip(sizes, at, strict=True))
        drawn = tuple(
            Drawn("predicted" if i == 0 else "", variable="prediction", line=i, at=where)
            for i, where in enumerate(at)
        )
        threshold = Drawn("N = n + p + d", threshold=0.0)
        return Panel(
            "fractions", "offset", lines, (*drawn, threshold), title=titled("Recoveries", piece)
        )

    def errors(piece: Slice) -> Panel:
        lines = tuple(Line("error", s.label, {**piece.at, "size": s.label}) for s in sizes)
        return Panel("curves", "offset", lines, yscale="log", title=titled("Errors", piece))

    caption = "Exact recovery of A, B, C from N one-step samples; m = n + p + d unknowns per state."
    return small_multiples(
        "exact_recovery", pieces, lambda piece: [panel(piece), errors(piece)], caption
    )
