"""The gradient of each method against the pathwise gradient of what it claims to climb."""

from functools import partial

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

from fineq.finetune import adapted, make_adapters
from fineq.finetune.adjoint import trace
from fineq.finetune.methods import ddpo, likelihood, reinforce, reward_weighted
from fineq.finetune.methods.draft import DRaFT
from fineq.finetune.methods.pathwise import gained
from fineq.finetune.methods.regression import regression
from fineq.finetune.rollout import draw, earned, follow
from tests.finetune.common import moved, tuning

KEY = jax.random.key(6)
NUM = 20_000


def gradient_of(problem, adapters, loss):
    """Of a loss of policies, by the adapters, as one vector."""
    found = jax.jit(jax.grad(lambda a: loss(adapted(problem.base, a))))(adapters)
    return jax.flatten_util.ravel_pytree(found)[0]


def at(problem, adapters, of):
    return jax.jit(lambda a: of(adapted(problem.base, a)))(adapters)


def close(found, wanted):
    # Sums of some hundred terms in two orders.
    np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-9 * np.abs(wanted).max())


def objective(problem, noise, policy):
    """J of given noise by the public functions, which know nothing of the methods."""
    found = earned(problem, policy, follow(problem, policy, noise))
    return jnp.mean(found.objective(problem.beta))


@pytest.mark.parametrize("num_classes", [pytest.param(0, marks=pytest.mark.slow), 3])
def test_one_regression_on_full_adjoints_is_the_gradient_of_minus_j(num_classes):
    problem = tuning(num_classes=num_classes)
    adapters, noise = moved(problem), draw(KEY, problem, 6)
    traced = at(problem, adapters, lambda policy: trace(problem, policy, noise))
    found = gradient_of(problem, adapters, partial(regression, problem, traced, 1.0))
    wanted = -gradient_of(problem, adapters, partial(objective, problem, noise))
    close(found, wanted)
    # A target part of the way asks for that part of the step.
    close(gradient_of(problem, adapters, partial(regression, problem, traced, 0.25)), wanted / 4)


def test_the_pathwise_method_differentiates_j():
    problem = tuning()
    adapters, noise = moved(problem), draw(KEY, problem, 6)
    found = gradient_of(problem, adapters, lambda p: jnp.mean(gained(problem, noise, p)[0]))
    close(found, gradient_of(problem, adapters, partial(objective, problem, noise)))


def test_lean_targets_are_the_full_ones_at_the_start():
    problem = tuning()
    start, noise = make_adapters(KEY, problem.base.variables, 2), draw(KEY, problem, 6)
    full, lean = (
        at(problem, start, lambda policy, k=kind: trace(problem, policy, noise, k)).adjoints
        for kind in ("full", "lean")
    )
    close(lean, full)


def last_steps(problem, noise, k, policy, frozen, priced):
    """Reward, less the price of the last k steps, with the steps before them held fixed."""
    sigmas, total = problem.base.schedule.sigmas, 0.0
    y = noise.start
    for t in range(problem.num_steps):
        late = t >= problem.num_steps - k
        m = (policy if late else frozen).mean(t, y)
        if late and priced:
            apart = m - problem.base.mean(t, y)
            total = total + jnp.sum(apart**2, axis=-1) / (2 * sigmas[t] ** 2)
        y = m + sigmas[t] * noise.draws[t]
    return jnp.mean(problem.reward(y, None) - problem.beta * total)


@pytest.mark.parametrize(("k", "kl"), [(1, False), (3, True), (None, False)])
def test_draft_differentiates_the_last_steps_alone(k, kl):
    problem = tuning()
    adapters, noise = moved(problem), draw(KEY, problem, 6)
    method = DRaFT(6, k=k, kl=kl)
    found = gradient_of(problem, adapters, lambda p: jnp.mean(method._gained(problem, noise, p)[0]))
    frozen = adapted(problem.base, adapters)
    loop = partial(last_steps, problem, noise, k or 4, frozen=frozen, priced=kl)
    close(found, gradient_of(problem, adapters, loop))


def test_draft_of_all_steps_with_the_price_is_pathwise():
    problem = tuning()
    adapters, noise = moved(problem), draw(KEY, problem, 6)
    method = DRaFT(6, kl=True)
    found = gradient_of(problem, adapters, lambda p: jnp.mean(method._gained(problem, noise, p)[0]))
    close(found, gradient_of(problem, adapters, partial(objective, problem, noise)))


def per_path(problem, adapters, loss):
    """Gradients of each path's share of a loss `(policy, noise of one path)`, `[NUM, M]`."""
    noise = draw(KEY, problem, NUM)

    def one(start, draws):
        mine = noise._replace(start=start[None], draws=draws[:, None])
        found = jax.grad(lambda a: loss(adapted(problem.base, a), mine, adapters))(adapters)
        return jax.flatten_util.ravel_pytree(found)[0]

    return np.asarray(jax.jit(jax.vmap(one, (0, 1)))(noise.start, noise.draws))


def sampled_of(problem, noise, adapters):
    """Paths of the policy of adapters, as the methods sample them, under given noise."""
    policy = adapted(problem.base, adapters)
    paths, m = likelihood.walk(problem, policy.mean, noise)
    e = (m - likelihood.means(problem.base, paths)) / problem.sigmas[:, None, None]
    return likelihood.Sampled(paths, m, e, likelihood.earned_of(problem, paths, e))


def reinforce_share(problem, policy, noise, adapters):
    sampled = sampled_of(problem, noise, adapters)
    divergence = jnp.sum(sampled.errors**2, axis=-1) / 2
    after = jnp.sum(divergence, axis=0)[None] - jnp.cumsum(divergence, axis=0)
    credit = sampled.earned.reward[None] - problem.beta * after
    return likelihood.score_function(problem, sampled, credit, policy)


