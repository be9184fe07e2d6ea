"""What the theory assumes of the members of a study: spectra over N, and targets over time."""

import jax.numpy as jnp
import numpy as np

from fineq.keys import key_for
from fineq.ntk import assumptions, forward
from fineq.ntk.label_noise import Levels, levels
from fineq.studies.common import Slice
from fineq.studies.ntk.common import Study, slices
from fineq.studies.ntk.instances import process_of
from fineq.sweep import Axis
from fineq.sweep.stages import Member

NUM_DRAWS = assumptions.NUM_DRAWS  # also behind label noise in many dimensions


def spectra(study: Study, sizes: Axis) -> dict[str, np.ndarray]:
    """Of every N, `[N, *axes]`, eigenvalues cut at the smallest N."""

    def look(member: Member) -> assumptions.Eigenvalues:
        return assumptions.eigenvalues(study.instance(member).train.z, min(sizes.values))

    found = study.stages.measure("spectra", look, [sizes, *study.axes])
    return {name: np.asarray(x) for name, x in found._asdict().items()}


def diffusion_times(study: Study) -> np.ndarray:
    """Diffusion times from the earliest T0 to the latest T of all members, on a log scale."""
    config = study.config
    swept = {axis.name: axis.values for axis in study.axes}
    first = min(swept.get("process.T0", [config.process.T0]))
    last = max(swept.get("process.T", [config.process.T]))
    return np.geomspace(first, last, config.assumptions.num_times)


def over_time(study: Study, times: np.ndarray, member: Member) -> assumptions.OverTime:
    """NaN at times that the member does not learn."""
    config = study.config
    return assumptions.over_time(
        study.instance(member),
        jnp.asarray(times, config.precision),
        num=config.data.num_test,
        radii=np.asarray(config.assumptions.radii),
        times=forward.TIMES[config.data.times],
        weights=config.data.weight,
    )


def made_exact(
    study: Study, times: np.ndarray, values: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Values over time with exact ones in place of averages over draws, where there are any."""
    made = {name: np.array(values[name]) for name in ("noise", "signal", "outside")}
    law, radii = study.given.target.law, study.config.assumptions.radii
    for piece in slices(study.axes):
        process = process_of(study.config_at(member_at(study, piece)))
        learned = np.isfinite(made["noise"][piece.index][0])
        t = jnp.asarray(times[learned])
        for name, known in assumptions.exact_over_time(process, law, t, radii).items():
            made[name][piece.index][..., learned] = known
    return {**values, **made}


def member_at(study: Study, piece: Slice) -> dict[str, float]:
    """The swept fields of a slice by their paths."""
    swept = [axis.name for axis in study.axes if axis.name != "seed"]
    return dict(zip(swept, piece.at.values(), strict=True))


def levels_of(study: Study, piece: Slice) -> Levels:
    """Label noise and signal, by quadrature in one and two dimensions, else from draws."""
    config = study.config_at(member_at(study, piece))
    key = key_for(config.first_seed, "label noise by draws")
    times = forward.TIMES[config.data.times]
    return levels(process_of(config), study.given.target.law, key, NUM_DRAWS, times)
