"""Open what a run has computed, fit its rate over other iterations, draw its figure for a talk."""

import fineq
from fineq.rates import linear_rate

# The study of `make demo`: computed by the first call, found on the disk by the next.
run = fineq.run("nlqr/demo", seeds=6)
print(run)
for claim in run.claims:
    print(f"{claim.statement}, {claim.instance}: {claim.measured.value:.4g}, {claim.verdict}")

# From the 300th iteration on, where the slowest mode is alone.
gap = run.dataset["exact_gap"].sel(exact_iteration=slice(300, None))
rate = linear_rate(gap["exact_iteration"], gap)
theory = 2 * float(run.dataset["exponent"].median())
print(f"the gap falls by exp({rate.slope:.5f}) an iteration; in theory exp({-theory:.5f})")

# Another style goes into another folder: the run's own figures stay as they are.
style = {"font.size": 16, "savefig.dpi": 100}
for path in fineq.runs.redraw(run, style=style, to="talk", overwrite=True):
    print(path)