def ddpo_share(problem, policy, noise, adapters):
    sampled = sampled_of(problem, noise, adapters)
    return ddpo.clipped(problem, sampled, ddpo.penalised(problem, sampled), jnp.inf, policy)


def dpok_share(problem, policy, noise, adapters):
    sampled = sampled_of(problem, noise, adapters)
    return likelihood.score_function(problem, sampled, sampled.earned.reward[None], policy)


def all_of_j(problem, policy, noise, adapters):
    del adapters
    return -objective(problem, noise, policy)


def reward_and_visited(problem, policy, noise, adapters):
    """The reward's whole gradient, and the divergence's at states that are held fixed."""
    reward = jnp.mean(problem.reward(follow(problem, policy, noise).states[-1], None))
    visited = follow(problem, adapted(problem.base, adapters), noise)
    return problem.beta * jnp.mean(earned(problem, policy, visited).divergence) - reward


@pytest.mark.slow
@pytest.mark.parametrize(
    ("share", "claimed"),
    [(reinforce_share, all_of_j), (ddpo_share, all_of_j), (dpok_share, reward_and_visited)],
)
def test_score_functions_have_the_mean_of_the_pathwise_gradient(share, claimed):
    problem = tuning(d=1, T=3)
    adapters = moved(problem)
    apart = per_path(problem, adapters, partial(share, problem)) - per_path(
        problem, adapters, partial(claimed, problem)
    )
    deviation = apart.std(axis=0)
    z = apart.mean(axis=0) / (deviation / np.sqrt(NUM))
    # Some 200 dependent normal numbers: one beyond 5 in more than 8000 runs.
    assert np.all(deviation > 0)
    assert np.abs(z).max() < 5


def test_credit_is_what_follows_less_the_mean_of_the_others():
    problem = tuning()
    noise = draw(KEY, problem, 4)
    sampled = jax.jit(sampled_of)(problem, noise, moved(problem))
    found = reinforce.to_go(problem, sampled)
    kl = np.sum(np.asarray(sampled.errors) ** 2, axis=-1) / 2
    reward = np.asarray(sampled.earned.reward)
    for t in range(4):
        gain = reward - 0.7 * kl[t + 1 :].sum(axis=0)
        for i in range(4):
            others = np.delete(gain, i).mean()
            np.testing.assert_allclose(found[t, i], gain[i] - others, rtol=1e-9, atol=1e-12)


def test_advantages_are_standardised_within_each_class():
    problem = tuning(num_classes=3)
    noise = draw(KEY, problem, 30)
    sampled = jax.jit(sampled_of)(problem, noise, moved(problem))
    gained = np.asarray(ddpo.penalised(problem, sampled))
    found = np.asarray(ddpo.advantages(problem, sampled))
    for c in range(3):
        mine = np.asarray(noise.label) == c
        wanted = (gained[mine] - gained[mine].mean()) / gained[mine].std()
        # Beside the deviation stands the square root of the rounding unit.
        np.testing.assert_allclose(found[mine], wanted, rtol=1e-6)


def test_a_ratio_beyond_the_clip_moves_nothing_further():
    problem = tuning()
    noise, adapters = draw(KEY, problem, 4), moved(problem)
    sampled = jax.jit(sampled_of)(problem, noise, adapters)
    far = moved(problem, size=2.0)
    ones = jnp.ones(4)

    def loss(policy, clip):
        return ddpo.clipped(problem, sampled, ones, clip, policy)

    policy = adapted(problem.base, far)
    h = np.asarray(jax.jit(likelihood.moved)(problem, sampled, policy))
    ratio = np.exp(np.sum(h * np.asarray(noise.draws) - h**2 / 2, axis=-1))
    wanted = -np.minimum(ratio, 1.2).sum() / 4
    np.testing.assert_allclose(jax.jit(loss)(policy, 0.2), wanted, rtol=1e-9)
    np.testing.assert_allclose(jax.jit(loss)(policy, jnp.inf), -ratio.sum() / 4, rtol=1e-9)


def test_weights_of_the_reward_are_its_softmax_and_uniform_without_bound_on_beta():
    problem = tuning()
    reward = jnp.array([0.3, -1.0, 2.0, 0.0])
    w = np.exp(np.asarray(reward) / 0.7)
    np.testing.assert_allclose(
        reward_weighted.path_weights(problem, reward), w / w.sum(), rtol=1e-12
    )
    free = problem._replace(beta=jnp.asarray(1e12))
    # What is left of the reward is 2e-12 of a weight.
    np.testing.assert_allclose(reward_weighted.path_weights(free, reward), 0.25, rtol=1e-11)


def test_the_weighted_regression_is_the_gradient_of_the_weighted_likelihood():
    problem = tuning()
    noise, adapters = draw(KEY, problem, 4), moved(problem)
    sampled = jax.jit(sampled_of)(problem, noise, adapters)
    weights = jnp.array([0.1, 0.2, 0.3, 0.4])
    other = moved(problem, seed=5)

    def likelihood_of(policy):
        total = 0.0
        for t in range(4):
            mean = policy.mean(t, sampled.paths.states[t])
            sigma = problem.base.schedule.sigmas[t]
            logs = jax.scipy.stats.norm.logpdf(sampled.paths.states[t + 1], mean, sigma)
            total = total + jnp.sum(weights * jnp.sum(logs, axis=-1))
        return -total

    found = gradient_of(
        problem, other, partial(reward_weighted.weighted, problem, sampled, weights)
    )
    close(found, gradient_of(problem, other, likelihood_of))
