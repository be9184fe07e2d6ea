"""The studies of score learning with wide networks.

`STUDIES`: name to module, which has `run(config, given, stages) -> StudyResult`.
"""

STUDIES = {
    "assumptions": "assumptions",
    "coupling": "coupling",
    "decomposition": "decomposition",
    "digits": "digits",
    "early_stopping": "early_stopping",
    "generalisation": "generalisation",
    "inputs": "inputs",
    "kernel_limit": "kernel_limit",
    "sampling": "sampling",
}
