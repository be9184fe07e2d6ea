"""Bounds and gaps from weighted paths against closed forms, quadrature and loops."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from fineq.ddpm import gaussian, mixture
from fineq.errors import InputError
from fineq.fast.draws import normal
from fineq.finetune import truth
from fineq.finetune.problem import make_tuning
from fineq.finetune.rewards import per_point
from fineq.finetune.weights import Weighed, weigh
from fineq.keys import key_for
from fineq.pift import rewards
from fineq.pift.certificates import affine_bounds, log_masses
from tests.finetune.exact import affine, best_affine, chain, gaussian_tuning, mixture_tuning

KEY = jax.random.key(5)
LAW = gaussian([0.5, -0.3], [[1.2, 0.3], [0.3, 0.5]])
REWARD = rewards.quadratic([[-0.5, 0.1], [0.1, 0.3]], [1.0, 0.0])


# Compiled once for all problems of one shape.
bound, gaps, own_gaps, objective = map(
    jax.jit, (truth.bound, truth.gaps, truth.own_gaps, truth.objective)
)
weigh_ = jax.jit(weigh, static_argnames=("num", "inner"))


def problem(T=4, beta=1.0):
    return gaussian_tuning(LAW, REWARD, beta, chain(T))


def inside(found, exact, widths=2.5):
    """Whether an exact number lies within a few half widths (1.96 standard errors each)."""
    return abs(found.value - exact) < widths * (found.high - found.value)


def test_a_path_weighs_what_its_densities_say():
    tuning, instance = problem()
    policy = best_affine(instance, chain(4))[0]
    found = weigh_(KEY, tuning, policy, num=6, inner=2)
    y = np.repeat(normal(key_for(KEY, "starts"), (1, 3, 2)), 2, axis=1).reshape(6, 2)
    key = jax.random.fold_in(key_for(KEY, "paths"), 0)
    ratio, divergence = 0, 0
    for t in range(4):
        sigma = float(instance.chain.sigmas[t])
        means = [np.asarray(m.mean(t, y)) for m in (tuning.base, policy)]
        after = means[1] + sigma * np.asarray(normal(jax.random.fold_in(key, t), (6, 2)))
        before, now = (norm.logpdf(after, m, sigma).sum(1) for m in means)
        ratio, y = ratio + before - now, after
        divergence = divergence + ((means[1] - means[0]) ** 2).sum(1) / (2 * sigma**2)
    np.testing.assert_allclose(found.log_ratio.ravel(), ratio, rtol=1e-9)
    np.testing.assert_allclose(found.divergence.ravel(), divergence, rtol=1e-9)
    np.testing.assert_allclose(found.last.reshape(6, 2), y, rtol=1e-9)
    np.testing.assert_allclose(found.reward.ravel(), [REWARD(x) for x in y], rtol=1e-9)


def test_log_masses_are_those_of_a_loop():
    logs = np.random.default_rng(0).normal(size=(5, 4)) - 900.0
    found = log_masses(jnp.asarray(logs))
    w = np.exp(logs + 900)
    for s in range(5):
        expected = np.log(w[s].mean()) + w[s].var(ddof=1) / 4 / w[s].mean() ** 2 / 2 - 900
        np.testing.assert_allclose(found.conditional[s], expected, rtol=1e-12)
    means = w.mean(1)
    bias = means.var(ddof=1) / 5 / means.mean() ** 2 / 2
    np.testing.assert_allclose(found.marginal, np.log(means.mean()) + bias - 900, rtol=1e-12)
    np.testing.assert_allclose(found.shares, means / means.mean(), rtol=1e-11)
    np.testing.assert_allclose(found.effective, w.sum() ** 2 / (w**2).sum(), rtol=1e-11)
    each = [v.sum() ** 2 / (v**2).sum() for v in w]
    np.testing.assert_allclose(found.inner, np.mean(each), rtol=1e-11)


@pytest.mark.parametrize("beta", [pytest.param(1.0, marks=pytest.mark.slow), 4.0])
def test_bounds_hold_the_exact_ones_whoever_walks(beta):
    tuning, instance = problem(beta=beta)
    exact = affine_bounds(instance)
    policy, J = best_affine(instance, chain(4))
    for proposal, pretrained in ((None, True), (policy, False)):
        paths = weigh_(KEY, tuning, proposal, num=2048, inner=16)
        found = bound(paths, tuning.beta)
        assert inside(found.marginal, exact.marginal)
        assert inside(found.conditional, exact.conditional)
        assert inside(objective(paths, tuning.beta), _unchanged(tuning) if pretrained else J)


def _unchanged(tuning):
    """J of the pre-trained model: the reward's mean, from its own moments."""
    instance = gaussian_tuning(LAW, REWARD, 1.0, tuning.base.schedule)[1]
    mean, covariance = instance.chain.start.moments()
    means = instance.chain.mean
    for A, b, sigma in zip(means.A, means.b, instance.chain.sigmas, strict=True):
        mean = A @ mean + b
        covariance = A @ covariance @ A.T + sigma**2 * jnp.eye(2)
    return REWARD(mean) + jnp.trace(REWARD.P @ covariance) / 2


