"""Greedy evaluation with the same number of episodes from every parallel environment."""

from __future__ import annotations

import numpy as np

from macpf import names
from macpf.experience.rollout import Rollout
from macpf.learning.algorithm import Algorithm
from macpf.learning.schedules import Clock

#: Joint policies are logged up to this many joint actions.
LARGEST_JOINT_SPACE = 64


class Evaluator:
    """Plays `episodes` greedy episodes with each of an algorithm's policies.

    Episodes are played in rounds of one for each environment, so short ones are not counted more often than long
    ones. The environments and their random stream are the evaluator's own, and greedy actions draw no random number:
    training goes on as if no evaluation had been.

    Raises:
        ValueError: if the episodes cannot be dealt out evenly.
    """

    def __init__(self, rollout: Rollout, episodes: int) -> None:
        parallel = rollout.env.batch_size
        if episodes % parallel:
            raise ValueError(
                f"budget.eval_episodes={episodes} is not a multiple of env.eval_parallel={parallel}, "
                f"so environments would play unequal shares; use e.g. budget.eval_episodes={parallel}"
            )
        self.rollout, self.rounds = rollout, episodes // parallel

    def __call__(self, algorithm: Algorithm) -> dict[str, float]:
        """Mean score and episode length of every policy, and joint policies where they are small enough."""
        spec = self.rollout.env.spec
        results = {}
        for policy in algorithm.policies:
            rounds = [self.rollout.play(algorithm, policy=policy) for _ in range(self.rounds)]
            results[names.score(policy, spec.score)] = float(np.mean([r.scores for r in rounds]))
            results[names.score(policy, "episode_length")] = float(np.mean([r.lengths for r in rounds]))
        if spec.n_actions**spec.n_agents <= LARGEST_JOINT_SPACE:
            observation = self.rollout.observe(self.rollout.env.reset())
            for policy, joint in algorithm.joint_policies(observation).items():
                results |= {names.joint(policy, actions): float(p) for actions, p in np.ndenumerate(joint[0].cpu())}
        return results

    def sample(self, algorithm: Algorithm, clock: Clock) -> dict[str, float]:
        """What the environment tracks, in one episode of the behaviour policy in each environment; often nothing.

        Training's random stream is lent and put back.
        """
        tracked = self.rollout.env.tracked
        if not tracked:
            return {}
        before = algorithm.generator.get_state()
        played = self.rollout.play(algorithm, clock)
        algorithm.generator.set_state(before)
        return {
            names.sampled(number, t, what): float(row[what])
            for number, episode in enumerate(played.episodes)
            for t, row in enumerate(episode)
            for what in tracked
        }
