"""The claims about fine-tuned networks that fineq measures, by id."""

from fineq.claims import Entry, register

PAPER = "arXiv 2412.18164"

register(
    Entry(
        "finetune/base",
        "How good the model is that is fine-tuned",
        "fineq",
        "measured",
    ),
    Entry(
        "finetune/beta-tradeoff",
        "A larger price β converges faster and stays closer to the pre-trained model",
        PAPER,
        "divergence and steps to arrive fall with β",
    ),
    Entry(
        "finetune/gap",
        "What a fine-tuned model has left to gain, (B - J)/β, is its divergence from the optimally "
        "tilted path law, in nats",
        "fineq, by the variational formula of Donsker and Varadhan",
        "measured",
    ),
    Entry(
        "finetune/frontier",
        "No policy earns more than the tilted laws P_b ∝ P_pre e^{r/b} at the same divergence",
        "fineq, by the variational formula of Donsker and Varadhan",
        "reward <= E_b r where KL_b is the divergence",
    ),
    Entry(
        "finetune/ablation",
        "How what is left to gain depends on rank, paths, inner iterations, damping and steps",
        "fineq",
        "measured",
    ),
    Entry(
        "finetune/contraction",
        "Policy iteration contracts at step t where q_t = σ_t² ρ(∇²V_{t+1})/β is below 1",
        PAPER,
        "largest q_t over the chain < 1",
    ),
    Entry(
        "finetune/exact",
        "A fine-tuned network approaches the exact optimum of the same base model",
        "fineq, by quadrature",
        "control error and gap fall with training",
    ),
    Entry(
        "finetune/score-error",
        "An error of the pre-trained score becomes a loss of the fine-tuned model's objective",
        "fineq, by densities of tilted laws",
        "KL(P̂* ‖ P*) <= e^{max r/β}/E_P̂[e^{r/β}] KL(P̂ ‖ P)",
    ),
    Entry(
        "finetune/memory",
        "What a step of fine-tuning holds is foreseen from shapes, and kept small by "
        "rematerialisation",
        "fineq",
        "foreseen within a factor of what the compiler allots",
    ),
)
