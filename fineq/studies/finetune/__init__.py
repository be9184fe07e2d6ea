"""The studies of fine-tuning networks.

`STUDIES`: name to module, which has `run(config, given, stages) -> StudyResult`; in the order
in which they are listed and reproduced.
"""

STUDIES = {
    "pretrain": "pretrain",
    "beta": "beta",
    "mixture": "mixture",
}
