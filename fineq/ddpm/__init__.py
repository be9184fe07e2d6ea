"""Denoising diffusion models with exact laws: schedules, data laws, forward and reverse chains.

Forward steps k = 1..T add noise, X_k = √α_k X_{k-1} + √(1 - α_k) Z; generation steps t = T - k undo
them, Y_{t+1} = (Y_t + (1 - α_t) s_t(Y_t))/√α_t + σ_t W_t, from Y_0 ~ N(0, I).

    α_t, ᾱ_t, σ_t       `Schedule`: `alphas`, `alpha_bars`, `sigmas` in generation order, made by
                        `make_schedule` from the builders of `schedules` (linear, cosine, ...)
    p, the data law     `Law`: `gaussian`, `mixture`, `points`, with `noised`, `score`, `sample`
    s_t                 `Score`; of a law exactly `ExactScore`
    u_t and the mean    `mean_of(u, α, y)`, and back `control_of`
    Y_0..Y_T            `generate`
    X_k given X_0       `noise`
    m_t(y) = A_t y + b_t  `gaussian_chain`, the reverse chain of Gaussian data
    a network as s_t     `Denoiser`, batched, made by `make_denoiser` of a module of `networks`
    its pre-training     `DenoiserTraining`, of a `Denoising` that `make_denoising` makes
    its samples          `ancestral`, `ddim`; how good they are: `quality`
"""

from fineq.ddpm import networks, quality, schedules
from fineq.ddpm.chain import (
    AffineChain,
    ExactScore,
    Score,
    control_of,
    gaussian_chain,
    generate,
    mean_of,
    noise,
)
from fineq.ddpm.denoiser import Denoiser, Network, Prediction, make_denoiser
from fineq.ddpm.laws import (
    Gaussian,
    Law,
    Mixture,
    Points,
    gaussian,
    mixture,
    points,
    standard_normal,
)
from fineq.ddpm.samplers import ancestral, ddim
from fineq.ddpm.schedules import Schedule, make_schedule
from fineq.ddpm.training import DenoiserTraining, Denoising, make_denoising

__all__ = [
    "AffineChain",
    "Denoiser",
    "DenoiserTraining",
    "Denoising",
    "ExactScore",
    "Gaussian",
    "Law",
    "Mixture",
    "Network",
    "Points",
    "Prediction",
    "Schedule",
    "Score",
    "ancestral",
    "control_of",
    "ddim",
    "gaussian",
    "gaussian_chain",
    "generate",
    "make_denoiser",
    "make_denoising",
    "make_schedule",
    "mean_of",
    "mixture",
    "networks",
    "noise",
    "points",
    "quality",
    "schedules",
    "standard_normal",
]
