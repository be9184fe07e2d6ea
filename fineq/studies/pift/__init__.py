"""The studies of fine-tuning as stochastic control.

`STUDIES`: name to module, which has `run(config, given, stages) -> StudyResult`; in the order
in which they are listed and reproduced.
"""

STUDIES = {
    "linear_convergence": "linear_convergence",
    "beta": "beta",
    "threshold": "threshold",
    "regularity": "regularity",
    "terminal_law": "terminal_law",
    "continuous_limit": "continuous_limit",
    "parametric": "parametric",
    "benchmark_problems": "benchmark_problems",
}
