"""Fine-tuning as stochastic control from the shell: `python -m experiments.pift --help`."""

import sys

from fineq.shell.entry import enter

if __name__ == "__main__":
    sys.exit(enter("pift"))
