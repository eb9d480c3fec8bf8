"""What sections 3.1 and 3.2 claim, on small tables and in plain numpy: no network and none of our code."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.special import logsumexp

GAMMA = 0.9


class Game:
    """A random cooperative MDP: S states, N agents with A actions each, joint actions as one axis per agent."""

    def __init__(self, n_agents: int, n_actions: int, n_states: int, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.N, self.A, self.S = n_agents, n_actions, n_states
        joint = (n_actions,) * n_agents
        self.reward = random.normal(0, 2, (n_states, *joint))
        self.next = random.dirichlet(np.ones(n_states), (n_states, *joint))
        self.agents = tuple(range(1, n_agents + 1))  # axes of the joint action

    def q(self, v: np.ndarray) -> np.ndarray:
        return self.reward + GAMMA * self.next @ v

    def evaluate(self, policy: np.ndarray, alpha: float) -> np.ndarray:
        """Q of a joint policy; its (soft) value solves a linear system (eq. 20 and 21)."""
        log_policy = np.log(policy, out=np.zeros_like(policy), where=policy > 0)
        paid = (policy * (self.reward - alpha * log_policy)).sum(axis=self.agents)
        move = (policy[..., None] * self.next).sum(axis=self.agents)
        return self.q(np.linalg.solve(np.eye(self.S) - GAMMA * move, paid))

    def optimum(self, alpha: float) -> np.ndarray:
        """Soft value iteration over joint actions."""
        v = np.zeros(self.S)
        for _ in range(2000):
            v = alpha * logsumexp(self.q(v) / alpha, axis=self.agents)
        return self.q(v)

    def random_policy(self, seed: int) -> np.ndarray:
        random = np.random.default_rng(seed)
        return random.dirichlet(np.ones(self.A**self.N), self.S).reshape(self.S, *(self.A,) * self.N)


GAMES = [(2, 2, 1), (2, 3, 1), (3, 2, 1), (2, 3, 3), (3, 2, 3), (3, 3, 2)]


@pytest.fixture(params=list(itertools.product(GAMES, range(3))), ids=str)
def game(request):
    return Game(*request.param[0], seed=request.param[1])


def factorised(q_joint: np.ndarray, alpha: float, alphas: np.ndarray):
    """Individual Q_i(s, a_<i, a_i) and V_i(s, a_<i), eq. 3, 4 and 6, from the last agent to the first.

    What is left of Q_jt once agents i+1, ..., N have been summed out is a function of (s, a_<=i); scaled by
    alpha_i / alpha it is Q_i. The logarithm that eq. 4 lacks in print is there: without it eq. 3 does not sum to one.
    """
    left, qs, vs = q_joint, [], []
    for alpha_i in alphas[::-1]:
        q_i = alpha_i / alpha * left
        v_i = alpha_i * logsumexp(q_i / alpha_i, axis=-1)
        qs.insert(0, q_i)
        vs.insert(0, v_i)
        left = alpha / alpha_i * v_i
    return qs, vs, left


def chain(game: Game, conditionals: list[np.ndarray]) -> np.ndarray:
    """pi_jt(a | s) as the product of pi_i(a_i | s, a_<i) (eq. 5)."""
    joint = np.ones((game.S, *(game.A,) * game.N))
    for i, conditional in enumerate(conditionals):
        joint = joint * conditional.reshape(*conditional.shape, *(1,) * (game.N - 1 - i))
    return joint


def improve(game: Game, q_joint: np.ndarray, alpha: float, alphas: np.ndarray) -> np.ndarray:
    """Individual conditional soft policy improvement (eq. 22): every agent takes its own Boltzmann policy."""
    qs, vs, _ = factorised(q_joint, alpha, alphas)
    return chain(game, [np.exp((q - v[..., None]) / a) for q, v, a in zip(qs, vs, alphas, strict=True)])


class TestTheorem1:
    ALPHA = 0.7

    def alphas(self, game):
        """Each agent has its own temperature."""
        return np.linspace(0.3, 1.5, game.N)

    def test_the_joint_value_factorises(self, game):
        """Eq. 6: Q_jt = sum_i alpha / alpha_i (Q_i - V_i) + V_jt, with V_jt = alpha log sum exp(Q_jt / alpha)."""
        q = game.evaluate(game.random_policy(1), self.ALPHA)
        qs, vs, v_joint = factorised(q, self.ALPHA, self.alphas(game))
        np.testing.assert_allclose(v_joint, self.ALPHA * logsumexp(q / self.ALPHA, axis=game.agents))
        total = np.zeros_like(q) + v_joint.reshape(game.S, *(1,) * game.N)
        for i, (q_i, v_i, a) in enumerate(zip(qs, vs, self.alphas(game), strict=True)):
            total = total + (self.ALPHA / a * (q_i - v_i[..., None])).reshape(*q_i.shape, *(1,) * (game.N - 1 - i))
        np.testing.assert_allclose(total, q)

    def test_without_the_logarithm_equation_3_is_no_distribution(self, game):
        """Eq. 4 as printed: V_i = alpha_i sum exp(Q_i / alpha_i)."""
        qs, _, _ = factorised(game.evaluate(game.random_policy(1), self.ALPHA), self.ALPHA, self.alphas(game))
        for q_i, a in zip(qs, self.alphas(game), strict=True):
            printed = a * np.exp(q_i / a).sum(axis=-1, keepdims=True)
            assert np.abs(np.exp((q_i - printed) / a).sum(axis=-1) - 1).max() > 0.1

    def test_the_boltzmann_conditionals_minimise_each_agents_divergence(self, game):
        """No conditional of any agent is better at E[alpha_i log pi_i - Q_i] (eq. 18 and 22), whatever a_<i."""
        qs, vs, _ = factorised(game.evaluate(game.random_policy(1), self.ALPHA), self.ALPHA, self.alphas(game))
        random = np.random.default_rng(0)
        for q_i, v_i, a in zip(qs, vs, self.alphas(game), strict=True):
            best = np.exp((q_i - v_i[..., None]) / a)
            objective = (best * (a * np.log(best) - q_i)).sum(axis=-1)
            np.testing.assert_allclose(objective, -v_i)
            for _ in range(10):
                other = random.dirichlet(np.ones(game.A), q_i.shape[:-1])
                assert ((other * (a * np.log(other) - q_i)).sum(axis=-1) >= objective - 1e-12).all()

    def test_policy_iteration_improves_monotonically_and_converges_to_the_joint_optimum(self, game):
        optimum = game.optimum(self.ALPHA)
        policy = game.random_policy(2)
        values = [game.evaluate(policy, self.ALPHA)]
        assert np.abs(values[0] - optimum).max() > 0.05
        for _ in range(40):
            policy = improve(game, values[-1], self.ALPHA, self.alphas(game))
            np.testing.assert_allclose(policy.sum(axis=game.agents), 1.0)
            values.append(game.evaluate(policy, self.ALPHA))
            assert (values[-1] >= values[-2] - 1e-9).all()
        np.testing.assert_allclose(values[-1], optimum, atol=1e-8)
        v = self.ALPHA * logsumexp(optimum / self.ALPHA, axis=game.agents, keepdims=True)
        np.testing.assert_allclose(policy, np.exp((optimum - v) / self.ALPHA), atol=1e-8)


def product(marginals: np.ndarray) -> np.ndarray:
    """The independent joint policy of one state from each agent's policy [N, A]."""
    joint = np.ones(())
    for marginal in marginals:
        joint = np.multiply.outer(joint, marginal)
    return joint


