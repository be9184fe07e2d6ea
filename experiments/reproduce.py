"""Every study of every area, one after the other, and one summary of them all.

`python -m experiments.reproduce [area ...] [field=value ...]`: areas default to all; settings such
as `profile=smoke` or `output=DIR` go to every study. Complete runs are found and not run again.
"""

import sys

from fineq.shell.entry import enter

if __name__ == "__main__":
    sys.exit(enter("reproduce"))
