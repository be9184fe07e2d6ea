"""`python -m tests.hasty_flags` prints XLA flags under which programs compile in half the time.

Programs of tests run for milliseconds: what XLA spends on their speed is not worth waiting for.
Only flags that the installed jaxlib knows are printed.
"""

from fineq.shell.xla import hasty_flags

if __name__ == "__main__":
    print(*hasty_flags())
