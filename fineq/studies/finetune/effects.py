"""Which fields each study of fine-tuning networks reads, and under which choices."""

from fineq.interop.places import is_diffusers
from fineq.settings.effects import Need, but, effect, holding

TUNED = but("pretrain", "memory")  # those that fine-tune
OWN_BASE = ("pretrain", "score_error", "memory")  # studies that make their own models
REMATERIALISED = ("pi_ft", "pathwise", "draft", "draft_last", "draft_last_kl")
THEIRS = Need(is_diffusers, "{}=FOLDER of a diffusers model")

EFFECTS = (
    effect("base", {"study": but(*OWN_BASE)}),
    # What the model is comes with it.
    effect("data.* chain.num_steps", {"study": OWN_BASE}, {"base": None}, {"base": THEIRS}),
    effect(
        "chain.first chain.last network.name network.width network.depth network.channels "
        "network.classes network.prediction pretrain.*",
        {"study": OWN_BASE},
        {"base": None},
    ),
    # Exact solutions are those of a network without rounding.
    effect("network.precision", {"study": but("mixture", "score_error")}),
    effect("pretrain.*", {"study": but("memory")}),
    effect("pretrain.num_steps", {"study": but("score_error")}),
    effect("pretrain.stops", {"study": "score_error"}),
    effect("data.path data.pool", {"data.name": "images"}),
    effect("data.num data.d data.spread data.size", {"data.name": "mixture"}),
    effect("data.holdout", {"data.name": but("mixture")}),
    effect("network.channels", {"network.name": "unet"}),
    effect("pretrain.num_samples", {"study": "pretrain"}),
    effect("betas", {"study": ("beta", "mixture", "score_error", "image", "prompts")}),
    effect("reward.* truth.*", {"study": TUNED}),
    effect("tuning.num_paths tuning.rank", {"study": but("pretrain")}),
    effect(
        "tuning.num_steps tuning.learning_rate tuning.clip tuning.num_inner tuning.damping "
        "tuning.guidance tuning.remat tuning.merged",
        {"study": TUNED},
    ),
    effect("reward.labels tuning.guidance", {"study": "prompts"}),
    effect("beta", {"study": ("methods", "ablations")}),
    effect("methods.*", {"study": "methods"}),
    effect("ablations.*", {"study": "ablations"}),
    effect("memory.*", {"study": "memory"}),
    effect("reward.label", {"reward.name": "digit"}),
    effect("reward.target", {"reward.name": "python"}),
    effect("tuning.remat", {"study": but("methods")}, {"methods.names": holding(*REMATERIALISED)}),
    effect("tuning.merged truth.num_paths truth.inner", {"study": but("score_error")}),
    effect("tuning.merged", {"study": but("ablations")}),
    effect("truth.num_points", {"study": ("mixture", "score_error")}),
    effect("truth.num_curvatures", {"study": "beta"}),
    # All members share the base model, and the programs' shapes.
    effect("sweep.data.* sweep.chain.* sweep.network.* sweep.pretrain.*"),
    effect("sweep.tuning.learning_rate sweep.tuning.clip sweep.tuning.guidance"),
    effect("sweep.tuning.damping", {"study": but("methods", "ablations")}),
    effect("sweep.seeds"),
)
