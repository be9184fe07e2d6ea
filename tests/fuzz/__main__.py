"""`python -m tests.fuzz KIND [FIRST [LAST]]` carries out cases of a kind and tells their faults."""

import sys

from tests.fuzz.cases import KINDS, faults

if __name__ == "__main__":
    kind, first, last = (*sys.argv[1:], "0", "")[:3]
    if kind not in KINDS:
        sys.exit(f"kinds: {', '.join(KINDS)}")
    found = faults(kind, range(int(first), int(last or first) + 1))
    print(*found, sep="\n\n")
    sys.exit(bool(found))
