"""A wide network beside its tangent kernel: trained alike, they differ by order width^-1/2."""

import jax
import numpy as np

import fineq
from fineq import ntk, rates

rng = np.random.default_rng(0)
z = rng.normal(size=(64, 3)).astype(np.float32)
problem = ntk.make_regression(z, np.sin(2 * z[:, :1]), fresh=z[::-1] + 0.1)
kernel = fineq.solve(problem, ntk.KernelDescent(), num_steps=20)["fresh"][-1]


def distances(width, seeds=8):
    """Distances of networks from the kernel's predictions, one a seed."""

    def distance(key):
        by = ntk.NetworkTraining(width=width)
        found = fineq.unroll(problem, by, key=key, num_steps=20, reference=kernel)[1]
        return found["distance"][-1]

    return jax.jit(jax.vmap(distance))(jax.random.split(jax.random.key(width), seeds))


widths = np.array([128, 512, 2048, 8192])
found = np.stack([distances(int(width)) for width in widths], axis=1)  # [seed, width]
for width, distance in zip(widths, np.median(found, axis=0)):
    print(f"width {width}: distance {distance:.4f}")

law = rates.power_law(widths, found)
print(f"distance ~ width^{law.slope:.2f}, interval [{law.low:.2f}, {law.high:.2f}]; theory: -0.5")
