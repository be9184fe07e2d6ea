"""How far a policy is from the optimum, in nats.

With constant β and the law of Y_0 unchanged,

    B = E[β log E[e^{r/β} | Y_0]],   (B - J(u))/β = E KL(P_u(·|Y_0) ‖ P*(·|Y_0)),

where P* ∝ P_pre e^{r/β}: the *gap* is an absolute error (`finetune/gap`). The marginal bound
β log E e^{r/β} is never smaller. With classes all means are within each of them, and then over
them. No chain with covariances σ_t² reaches P*: what the best one leaves is of the order of a step.

Expectations under the pre-trained model are means over weighted paths (`fineq.finetune.weights`).
The log of a mean is biased low, by its relative variance over two to first order, which is put
right; what stays is of second order, and low too, so that the upper limit of a gap is what counts.
Intervals are normal, at 95%, from means over independent starts. Leaving starts out one by one says
the same where many paths carry the weight, and where few do neither says anything: below
`fineq.pift.certificates.ENOUGH` effective paths there is no verdict.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from fineq.finetune.weights import Weighed
from fineq.pift.certificates import Estimate, Gap, LogMasses, log_masses, normal_estimate

SETTLED = (
    10  # effective paths per start: from here on the bias left of a conditional bound is small
)


class Bound(NamedTuple):
    """Bounds on J of every policy.

    Attributes:
        marginal: β log E e^{r/β}.
        conditional: E[β log E[e^{r/β} | Y_0]].
        effective: paths that carry the weight, of the class where they are fewest.
        inner: the same among those of one start, their mean, of the class where it is least.
    """

    marginal: Estimate
    conditional: Estimate
    effective: Array
    inner: Array


class Gaps(NamedTuple):
    """(B - J)/β in nats, each with the effective number of paths behind it.

    Attributes:
        conditional: from the conditional bound: the divergence from the optimum. What counts are
            the effective paths within starts. Where a start has fewer than `SETTLED` of them, the
            bias left is no longer small: the upper limit is then no smaller than that of
            `marginal`, and rests on its paths.
        marginal: from the marginal bound: an upper bound on the other, of less bias.
    """

    conditional: Gap
    marginal: Gap


def bound(paths: Weighed, beta: Array) -> Bound:
    """The bounds at β from paths of the pre-trained model, or of any policy that covers it.

    Conditional bounds need several paths from each start; with one, theirs is NaN.
    """
    found = jax.vmap(log_masses)(paths.logs(beta))
    marginal = over_classes(jax.vmap(normal_estimate)(found.marginal, found.shares))
    conditional = mean_over_classes(found.conditional)
    return Bound(
        _scaled(marginal, beta),
        _scaled(conditional, beta),
        jnp.min(found.effective),
        jnp.min(found.inner),
    )


def objective(paths: Weighed, beta: Array) -> Estimate:
    """J(u) from paths of u."""
    J = paths.reward - beta * paths.divergence
    return mean_over_classes(jnp.mean(J, axis=-1))


def gaps(pretrained: Weighed, paths: Weighed, beta: Array) -> Gaps:
    """The gaps of a policy from its paths, and bounds from independent pre-trained ones."""
    found, J = bound(pretrained, beta), objective(paths, beta)
    conditional, marginal = (below(B, J, beta) for B in (found.conditional, found.marginal))
    return _gaps(conditional, marginal, found, pretrained.reward.shape[1])


def below(upper: Estimate, J: Estimate, beta: Array) -> Estimate:
    """(B - J)/β in nats from independent estimates of a bound and of an objective."""
    value, half = upper.value - J.value, jnp.hypot(upper.high - upper.value, J.high - J.value)
    return _scaled(Estimate(value, value - half, value + half), 1 / beta)


def own_gaps(paths: Weighed, beta: Array) -> Gaps:
    """The gaps of a policy from its own paths alone, as bounds and as objective.

    With ω = r/β + log dP_pre/dP_u the gap is E[log E[e^ω | Y_0] - E[ω | Y_0]], whose two terms
    rise and fall together: nothing is left of their noise where u is the optimum. Nothing that the
    policy has given up is seen, see `fineq.finetune.weights`.
    """
    logs = paths.logs(beta)
    found: LogMasses = jax.vmap(log_masses)(logs)
    means = jnp.mean(logs, axis=-1)
    value = found.marginal - jnp.mean(means, axis=-1)
    marginal = over_classes(jax.vmap(normal_estimate)(value, found.shares - means))
    conditional = mean_over_classes(found.conditional - means)
    return _gaps(conditional, marginal, bound(paths, beta), logs.shape[1])


def _gaps(conditional: Estimate, marginal: Estimate, found: Bound, starts: int) -> Gaps:
    settled = found.inner >= SETTLED
    wider = jnp.maximum(conditional.high, marginal.high)
    high = jnp.where(settled, conditional.high, wider)
    effective = jnp.where(settled, starts * found.inner, found.effective)
    return Gaps(
        Gap(conditional.value, conditional.low, high, effective), Gap(*marginal, found.effective)
    )


def mean_over_classes(draws: Array) -> Estimate:
    """The mean over classes of the means of independent draws `[C, S]`."""
    return over_classes(jax.vmap(normal_estimate)(jnp.mean(draws, axis=-1), draws))


def over_classes(each: Estimate) -> Estimate:
    """The mean of independent estimates `[C]`."""
    value = jnp.mean(each.value)
    half = jnp.linalg.norm(each.high - each.value) / each.value.shape[0]
    return Estimate(value, value - half, value + half)


def _scaled(found: Estimate, factor: Array) -> Estimate:
    return Estimate(*(factor * x for x in found))
