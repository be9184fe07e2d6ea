"""The studies of fine-tuning networks.

`STUDIES`: name to module, which has `run(config, given, stages) -> StudyResult`; in the order
in which they are listed and reproduced.
"""

ABOUT = "fine-tuning of networks, and how many nats it ends from the optimum"
STUDIES = {
    "pretrain": "pretrain",
    "beta": "beta",
    "methods": "methods",
    "ablations": "ablations",
    "mixture": "mixture",
    "score_error": "score_error",
    "prompts": "prompts",
    "image": "image",
    "memory": "memory",
}