def test_the_gap_of_the_best_chain_is_the_exact_one_and_its_own_paths_say_it_sharper():
    tuning, instance = problem(beta=0.7)
    policy, J = best_affine(instance, chain(4))
    exact = affine_bounds(instance)
    pretrained = weigh_(jax.random.key(6), tuning, None, num=2048, inner=32)
    paths = weigh_(KEY, tuning, policy, num=2048, inner=32)
    apart, own = gaps(pretrained, paths, tuning.beta), own_gaps(paths, tuning.beta)
    for found in (apart, own):
        assert inside(found.conditional, (exact.conditional - J) / 0.7)
        assert inside(found.marginal, (exact.marginal - J) / 0.7)
    width = [g.conditional.high - g.conditional.low for g in (apart, own)]
    assert width[1] < width[0] / 2
    assert own.marginal.effective > apart.marginal.effective


def test_at_a_small_price_the_best_policys_paths_carry_more():
    schedule = chain(16, 0.01)
    tuning, instance = gaussian_tuning(LAW, rewards.linear([1.0, 0.0]), 0.3, schedule)
    policy = best_affine(instance, schedule)[0]
    before, after = (
        bound(weigh_(KEY, tuning, p, num=1024, inner=16), tuning.beta) for p in (None, policy)
    )
    # Weights e^{y/β} of N(0, v) have a relative second moment e^{v/β²}, here e^13: few paths carry
    # them. Those of the best policy differ by what a step and Y_0 leave.
    assert before.effective < 20 < 500 < after.effective
    assert before.inner < 4 < 8 < after.inner


def test_with_classes_means_are_of_each_and_then_over_them():
    rng = np.random.default_rng(1)
    both = Weighed(*jnp.asarray(rng.normal(size=(3, 2, 50, 4))), last=jnp.zeros((2, 50, 4, 1)))
    alone = [jax.tree.map(lambda x, c=c: x[c : c + 1], both) for c in range(2)]
    beta = jnp.asarray(0.8)
    for of in (
        lambda p: bound(p, beta).marginal,
        lambda p: bound(p, beta).conditional,
        lambda p: objective(p, beta),
        lambda p: own_gaps(p, beta).marginal,
    ):
        found, each = of(both), [of(p) for p in alone]
        np.testing.assert_allclose(found.value, np.mean([e.value for e in each]), rtol=1e-12)
        halves = [e.high - e.value for e in each]
        np.testing.assert_allclose(found.high - found.value, np.hypot(*halves) / 2, rtol=1e-12)
    least = min(bound(p, beta).effective for p in alone)
    np.testing.assert_allclose(bound(both, beta).effective, least, rtol=1e-12)


def test_the_upper_limit_is_the_marginal_ones_where_starts_have_few_paths():
    tuning, _ = problem()
    few, many = (weigh_(KEY, tuning, None, num=2048, inner=inner) for inner in (4, 32))
    found = own_gaps(few, tuning.beta)
    assert found.conditional.high == max(found.marginal.high, found.conditional.high)
    assert bound(few, tuning.beta).inner < truth.SETTLED < bound(many, tuning.beta).inner
    found = own_gaps(many, tuning.beta)
    assert found.conditional.high < found.marginal.high


def test_a_policy_that_gave_up_half_the_paths_is_found_out_by_pretrained_ones_alone():
    # Reward 0 everywhere, and a policy that is the pre-trained model on half of all paths: its
    # divergence is log 2, and so is its gap.
    shape, lost = (1, 40, 16), float(np.log(2))
    zero, last = jnp.zeros(shape), jnp.zeros((*shape, 1))
    base, half = Weighed(zero, zero, zero, last), Weighed(zero, zero + lost, zero - lost, last)
    beta = jnp.asarray(0.4)
    for gap in gaps(base, half, beta):
        np.testing.assert_allclose([gap.value, gap.low, gap.high], lost, rtol=1e-12)
    for gap in own_gaps(half, beta):
        np.testing.assert_allclose([gap.value, gap.low, gap.high], 0, atol=1e-12)


