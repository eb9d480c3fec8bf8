"""Greedy evaluation with the same number of episodes from every parallel environment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from macpf import names
from macpf.experience.rollout import Played, Rollout
from macpf.learning.algorithm import Algorithm
from macpf.learning.schedules import Clock

#: Largest number of joint actions for which joint policies are logged.
LARGEST_JOINT_SPACE = 64
EPISODE_LENGTH = "episode_length"


class Evaluator:
    """Plays `episodes` greedy episodes with each of an algorithm's policies.

    Episodes are played in rounds of one per environment, so short episodes are not counted more often than long ones.
    The evaluator has its own environments and random stream, and greedy actions draw no random number. Evaluations
    therefore do not affect training.

    Raises:
        ValueError: the episodes cannot be divided evenly among the environments.
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
        """Mean score and episode length of every policy, and the mean of each number that the environment reports.

        Includes the joint policies if there are few enough joint actions.
        """
        spec = self.rollout.env.spec
        results = {}
        for policy in algorithm.policies:
            rounds = [self.rollout.play(algorithm, policy=policy) for _ in range(self.rounds)]
            results[names.score(policy, spec.score)] = float(np.mean([r.scores for r in rounds]))
            results[names.score(policy, EPISODE_LENGTH)] = float(np.mean([r.lengths for r in rounds]))
            results |= {names.score(policy, name): value for name, value in _told(rounds, spec.score).items()}
        if spec.n_actions**spec.n_agents <= LARGEST_JOINT_SPACE:
            observation = self.rollout.observe(self.rollout.env.reset())
            for policy, joint in algorithm.joint_policies(observation).items():
                results |= {names.joint(policy, actions): float(p) for actions, p in np.ndenumerate(joint[0].cpu())}
        return results

    def sample(self, algorithm: Algorithm, clock: Clock) -> dict[str, float]:
        """The tracked numbers (`Env.tracked`) of one episode of the behaviour policy per environment; often none.

        Uses the random stream of training and restores it.
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


def _told(rounds: Sequence[Played], score: str) -> dict[str, float]:
    """The mean of each number that the environment reported, over the episodes for which it did."""
    numbers: dict[str, list[np.ndarray]] = {}
    for played in rounds:
        for name, values in played.info.items():
            if name != score:
                numbers.setdefault(f"info_{name}" if name == EPISODE_LENGTH else name, []).append(values)
    joined = {name: np.concatenate(values) for name, values in numbers.items()}
    return {name: float(np.nanmean(values)) for name, values in joined.items() if not np.isnan(values).all()}
