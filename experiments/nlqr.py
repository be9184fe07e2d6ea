"""Nearly linear-quadratic control from the shell: `python -m experiments.nlqr --help`."""

import sys

from fineq.shell.entry import enter

if __name__ == "__main__":
    sys.exit(enter("nlqr"))
