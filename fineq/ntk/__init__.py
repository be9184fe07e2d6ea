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
"""

from fineq.ntk.accuracy import Accuracy, error_bounds, estimated_freedom
from fineq.ntk.assumptions import eigenvalues, exact_over_time, identity_gap, over_time
from fineq.ntk.data import Digits, Scaling, digits, merge, to_cube
from fineq.ntk.decay import decay_exponent
from fineq.ntk.deep import DeepTraining, Perceptron
from fineq.ntk.empirical import module_kernel, two_layer_kernel
from fineq.ntk.forward import (
    Process,
    Triples,
    alpha,
    diffuse,
    inputs,
    losses,
    make_process,
    score_of,
    triples,
    variance,
    weight,
)
from fineq.ntk.instance import Instance, Labelled, draw_labelled, score_error, weighted_error
from fineq.ntk.kernel_descent import KernelDescent
from fineq.ntk.label_noise import levels, mass_outside, noise_on_grid
from fineq.ntk.lanczos import Krylov, draw_probes, krylov, krylov_at, mean_diagonal
from fineq.ntk.limit import kernel_distances
from fineq.ntk.named import make_target, point_target
from fineq.ntk.network import Weights, draw_weights, evaluate
from fineq.ntk.paths import Paths, kernel_paths
from fineq.ntk.problem import Regression, make_regression
from fineq.ntk.rules import Rules, every_rule
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
from fineq.ntk.truncated import Truncated, box_mixture, truncated_mixture

__all__ = [
    "Accuracy",
    "DeepTraining",
    "Digits",
    "Instance",
    "KernelDescent",
    "Krylov",
    "Labelled",
    "NetworkTraining",
    "Path",
    "Paths",
    "Perceptron",
    "Process",
    "Regression",
    "Rules",
    "Scaling",
    "Spectrum",
    "Stop",
    "Target",
    "Triples",
    "Truncated",
    "Weights",
    "alpha",
    "box_mixture",
    "complexity",
    "complexity_bracket",
    "covariance",
    "cross_validation",
    "decay_exponent",
    "default_step",
    "degrees_of_freedom",
    "denoise",
    "descend",
    "diffuse",
    "digits",
    "discrepancy",
    "draw_labelled",
    "draw_probes",
    "draw_weights",
    "eigenvalues",
    "error_bounds",
    "estimated_freedom",
    "evaluate",
    "every_rule",
    "exact_over_time",
    "gram",
    "hold_out",
    "identity_gap",
    "inputs",
    "kernel",
    "kernel_distances",
    "kernel_paths",
    "krylov",
    "krylov_at",
    "largest_eigenvalue",
    "levels",
    "lipschitz",
    "local_rademacher",
    "log_density",
    "losses",
    "make_process",
    "make_regression",
    "make_target",
    "mass_outside",
    "mean_diagonal",
    "median_distance",
    "merge",
    "module_kernel",
    "noise",
    "noise_level",
    "noise_on_grid",
    "oracle",
    "over_time",
    "point_target",
    "posterior",
    "predict",
    "predictor",
    "product",
    "radius",
    "sample",
    "score",
    "score_error",
    "score_of",
    "sliced_wasserstein",
    "slope",
    "spectrum",
    "spectrum_at",
    "split",
    "stability_limit",
    "to_cube",
    "triples",
    "truncated_mixture",
    "two_layer_kernel",
    "variance",
    "weight",
    "weighted_error",
]
