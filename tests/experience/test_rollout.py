"""A rollout returns what was seen, done and paid, and nothing else."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from macpf.experience.replay import Replay
from macpf.experience.rollout import NotFinite, Rollout
from macpf.learning.schedules import Clock

LENGTHS, CUT = [3, 1, 5, 4], [False, True, True, False]


@pytest.fixture
def env(scripted_env):
    return scripted_env(LENGTHS, CUT)


@pytest.fixture
def played(env, team):
    return Rollout(env, bootstrap_at_limit=True, device="cpu").play(team, Clock())


def test_each_step_is_stored_as_it_happened(env, team, played):
    for b, (length, rows) in enumerate(zip(LENGTHS, played.episodes, strict=True)):
        assert len(rows) == length + 1
        for t in range(length):
            actions = team.calls[t].actions[b]
            assert rows["actions"][t].tolist() == actions.tolist()
            assert rows["reward"][t] == env.paid(b, t, actions.numpy())
        for t in range(length + 1):
            for name, shown in zip(("obs", "state", "available"), env.shown(b, t), strict=True):
                np.testing.assert_array_equal(rows[name][t], shown)


def test_nothing_is_stored_after_the_last_step(played):
    for rows in played.episodes:
        assert rows["reward"][-1] == 0
        assert not rows["actions"][-1].any()
        assert not rows["terminated"][-1]


@pytest.mark.parametrize("bootstrap", [True, False])
def test_a_time_limit_counts_as_an_ending_unless_learners_may_look_past_it(env, team, bootstrap):
    episodes = Rollout(env, bootstrap_at_limit=bootstrap, device="cpu").play(team, Clock()).episodes
    for rows, cut in zip(episodes, CUT, strict=True):
        assert rows["terminated"].tolist() == [False] * (len(rows) - 2) + [not (cut and bootstrap), False]


def test_scores_lengths_and_env_steps(env, team, played):
    assert played.lengths.tolist() == LENGTHS
    assert played.env_steps == sum(LENGTHS)
    for b, length in enumerate(LENGTHS):
        expected = sum(env.paid(b, t, team.calls[t].actions[b].numpy()) for t in range(length))
        assert played.scores[b] == pytest.approx(expected, rel=1e-6)


def test_the_environment_scores_its_last_step(scripted_env, team):
    class Scoring(scripted_env):
        def score(self, returns, last):
            return 1000.0 * last.truncated

    played = Rollout(Scoring(LENGTHS, CUT), bootstrap_at_limit=True, device="cpu").play(team, Clock())
    assert played.scores.tolist() == [0.0, 1000.0, 1000.0, 0.0]


def test_memory_passes_from_step_to_step_and_play_stops_with_the_longest_episode(team, played):
    assert len(team.calls) == max(LENGTHS)
    assert (team.calls[0].before == -1).all()
    for earlier, later in zip(team.calls, team.calls[1:], strict=False):
        assert torch.equal(later.before, earlier.actions)


def test_a_clock_means_exploring_and_no_clock_means_greedy(env, team):
    rollout, clock = Rollout(env, bootstrap_at_limit=False, device="cpu"), Clock(env_steps=3)
    rollout.play(team, clock)
    assert all(call.clock is clock for call in team.calls)
    team.calls.clear()
    rollout.play(team, policy="independent")
    assert all(call.clock is None and call.policy == "independent" for call in team.calls)


def test_playing_takes_no_gradient(team, played):
    assert not any(call.gradients for call in team.calls)


def test_a_second_play_starts_a_new_episode(env, team):
    rollout = Rollout(env, bootstrap_at_limit=False, device="cpu")
    first, second = rollout.play(team, Clock()), rollout.play(team, Clock())
    np.testing.assert_array_equal(first.rows["obs"], second.rows["obs"])
    assert first.lengths.tolist() == second.lengths.tolist()


def test_visibility_is_shown_to_those_who_ask(env, team):
    rollout = Rollout(env, bootstrap_at_limit=False, device="cpu")
    rollout.play(team, Clock())
    assert all(call.observation.visible is None for call in team.calls)
    team.calls.clear()
    team.reads_visibility = True
    rollout.play(team, Clock())
    assert all(call.observation.visible.tolist() == [[[False, True], [True, False]]] * 4 for call in team.calls)


def test_a_record_stands_for_what_is_shown_and_gives_it_back(scripted_env, team):
    """An environment that records its episode's number and time only is seen as the one that records everything."""

    class Short(scripted_env):
        record_type = np.dtype([("b", np.float32), ("t", np.float32)])

        def _show(self, reward):
            step, B = super()._show(reward), self.batch_size
            return replace(step, record={"b": np.arange(B) + 1.0, "t": np.full(B, self.t)})

        def expand(self, record):
            shape = record["b"].shape
            obs, state = np.zeros((*shape, 2, 2), np.float32), np.zeros((*shape, 4), np.float32)
            available = np.zeros((*shape, 2, 3), dtype=bool)
            for at in np.ndindex(shape):
                if record["b"][at]:
                    obs[at], state[at], available[at] = self.shown(int(record["b"][at]) - 1, int(record["t"][at]))
            return obs, state, available

    short = Rollout(Short(LENGTHS, CUT), bootstrap_at_limit=True, device="cpu").play(team, Clock())
    team.generator.manual_seed(0)
    whole = Rollout(scripted_env(LENGTHS, CUT), bootstrap_at_limit=True, device="cpu").play(team, Clock())
    assert short.rows.dtype.names == ("b", "t", "reward", "actions", "terminated")
    for one, other in zip(short.episodes, whole.episodes, strict=True):
        replay = Replay(1, 0, Short(LENGTHS, CUT))
        replay.add([one])
        batch = replay.sample(1)
        for name in ("obs", "state", "available", "reward", "actions", "terminated"):
            np.testing.assert_array_equal(getattr(batch, name), other[name][: len(batch.filled)])


def test_what_the_environment_says_of_an_episode_is_kept_from_its_last_step(scripted_env, team):
    class Telling(scripted_env):
        def _show(self, reward):
            shown = super()._show(reward)
            told = np.arange(self.batch_size) * 10 + self.t
            info = {"time": told, "won": told > 12, "name": np.array(["x"] * self.batch_size), "map": 7}
            return replace(shown, info=info)

    played = Rollout(Telling([3, 1, 5], [False, True, False]), False, "cpu").play(team)
    assert {name: values.tolist() for name, values in played.info.items()} == {"time": [3, 11, 25], "won": [0, 0, 1]}


def test_a_reward_that_is_too_large_to_be_stored_is_not_finite(scripted_env, team):
    class Rich(scripted_env):
        def _show(self, reward):
            return replace(super()._show(reward), reward=np.full(self.batch_size, 1e300))

    rollout = Rollout(Rich([3], [False]), False, "cpu")
    warnings.simplefilter("error")  # pytest puts the filters back
    with pytest.raises(NotFinite, match="reward is inf in environment 0 after 1 steps"):
        rollout.play(team)
