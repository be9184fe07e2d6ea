"""fineq: a numerical laboratory for iterations that are said to converge at a linear rate.

A *problem* is what is given, a *method* makes one step, and `solve` repeats it and measures:

    solution = fineq.solve(problem, method, num_steps=1000, reference=optimum)
    solution.value, solution.status, solution.rate("distance")

The areas: `fineq.nlqr` (nearly linear-quadratic control, arXiv 2303.08431), `fineq.pift`
(fine-tuning diffusion models as stochastic control, arXiv 2412.18164), `fineq.ntk` (learning the
score with wide networks, arXiv 2401.15604) and, under the last two, `fineq.ddpm` (the chain).
`fineq.rates` measures how fast, `fineq.sweep` lays axes over pure functions. The studies of the
papers run as on the command line, and what they have computed is found and loaded:

    run = fineq.run("nlqr/landscape", {"system.lipschitz": 0.3}, seeds=16, profile="smoke")
    run.dataset, run.claims
    fineq.runs.find("outputs")
"""

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fineq.iterate import Method as Method
    from fineq.iterate import Solution as Solution
    from fineq.iterate import Status as Status
    from fineq.iterate import method as method
    from fineq.iterate import solve as solve
    from fineq.iterate import static as static
    from fineq.iterate import unroll as unroll
    from fineq.shell.call import run as run

try:
    __version__ = version("fineq")
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "0+unknown"

# JAX takes a second to load, and what only reads runs does without: names are loaded when used.
_ITERATE = ("Method", "Solution", "Status", "method", "solve", "static", "unroll")
_NAMES = {**dict.fromkeys(_ITERATE, "fineq.iterate"), "run": "fineq.shell.call"}
_ROOMS = ("ddpm", "finetune", "nlqr", "ntk", "pift", "rates", "report", "runs", "sweep")

__all__ = [*_NAMES, *_ROOMS, "__version__"]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    if name in _ROOMS:
        return importlib.import_module(f"fineq.{name}")
    raise AttributeError(f"module 'fineq' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
