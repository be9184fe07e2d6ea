"""The studies of score learning with wide networks.

`STUDIES`: name to module, which has `run(config, given, stages) -> StudyResult`; in the order
in which they are listed and reproduced.
"""

ABOUT = "learning the score with wide networks, arXiv 2401.15604"
STUDIES = {
    "kernel_limit": "kernel_limit",
    "coupling": "coupling",
    "early_stopping": "early_stopping",
    "inputs": "inputs",
    "generalisation": "generalisation",
    "decomposition": "decomposition",
    "assumptions": "assumptions",
    "sampling": "sampling",
    "digits": "digits",
}
