"""Which runs of two folders belong together: those told the same, else those most alike."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fineq.runs.compare import counted, differing
from fineq.runs.folders import LoadedRun

# Settings in which runs beside each other may differ, as after a change of one choice.
FEW_SETTINGS = 3


class Partners(NamedTuple):
    """Runs of two folders that belong together, and those that have no partner.

    Attributes:
        pairs: of A and of B.
        first: only A has them.
        second: only B has them.
        repeated: either has a newer one of the same configuration.
    """

    pairs: list[tuple[LoadedRun, LoadedRun]]
    first: list[LoadedRun]
    second: list[LoadedRun]
    repeated: list[LoadedRun]


def partners(first: Sequence[LoadedRun], second: Sequence[LoadedRun]) -> Partners:
    """Pair the runs of two folders: by study and configuration, then with the most alike.

    Runs of other configurations are partners where study, name and swept axes are the same and at
    most `FEW_SETTINGS` settings are not, whatever the seeds.

    Args:
        first: runs, of which later ones are newer: of several alike the newest is paired.
        second: likewise.
    """
    (left, old), (right, older) = _newest(first), _newest(second)
    pairs = [(left.pop(key), right.pop(key)) for key in list(left) if key in right]
    near = [(_distance(a, b), k, n) for k, a in left.items() for n, b in right.items()]
    for distance, key, other in sorted(near, key=lambda one: one[0]):
        if distance <= FEW_SETTINGS and key in left and other in right:
            pairs.append((left.pop(key), right.pop(other)))
    pairs.sort(key=lambda pair: str(pair[0].path))
    return Partners(pairs, [*left.values()][::-1], [*right.values()][::-1], [*old, *older])


def _newest(runs: Sequence[LoadedRun]) -> tuple[dict[str, LoadedRun], list[LoadedRun]]:
    """The newest of each configuration, newer ones first, and the others."""
    newest: dict[str, LoadedRun] = {}
    for run in reversed(runs):
        newest.setdefault(_asked(run), run)
    return newest, [run for run in runs if newest[_asked(run)] is not run]


def _asked(run: LoadedRun) -> str:
    return repr((run.study, str(run.summary["name"]), sorted(counted(run.config).items())))


def _distance(first: LoadedRun, second: LoadedRun) -> float:
    """In how many settings they differ, seeds apart; infinite where they are of different kinds."""
    one, other = (counted(run.config) for run in (first, second))
    axes = [{name for name in fields if name.startswith("sweep.")} for fields in (one, other)]
    names = [(run.study, str(run.summary["name"])) for run in (first, second)]
    if names[0] != names[1] or axes[0] != axes[1]:
        return np.inf
    return sum(part.name not in ("seeds", "first_seed") for part in differing(one, other))
