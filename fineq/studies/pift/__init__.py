"""The studies of fine-tuning as stochastic control.

`STUDIES`: name to module, which has `run(config, given, stages) -> StudyResult`.
"""

STUDIES = {
    "benchmark_problems": "benchmark_problems",
    "beta": "beta",
    "continuous_limit": "continuous_limit",
    "linear_convergence": "linear_convergence",
    "parametric": "parametric",
    "regularity": "regularity",
    "terminal_law": "terminal_law",
    "threshold": "threshold",
}
