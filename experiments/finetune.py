"""Fine-tuning networks from the shell: `python -m experiments.finetune --help`."""

import sys

from fineq.shell.entry import enter

if __name__ == "__main__":
    sys.exit(enter("finetune"))