def test_every_class_has_its_own_paths(monkeypatch):
    monkeypatch.setattr("fineq.finetune.weights.BLOCK", 7)
    base = replace(problem()[0].base, num_classes=3)
    reward = per_point(lambda y, k: y[0] + 10 * k.astype(y.dtype), takes_label=True)
    tuning = make_tuning(base, reward, 1.0, [2, 0])
    found = weigh(KEY, tuning, base, 20, inner=2)
    assert found.last.shape == (2, 5, 2, 2)
    expected = found.last[..., 0] + jnp.asarray([20.0, 0.0])[:, None, None]
    np.testing.assert_allclose(found.reward, expected, rtol=1e-12)
    np.testing.assert_array_equal(found.log_ratio, 0)
    # Three blocks of seven hold twenty paths: none is there twice.
    assert len(np.unique(found.last.reshape(20, 2), axis=0)) == 20


@pytest.mark.parametrize(
    ("num", "inner", "sentence"),
    [
        (10, 0, "inner must be at least 1, got 0"),
        (10, 4, "the number of paths must be a multiple of inner = 4, at least twice, got 10"),
        (4, 4, "the number of paths must be a multiple of inner = 4, at least twice, got 4"),
    ],
)
def test_counts_that_do_not_divide_are_refused(num, inner, sentence):
    with pytest.raises(InputError) as caught:
        weigh(KEY, problem()[0], None, num, inner)
    assert str(caught.value) == sentence


def quadrature(instance, beta):
    """Both bounds in one dimension: the law of Y_T given Y_0 carried on a grid."""
    x = np.linspace(-9, 9, 1201)
    h = x[1] - x[0]
    given = np.eye(x.size) / h
    for t in range(instance.num_steps):
        mean = np.asarray(jax.vmap(lambda y, t=t: instance.chain.mean(t, y))(x[:, None]))
        sigma = float(instance.chain.sigmas[t])
        given = given @ norm.pdf(x[None], mean, sigma) * h
    masses = given @ np.exp(np.asarray(jax.vmap(instance.reward)(x[:, None])) / beta) * h
    start, near = norm.pdf(x) * h, np.abs(x) < 6
    return beta * np.log(start @ masses), beta * (start[near] @ np.log(masses[near]))


@pytest.mark.slow
def test_on_a_mixture_intervals_cover_the_quadrature_as_often_as_they_say():
    law = mixture([0.4, 0.6], [[-1.5], [1.0]], [[[0.2]], [[0.1]]])
    reward = rewards.Wave(jnp.ones(1), jnp.asarray(1.0), jnp.asarray(0.0), jnp.asarray(0.5))
    tuning, instance = mixture_tuning(law, reward, 0.6, chain(8, 0.1))
    marginal, conditional = quadrature(instance, 0.6)
    run = jax.jit(lambda key: bound(weigh(key, tuning, None, 4096, inner=32), tuning.beta))
    found = [run(key) for key in jax.random.split(KEY, 200)]
    for exact, of in ((marginal, lambda b: b.marginal), (conditional, lambda b: b.conditional)):
        values = np.array([of(b).value for b in found])
        hits = sum(bool(of(b).low < exact < of(b).high) for b in found)
        # 200 tries at 95%: fewer than 180 have probability 0.2%.
        assert hits >= 180
        assert abs(values.mean() - exact) < 4 * values.std() / np.sqrt(len(values))


@pytest.mark.slow
def test_the_gap_of_any_policy_is_covered_by_both_routes():
    tuning, instance = problem(beta=1.0)
    exact = affine_bounds(instance)
    # Half way to the best policy: its J by the moments of its own chain.
    best = best_affine(instance, chain(4))[0].variables[0]
    half = jax.tree.map(lambda x, y: (x + y) / 2, best, instance.chain.mean)
    policy = affine(half, chain(4), 2)
    J = objective(weigh(jax.random.key(9), tuning, policy, 2**18), tuning.beta)
    expected = float(exact.conditional) - float(J.value)

    @jax.jit
    def run(key):
        first, second = jax.random.split(key)
        paths = weigh(first, tuning, policy, 2048, inner=32)
        base = weigh(second, tuning, None, 2048, inner=32)
        return own_gaps(paths, tuning.beta).conditional, gaps(base, paths, tuning.beta).conditional

    found = [run(key) for key in jax.random.split(KEY, 200)]
    slack = float(J.high - J.value)
    for i in range(2):
        hits = sum(bool(g[i].low - slack < expected < g[i].high + slack) for g in found)
        assert hits >= 180
