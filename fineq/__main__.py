"""`python -m fineq` is the command `fineq`."""

import sys

from fineq.shell.entry import enter

if __name__ == "__main__":
    sys.exit(enter())