def indicator(game: Game, joint_action: tuple[int, ...]) -> np.ndarray:
    return np.eye(game.A)[list(joint_action)]


def between(high: np.ndarray, low: np.ndarray, q: np.ndarray, value: float) -> np.ndarray:
    """The independent policy of the given value on the way from the best joint action to the worst (bisection)."""
    near, far = 0.0, 1.0
    for _ in range(100):
        middle = (near + far) / 2
        if (product((1 - middle) * high + middle * low) * q).sum() >= value:
            near = middle
        else:
            far = middle
    return (1 - near) * high + near * low


class TestTheorem2:
    """Values here are returns without entropy, as in appendix B."""

    @pytest.fixture
    def dependent(self, game):
        return game.random_policy(3)

    @pytest.fixture
    def q(self, game, dependent):
        return game.evaluate(dependent, alpha=0.0)

    def extreme(self, game, q, which):
        return [np.unravel_index(getattr(q[s], which)(), q[s].shape) for s in range(game.S)]

    def test_the_value_lies_between_the_worst_and_the_best_joint_action(self, game, dependent, q):
        """The proof names the maximum A and the minimum B and prints A <= V <= B; it holds the other way round."""
        value = (dependent * q).sum(axis=game.agents)
        a, b = q.max(axis=game.agents), q.min(axis=game.agents)
        assert (b <= value).all()
        assert (value <= a).all()
        assert not (a <= value).any()
        assert not (value <= b).any()

    def test_an_independent_policy_of_equal_value_exists(self, game, dependent, q):
        v = (dependent * q).sum(axis=game.agents)
        best, worst = self.extreme(game, q, "argmax"), self.extreme(game, q, "argmin")
        independent = np.stack(
            [product(between(indicator(game, best[s]), indicator(game, worst[s]), q[s], v[s])) for s in range(game.S)]
        )
        ours = (independent * game.evaluate(independent, alpha=0.0)).sum(axis=game.agents)
        np.testing.assert_allclose(ours, v, atol=1e-9)

    def test_the_greedy_independent_policy_attains_the_maximum_and_is_no_worse_anywhere(self, game, dependent, q):
        greedy = np.stack([product(indicator(game, a)) for a in self.extreme(game, q, "argmax")])
        np.testing.assert_allclose((greedy * q).sum(axis=game.agents), q.max(axis=game.agents))
        assert (game.evaluate(greedy, alpha=0.0) >= q - 1e-9).all()


