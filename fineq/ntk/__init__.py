"""Score regression with wide networks: the tangent kernel, descent, stopping (arXiv 2401.15604).

A `Regression` is solved by `KernelDescent`, `NetworkTraining` or `DeepTraining` with `fineq.solve`;
`descend` has kernel descent at all times at once. The paper's symbols:

    g, a, h, T0, T      the forward process: `Process`, `make_process`, `alpha`, `variance`
    X_0                 a law with exact posteriors, `Target`: points, Gaussians, mixtures (of
                        `fineq.ddpm`), `box_mixture`, `truncated_mixture`, `make_target` by name
    f*(t, x)            `denoise`; its score `score`, noise tr Cov(X_0 | X_t)/d `noise`
    z                   `inputs`; with labels `Triples`, `triples`, `draw_labelled`
    κ, K                `kernel`, `gram`, `product`; of networks `two_layer_kernel`, `module_kernel`
    λ_i                 eigenvalues of K/N: `Spectrum`, `spectrum_at`; `decay_exponent`
    η                   `default_step` (1/E κ(z, z)), `stability_limit` (2/λ_max)
    f_τ                 `descend`, a `Path`; for many points `krylov_at` with `error_bounds`
    m, w_r, A           `NetworkTraining.width`, `Weights`, `draw_weights`, `evaluate`
    R(ε), B, σ          `complexity`, `radius`, `noise_level` of the rule `local_rademacher`

What measures assumptions, compares stopping rules and reads digits stays in its room, among
`assumptions`, `label_noise`, `rules`, `paths`, `data`; weights and losses of scores in `forward`.
"""

from fineq.ntk import assumptions, data, forward, label_noise, paths, rules
from fineq.ntk.accuracy import error_bounds
from fineq.ntk.decay import decay_exponent
from fineq.ntk.deep import DeepTraining
from fineq.ntk.empirical import module_kernel, two_layer_kernel
from fineq.ntk.forward import Process, Triples, alpha, inputs, make_process, triples, variance
from fineq.ntk.instance import draw_labelled, score_error, weighted_error
from fineq.ntk.kernel_descent import KernelDescent
from fineq.ntk.lanczos import krylov_at, mean_diagonal
from fineq.ntk.limit import kernel_distances
from fineq.ntk.named import make_target, point_target
from fineq.ntk.network import Weights, draw_weights, evaluate
from fineq.ntk.problem import Regression, make_regression
from fineq.ntk.sampling import discrepancy, median_distance, sample, sliced_wasserstein
from fineq.ntk.spectral import (
    Path,
    Spectrum,
    default_step,
    degrees_of_freedom,
    descend,
    predict,
    spectrum,
    spectrum_at,
    stability_limit,
)
from fineq.ntk.step_size import largest_eigenvalue
from fineq.ntk.stopping import (
    Stop,
    complexity,
    complexity_bracket,
    cross_validation,
    hold_out,
    local_rademacher,
    noise_level,
    oracle,
    radius,
    split,
)
from fineq.ntk.tangent import gram, kernel, product
from fineq.ntk.targets import (
    Target,
    covariance,
    denoise,
    lipschitz,
    log_density,
    noise,
    posterior,
    predictor,
    score,
    slope,
)
from fineq.ntk.training import NetworkTraining
from fineq.ntk.truncated import box_mixture, truncated_mixture

__all__ = [
    "DeepTraining", "KernelDescent", "NetworkTraining", "Path", "Process", "Regression", "Spectrum",
    "Stop", "Target", "Triples", "Weights", "alpha", "assumptions", "box_mixture", "complexity",
    "complexity_bracket", "covariance", "cross_validation", "data", "decay_exponent",
    "default_step", "degrees_of_freedom", "denoise", "descend", "discrepancy", "draw_labelled",
    "draw_weights", "error_bounds", "evaluate", "forward", "gram", "hold_out", "inputs", "kernel",
    "kernel_distances", "krylov_at", "label_noise", "largest_eigenvalue", "lipschitz",
    "local_rademacher", "log_density", "make_process", "make_regression", "make_target",
    "mean_diagonal", "median_distance", "module_kernel", "noise", "noise_level", "oracle", "paths",
    "point_target", "posterior", "predict", "predictor", "product", "radius", "rules", "sample",
    "score", "score_error", "sliced_wasserstein", "slope", "spectrum", "spectrum_at", "split",
    "stability_limit", "triples", "truncated_mixture", "two_layer_kernel", "variance",
    "weighted_error",
]  # fmt: skip
