"""The studies of fine-tuning as stochastic control.

`STUDIES`: name to module, which has `run(config, given, stages) -> StudyResult`; in the order
in which they are listed and reproduced.
"""

ABOUT = "fine-tuning diffusion models as stochastic control, arXiv 2412.18164"
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