def two_modes(c: float, m: float) -> np.ndarray:
    """The payoff P(c, m): 8 at (A, A) and (D, D), c on the block of B and C, -m elsewhere."""
    payoff = np.full((4, 4), -m)
    payoff[1:3, 1:3] = c
    payoff[0, 0] = payoff[3, 3] = 8.0
    return payoff


class TestIndependentPoliciesCannotHoldTwoModes:
    """The counterpart of Theorem 1 for FOP: products of local policies (eq. 1) on P(0, 12), alpha = 1/2."""

    ALPHA, PAYOFF = 0.5, two_modes(0.0, 12.0)

    @property
    def optimum(self):
        weights = np.exp(self.PAYOFF / self.ALPHA)
        return weights / weights.sum()

    def soft_value(self, joint):
        log_joint = np.log(joint, out=np.zeros_like(joint), where=joint > 0)
        return (joint * (self.PAYOFF - self.ALPHA * log_joint)).sum()

    def best_products(self):
        """Alternating soft best responses, each of which can only improve the soft value, from many starts."""
        random = np.random.default_rng(0)
        for _ in range(40):
            first, second = random.dirichlet(np.ones(4) / 2), random.dirichlet(np.ones(4) / 2)
            for _ in range(300):
                first = np.exp(self.PAYOFF @ second / self.ALPHA)
                first /= first.sum()
                second = np.exp(first @ self.PAYOFF / self.ALPHA)
                second /= second.sum()
            yield np.outer(first, second)

    def test_the_optimum_plays_both_modes_equally(self):
        assert self.optimum[0, 0] == pytest.approx(0.5, abs=1e-5)
        assert self.optimum[3, 3] == pytest.approx(0.5, abs=1e-5)

    def test_every_best_product_gives_up_a_mode_or_both(self):
        found = list(self.best_products())
        optimal = self.soft_value(self.optimum)
        assert optimal == pytest.approx(8 + self.ALPHA * np.log(2), abs=1e-4)
        for joint in found:
            assert min(joint[0, 0], joint[3, 3]) < 1e-6
            assert self.soft_value(joint) < optimal - 0.9 * self.ALPHA * np.log(2)
        assert max(self.soft_value(joint) for joint in found) == pytest.approx(8.0, abs=1e-3)

    def test_a_product_that_plays_both_modes_pays_for_the_mismatches(self):
        """Marginals of the optimum: half of the joint actions are mismatches, (8 - 12) / 2 = -2 on average."""
        independent = np.outer(self.optimum.sum(axis=1), self.optimum.sum(axis=0))
        assert (independent * self.PAYOFF).sum() == pytest.approx(-2.0, abs=1e-3)

    def test_a_dependent_policy_holds_both_modes(self):
        first = self.optimum.sum(axis=1)
        second = self.optimum / first[:, None]
        np.testing.assert_allclose(first[:, None] * second, self.optimum)
        assert (second.argmax(axis=1)[[0, 3]] == [0, 3]).all()


