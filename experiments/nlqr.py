"""Nearly linear-quadratic control from the shell: `python -m experiments.nlqr --help`."""
import sys
from typing import Any
from experiments.shell import Area, main
from fineq.nlqr.config import NlqrConfig
def run(config: Any) -> int:
    print(config.study, config.system, config.sweep); return 0
AREA = Area("nlqr", NlqrConfig, run)
if __name__ == "__main__":
    sys.exit(main(AREA))
