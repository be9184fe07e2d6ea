"""The studies of nearly linear-quadratic control.

`STUDIES`: name to module, which has `run(config, given, stages) -> StudyResult`.
"""

STUDIES = {
    "exact_recovery": "exact_recovery",
    "global": "global_minimum",
    "initialisation": "initialisation",
    "landscape": "landscape",
    "linear_convergence": "linear_convergence",
    "lipschitz_sweep": "lipschitz_sweep",
    "robustness": "robustness",
    "sample_complexity": "sample_complexity",
}
