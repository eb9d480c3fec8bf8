"""A rollout returns what was seen, done and paid, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from macpf.experience.replay import Replay
from macpf.experience.rollout import Rollout
from macpf.learning.schedules import Clock

LENGTHS, CUT = [3, 1, 5, 4], [False, True, True, False]


@pytest.fixture
def env(scripted_env):
    return scripted_env(LENGTHS, CUT)


@pytest.fixture
def played(env, team):
    return Rollout(env, bootstrap_at_limit=True, device="cpu").play(team, Clock())


def test_each_step_is_stored_as_it_happened(env, team, played):
    batch = played.batch
    for b, length in enumerate(LENGTHS):
        for t in range(length):
            obs, state, available = env.shown(b, t)
            actions = team.calls[t].actions[b]
            np.testing.assert_array_equal(batch.obs[b, t], obs)
            np.testing.assert_array_equal(batch.state[b, t], state)
            np.testing.assert_array_equal(batch.available[b, t], available)
            assert batch.actions[b, t].tolist() == actions.tolist()
            assert batch.reward[b, t].item() == env.paid(b, t, actions.numpy())


def test_the_observation_after_the_last_step_is_kept(env, played):
    for b, length in enumerate(LENGTHS):
        obs, state, available = env.shown(b, length)
        np.testing.assert_array_equal(played.batch.obs[b, length], obs)
        np.testing.assert_array_equal(played.batch.state[b, length], state)
        np.testing.assert_array_equal(played.batch.available[b, length], available)


def test_shapes_and_types(played):
    shapes = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in played.batch.tensors()}
    assert shapes == {
        "obs": ((4, 6, 2, 2), torch.float32),
        "state": ((4, 6, 4), torch.float32),
        "available": ((4, 6, 2, 3), torch.bool),
        "actions": ((4, 5, 2), torch.int64),
        "reward": ((4, 5), torch.float32),
        "terminated": ((4, 5), torch.float32),
        "filled": ((4, 5), torch.float32),
    }


def test_filled_marks_the_steps_that_were_played(played):
    expected = [[float(t < length) for t in range(5)] for length in LENGTHS]
    assert played.batch.filled.tolist() == expected


def test_no_reward_and_no_ending_in_the_padding(played):
    padding = played.batch.filled == 0
    assert padding.any()
    assert (played.batch.reward[padding] == 0).all()
    assert (played.batch.terminated[padding] == 0).all()


def test_actions_in_the_padding_are_zero(played):
    """`EpisodeBatch` says that it is padded with zeros."""
    padding = played.batch.filled == 0
    assert (played.batch.actions[padding] == 0).all()


@pytest.mark.parametrize("bootstrap", [True, False])
def test_a_time_limit_counts_as_an_ending_unless_learners_may_look_past_it(env, team, bootstrap):
    batch = Rollout(env, bootstrap_at_limit=bootstrap, device="cpu").play(team, Clock()).batch
    expected = torch.zeros(4, 5)
    for b, length in enumerate(LENGTHS):
        expected[b, length - 1] = 0.0 if CUT[b] and bootstrap else 1.0
    assert torch.equal(batch.terminated, expected)


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
    first, second = rollout.play(team, Clock()).batch, rollout.play(team, Clock()).batch
    assert torch.equal(first.obs, second.obs)
    assert torch.equal(first.filled, second.filled)


def test_episodes_are_recorded_without_padding(env, played):
    assert [len(episode) for episode in played.episodes] == [length + 1 for length in LENGTHS]
    for b, episode in enumerate(played.episodes):
        np.testing.assert_array_equal(episode["state"], [env.shown(b, t)[1] for t in range(LENGTHS[b] + 1)])
        np.testing.assert_array_equal(episode["reward"][:-1], played.batch.reward[b, : LENGTHS[b]])
        assert episode["reward"][-1] == 0


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
    for (name, one), (_, other) in zip(short.batch.tensors(), whole.batch.tensors(), strict=True):
        assert torch.equal(one, other), name
    for one, other in zip(short.episodes, whole.episodes, strict=True):
        replay = Replay(1, 0, Short(LENGTHS, CUT).expand)
        replay.add([one])
        np.testing.assert_array_equal(replay.sample(1).obs[0], other["obs"])