def additive_fit(weights: np.ndarray, payoff: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted least squares of payoff[a1, a2] by Q1(a1) + Q2(a2): what eq. 17 with a linear mixer converges to."""
    A = len(payoff)
    pairs = list(itertools.product(range(A), repeat=2))
    design = np.array([np.concatenate([np.eye(A)[i], np.eye(A)[j]]) for i, j in pairs])
    scale = np.sqrt([weights[pair] for pair in pairs])
    fit, *_ = np.linalg.lstsq(design * scale[:, None], np.array([payoff[pair] for pair in pairs]) * scale, rcond=None)
    return fit[:A], fit[A:]


class TestAdditiveCritic:
    """What the independent critic sees of data from a dependent policy with two modes.

    Agent 1 plays A with probability p and D with q = 1 - p. Agent 2 follows it with odds 1 : kappa, in both rows:
    P(a2 = a1 | a1) = 1 / (1 + kappa), P(a2 != a1 | a1) = kappa / (1 + kappa). kappa = 0 is perfect following (a
    match always), kappa = 1 is independence (agent 2 tosses a coin). A match pays h, a mismatch -m.
    """

    @pytest.mark.parametrize("seed", range(50))
    def test_closed_form_of_the_fit(self, seed):
        random = np.random.default_rng(seed)
        p, kappa, h, m = random.uniform(0.05, 0.95), random.uniform(0.01, 0.99), *random.uniform(0.1, 12, 2)
        q = 1 - p
        weights = np.array([[p, p * kappa], [q * kappa, q]]) / (1 + kappa)
        assert weights.sum() == pytest.approx(1.0)
        q1, q2 = additive_fit(weights, np.array([[h, -m], [-m, h]]))
        follower = (h + m) * (p - q)
        assert q2[0] - q2[1] == pytest.approx(follower)
        assert q1[0] - q1[1] == pytest.approx(-follower * (1 - kappa) / (1 + kappa))
        # Opposite signs: the follower is credited with the more frequent mode, the leader is debited for it.
        assert q1.argmax() != q2.argmax()

    @staticmethod
    def dependent(p, match, visits):
        """pi_dep on P(0, 12): agent 2 matches with probability `match`, else is uniform over the rest of its support.

        `visits` is the probability that agent 1 plays B or C; at 0 agent 2 does not play them either.
        """
        support, answers = (range(4) if visits else (0, 3)), {0: (0,), 1: (1, 2), 2: (1, 2), 3: (3,)}
        weights = np.zeros((4, 4))
        for a, share in enumerate((p * (1 - visits), visits / 2, visits / 2, (1 - p) * (1 - visits))):
            for b in support if share else ():
                same = b in answers[a]
                others = len(support) - len(answers[a])
                weights[a, b] = share * (match / len(answers[a]) if same else (1 - match) / others)
        return weights

    def greedy_payoff(self, weights, u):
        """Payoff of the greedy independent pair when a share u of the data is uniform."""
        payoff = two_modes(0.0, 12.0)
        q1, q2 = additive_fit((1 - u) * weights + u / 16, payoff)
        return payoff[q1.argmax(), q2.argmax()]

    @pytest.mark.parametrize("p", [0.55, 0.6, 0.7, 0.9])
    @pytest.mark.parametrize("visits", [0.0, 0.02, 0.1, 0.2])
    def test_a_broad_share_of_data_decides_whether_the_greedy_pair_matches(self, p, visits):
        """On P(0, 12) with 99% matches: a mismatch on the policy's own data, an optimum once half is uniform."""
        sharp = self.dependent(p, match=0.99, visits=visits)
        assert sharp.sum() == pytest.approx(1.0)
        assert self.greedy_payoff(sharp, u=1e-4) == -12.0
        for u in (0.5, 0.6, 0.7, 0.8):
            assert self.greedy_payoff(sharp, u) == 8.0
        # All uniform: the additive fit sees row means only and prefers the safe block (-6 against -7).
        assert self.greedy_payoff(sharp, u=0.9999) == 0.0

    @pytest.mark.parametrize("visits", [0.0, 0.1])
    def test_the_share_that_is_needed_is_lower_where_more_is_visited_and_higher_where_matches_are_rarer(self, visits):
        def threshold(match, visits):
            shares = np.arange(0.01, 0.9, 0.01)
            return next(u for u in shares if self.greedy_payoff(self.dependent(0.6, match, visits), u) == 8.0)

        assert 0.1 < threshold(0.99, visits) < 0.5
        assert threshold(0.99, 0.1) < threshold(0.99, 0.0)
        assert threshold(0.8, visits) > threshold(0.99, visits)
        assert threshold(0.8, 0.0) > 0.5
