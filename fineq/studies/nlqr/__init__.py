"""The studies of nearly linear-quadratic control.

`STUDIES`: name to module, which has `run(config, given, stages) -> StudyResult`; in the order
in which they are listed and reproduced.
"""

ABOUT = "nearly linear-quadratic control, arXiv 2303.08431"
STUDIES = {
    "initialisation": "initialisation",
    "lipschitz_sweep": "lipschitz_sweep",
    "robustness": "robustness",
    "linear_convergence": "linear_convergence",
    "landscape": "landscape",
    "exact_recovery": "exact_recovery",
    "sample_complexity": "sample_complexity",
    "global": "global_minimum",
}
