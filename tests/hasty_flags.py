"""`python -m tests.hasty_flags` prints XLA flags under which programs compile in half the time.

Programs of tests run for milliseconds: what XLA spends on their speed is not worth waiting for.
Only flags that the installed jaxlib knows are printed.
"""

from experiments.xla import refusal

HASTY = ("--xla_backend_optimization_level=0", "--xla_cpu_use_fusion_emitters=false")

if __name__ == "__main__":
    print(*(flag for flag in HASTY if refusal(flag) is None))
