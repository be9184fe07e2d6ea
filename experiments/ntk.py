"""Score learning with wide networks from the shell: `python -m experiments.ntk --help`."""

import sys

from fineq.shell.entry import enter

if __name__ == "__main__":
    sys.exit(enter("ntk"))
