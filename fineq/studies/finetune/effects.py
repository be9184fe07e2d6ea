"""Which fields each study of fine-tuning networks reads, and under which choices."""

from fineq.interop.places import is_diffusers
from fineq.settings.effects import Need, but, effect

TUNED = but("pretrain")
OWN_BASE = ("pretrain", "score_error")  # studies that train their own models
THEIRS = Need(is_diffusers, "{}=FOLDER of a diffusers model")

EFFECTS = (
    effect("base", {"study": but(*OWN_BASE)}),
    # What the model is comes with it.
    effect("data.* chain.num_steps", {"study": OWN_BASE}, {"base": None}, {"base": THEIRS}),
    effect("chain.first chain.last network.* pretrain.*", {"study": OWN_BASE}, {"base": None}),
    effect("pretrain.num_steps", {"study": but("score_error")}),
    effect("pretrain.stops", {"study": "score_error"}),
    effect("data.path data.pool", {"data.name": "images"}),
    effect("data.num data.d data.spread data.size", {"data.name": "mixture"}),
    effect("data.holdout", {"data.name": but("mixture")}),
    effect("network.channels", {"network.name": "unet"}),
    effect("pretrain.num_samples", {"study": "pretrain"}),
    effect("betas", {"study": ("beta", "mixture", "score_error", "image", "prompts")}),
    effect("reward.* tuning.* truth.*", {"study": TUNED}),
    effect("reward.labels tuning.guidance", {"study": "prompts"}),
    effect("beta", {"study": ("methods", "ablations")}),
    effect("methods.*", {"study": "methods"}),
    effect("ablations.*", {"study": "ablations"}),
    effect("reward.label", {"reward.name": "digit"}),
    effect("reward.target", {"reward.name": "python"}),
    effect("tuning.merged truth.num_paths truth.inner", {"study": but("score_error")}),
    effect("tuning.merged", {"study": but("ablations")}),
    effect("truth.num_points", {"study": ("mixture", "score_error")}),
    effect("truth.num_curvatures", {"study": "beta"}),
    # All members share the base model, and the programs' shapes.
    effect("sweep.data.* sweep.chain.* sweep.network.* sweep.pretrain.*"),
    effect("sweep.tuning.learning_rate sweep.tuning.clip"),
    effect("sweep.tuning.damping", {"study": but("methods", "ablations")}),
    effect("sweep.seeds"),
)
