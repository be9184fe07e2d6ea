"""Which fields each study of score learning reads, and under which choices."""

from fineq.settings.effects import GIVEN, but, effect
from fineq.studies.ntk.config import TARGETS

SIZED = ("generalisation", "inputs", "assumptions")  # studies with numbers N of their own
UNTRAINED = ("kernel_limit",)  # studies of networks before training
WITHOUT_DESCENT = (*UNTRAINED, "assumptions")
NETWORKS = ("coupling", "decomposition")
SAMPLED = ("sampling", "digits")


def _target(field: str) -> tuple[str, ...]:
    return tuple(name for name, taken in TARGETS.items() if field in taken)


EFFECTS = (
    *(
        effect(f"target.{field}", {"target.name": _target(field)})
        for field in dict.fromkeys(field for taken in TARGETS.values() for field in taken)
    ),
    effect("data.num", {"study": but(*SIZED)}),
    effect("data.num_test data.weight", {"study": but(*UNTRAINED)}),
    effect("data.constant", {"study": but("inputs")}),
    effect("descent.step descent.last", {"study": but(*WITHOUT_DESCENT)}),
    effect("descent.num_times", {"study": but(*WITHOUT_DESCENT, *SAMPLED)}),
    effect("descent.num_products", {"descent.method": ("stored", "blocked")}),
    effect("descent.forced", {"descent.step": GIVEN}, {"sweep.descent.step": GIVEN}),
    effect("network.widths", {"study": (*UNTRAINED, *NETWORKS)}),
    # Of untrained ones it says which widths there may be.
    effect("network.start", {"study": (*UNTRAINED, *NETWORKS)}),
    effect("network.num_steps network.precision", {"study": NETWORKS}),
    effect("deep.*", {"study": "decomposition"}),
    effect("stopping.*", {"study": ("early_stopping", "generalisation")}),
    effect("generalisation.*", {"study": ("generalisation", "inputs")}),
    effect("assumptions.*", {"study": "assumptions"}),
    effect("sampling.*", {"study": SAMPLED}),
    # All members have one law and one network.
    effect("sweep.target.* sweep.descent.last sweep.deep.* sweep.stopping.*"),
)
