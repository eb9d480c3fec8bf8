"""The adapter to the real game, against a stand-in: endings, lost games, signals, no process left behind."""

import logging
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from macpf.envs.smac import starcraft
from macpf.envs.smac.starcraft import StarCraft

HERE = Path(__file__).parent
STAND_IN = "game_stand_in:Skirmish"
MOVE, STOP, ATTACK = 2, 1, 6


@pytest.fixture
def play(monkeypatch):
    """Make environments that are closed with the test."""
    monkeypatch.syspath_prepend(str(HERE))
    made = []

    def make(
        batch_size=1, map_name="3m", seed=0, game=STAND_IN, hang_seconds=20, max_restarts=3, zero=False, **options
    ):
        env = StarCraft(map_name, batch_size, seed, options, zero, hang_seconds, 30, max_restarts, game)
        made.append(env)
        return env

    yield make
    for env in made:
        env.close()


def everyone(*actions):
    return np.repeat(np.array(actions)[:, None], 3, axis=1)


def gone(pid):
    """Whether a process ends within ten seconds."""
    for _ in range(200):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def noted(log, event):
    return [line.split()[1:] for line in log.read_text().splitlines() if line.startswith(event)]


def test_sizes_come_from_the_game(play):
    spec = play().spec
    assert (spec.n_agents, spec.n_actions, spec.obs_dim, spec.state_dim, spec.episode_limit) == (3, 9, 30, 48, 5)
    assert (spec.score, spec.agent_feature_dim) == ("win_rate", 4)


def test_a_win_a_loss_and_the_time_limit_are_told_apart(play):
    env = play(batch_size=3)
    first = env.reset()
    assert first.obs.shape == (3, 3, 30)
    assert first.obs.dtype == first.state.dtype == first.reward.dtype == np.float32
    assert not first.available[:, :, 0].any()
    step = env.step(everyone(ATTACK, STOP, MOVE))
    assert step.reward.tolist() == [3, 0, 0]
    assert step.terminated.tolist() == [False, True, False]
    step = env.step(everyone(ATTACK, ATTACK, MOVE))
    assert step.terminated.tolist() == [True, True, False]
    assert step.reward.tolist() == [6, 0, 0]
    assert not step.obs[1].any(), "finished games show padding"
    assert step.available[1].all()
    for _ in range(3):
        step = env.step(everyone(0, 0, MOVE))
    assert step.terminated.tolist() == [True, True, False]
    assert step.truncated.tolist() == [False, False, True]
    assert step.info["battle_won"].tolist() == [True, False, False]
    assert step.info["dead_allies"].tolist() == [0, 3, 0]
    assert step.info["dead_enemies"].tolist() == [3, 0, 0]
    assert step.info["game_restarts"].tolist() == [0, 0, 0]
    assert env.score(np.array([9.0, 0, 0]), step).tolist() == [1, 0, 0]
    again = env.reset()
    assert not (again.terminated | again.truncated | again.info["battle_won"]).any()


def test_who_sees_whom_is_recorded(play):
    env = play(batch_size=2)
    step = env.reset()
    chain = np.eye(3, k=1, dtype=bool)
    assert env.record_type["visible"].shape == (3, 3)
    np.testing.assert_array_equal(env.visible(step.recorded), [chain, chain])
    step = env.step(everyone(MOVE, MOVE))
    chain[0] = False
    np.testing.assert_array_equal(env.visible(step.recorded), [chain, chain])
    obs, state, available = env.expand(step.recorded)
    assert obs is step.obs
    assert state is step.state
    assert available is step.available


def test_a_later_win_is_not_taken_for_a_timeout(play):
    env = play()
    env.reset()
    for _ in range(5):
        step = env.step(everyone(MOVE))
    assert step.truncated.all()
    env.reset()
    for _ in range(2):
        step = env.step(everyone(ATTACK))
    assert step.terminated.all()
    assert not step.truncated.any()


def test_an_action_that_is_not_available_is_refused(play):
    env = play()
    env.reset()
    with pytest.raises(ValueError, match="game 0: agent 0 chose action 0, which is not available"):
        env.step(everyone(0))


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("die", "its process ended with code 3: Segmentation fault in the game"),
        ("raise", "ConnectionError: websocket closed"),
        ("empty", "the game crashed within a step"),
        ("hang", "no answer within 1 s"),
    ],
)
def test_a_lost_game_ends_its_episode_and_is_replaced(play, tmp_path, caplog, fault, reason):
    log, once = tmp_path / "log", tmp_path / "once"
    env = play(batch_size=2, fault=fault, once=str(once), hang_seconds=1 if fault == "hang" else 20, log=str(log))
    env.reset()
    before = env.step(everyone(ATTACK, MOVE))
    with caplog.at_level(logging.WARNING):
        step = env.step(everyone(MOVE, MOVE))  # one of the two is lost, whichever comes first
    lost = step.truncated
    assert lost.sum() == 1
    assert not step.terminated.any()
    assert not step.info["battle_won"].any()
    assert step.info["game_restarts"].tolist() == lost.tolist()
    np.testing.assert_array_equal(step.obs[lost], before.obs[lost])
    np.testing.assert_array_equal(step.state[lost], before.state[lost])
    assert not step.reward[lost].any()
    assert env.restarts == 1
    assert f"{reason}; restart 1 of at most 3" in caplog.text
    assert env.reset().info["game_restarts"].tolist() == [0, 0]
    for _ in range(2):
        step = env.step(everyone(ATTACK, ATTACK))
    assert step.info["battle_won"].all(), "the new games play on"
    seeds = [seed for _, _, seed in noted(log, "made")]
    assert len(seeds) == 3
    assert len(set(seeds)) == len(seeds), "a new game has a new seed"


def test_too_many_lost_games_end_the_run(play):
    env = play(fault="die", at=1, max_restarts=2)
    for _ in range(2):
        env.reset()
        assert env.step(everyone(MOVE)).truncated.all()
    env.reset()
    with pytest.raises(RuntimeError, match=r"lost 3 times on 3m, more often than max_restarts=2; the last time: its"):
        env.step(everyone(MOVE))
    assert env.restarts == 3


def test_restarts_that_smac_makes_itself_are_counted(play, caplog):
    env = play(selves=2)
    env.reset()
    with caplog.at_level(logging.WARNING):
        step = env.step(everyone(STOP))
    assert env.restarts == 2
    assert step.info["game_restarts"].tolist() == [2]
    assert caplog.text.count("restarted by SMAC itself") == 2


def test_workers_ignore_the_signals_that_stop_a_run(play, tmp_path):
    log = tmp_path / "log"
    env = play(batch_size=2, game="game_stand_in:WithProgram", log=str(log))
    env.reset()
    for (pid,) in [note[:1] for note in noted(log, "made")] + noted(log, "program"):
        for signum in (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT):
            os.kill(int(pid), signum)
    assert not env.step(everyone(MOVE, MOVE)).truncated.any()
    assert env.restarts == 0
    assert all(psutil.pid_exists(int(pid)) for (pid,) in noted(log, "program")), "nor does the game hear them"


def test_closing_ends_all_workers_after_they_closed_their_games(play, tmp_path):
    log = tmp_path / "log"
    env = play(batch_size=2, game="game_stand_in:WithProgram", log=str(log))
    env.reset()
    env.close()
    assert len(noted(log, "closed")) == 2
    assert all(gone(int(pid)) for pid, *_ in noted(log, "made") + noted(log, "program"))


@pytest.mark.parametrize("fault", ["hang", "die"])
def test_a_lost_game_takes_its_program_with_it(play, tmp_path, fault):
    log = tmp_path / "log"
    env = play(game="game_stand_in:WithProgram", log=str(log), fault=fault, hang_seconds=1)
    env.reset()
    env.step(everyone(MOVE))
    env.step(everyone(MOVE))
    ((pid,),) = noted(log, "program")
    assert gone(int(pid))


@pytest.mark.parametrize("fault", ["", "hang"])
def test_a_killed_run_leaves_no_process(tmp_path, fault):
    log = tmp_path / "log"
    code = f"""
import sys, time, numpy as np
sys.path.insert(0, {str(HERE)!r})
from macpf.envs.smac.starcraft import StarCraft
options = dict(fault={fault!r}, at=1, log={str(log)!r})
env = StarCraft("3m", 2, 0, options, game="game_stand_in:WithProgram")
env.reset()
print("playing", flush=True)
env.step(np.full((2, 3), {MOVE}))
time.sleep(600)
"""
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    assert run.stdout.readline() == "playing\n"
    time.sleep(0.5)
    run.kill()
    run.communicate()
    workers = [int(pid) for pid, *_ in noted(log, "made")]
    assert len(workers) == 2
    assert all(gone(pid) for pid in workers)
    assert all(gone(int(pid)) for (pid,) in noted(log, "program"))


@pytest.mark.parametrize(("zero", "size"), [(False, 20), (True, 30)])
def test_agents_of_the_myopic_maps_see_less(play, tmp_path, zero, size):
    log = tmp_path / "log"
    env = play(map_name="8m_vs_9m_myopic", zero=zero, log=str(log))
    assert env.spec.obs_dim == size
    obs = env.reset().obs[0, 2]
    assert obs[:4].tolist() == [1] * 4
    assert obs[4:19].tolist() == [6] * 15, "sight range 6"
    assert obs[19:-1].tolist() == [0] * (size - 20)
    assert obs[-1] == 6
    assert noted(log, "made")[0][1] == "8m_vs_9m"


def test_a_resumed_run_has_its_counters_and_fresh_battles(play, tmp_path, through_a_file):
    log = tmp_path / "log"
    env = play(batch_size=2, selves=1, log=str(log))
    env.reset()
    env.step(everyone(STOP, STOP))
    state = through_a_file(env.state_dict())
    other = play(batch_size=2, log=str(log))
    other.load_state_dict(state)
    assert (other.episodes, other.restarts) == (2, 2)
    other.reset()
    seeds = [seed for _, _, seed in noted(log, "made")]
    assert len(set(seeds[:2] + seeds[-2:])) == 4


def test_the_seed_of_a_run_grows_those_of_its_games(play, tmp_path):
    seeds = []
    for seed in (1, 1, 2):
        log = tmp_path / f"log{len(seeds)}"
        env = play(batch_size=2, seed=seed, log=str(log))
        env.reset()
        env.close()
        seeds.append(sorted(note[2] for note in noted(log, "made")))
    assert seeds[0] == seeds[1]
    assert not set(seeds[0]) & set(seeds[2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sight": 3}, "the real game cannot be set up: TypeError: unexpected keyword argument 'sight'"),
        ({"game": "no_such_game:Env"}, "the real game cannot be set up: ModuleNotFoundError: No module named"),
        ({"game_version": "4.6"}, "game_version is no option of the real game here: SC2PATH decides it; leave it out"),
        ({"map_name": "4m"}, "map.name=4m is no SMAC map"),
    ],
)
def test_what_cannot_be_set_up_is_refused_at_once(play, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        play(**options)


def test_without_the_game_one_line_says_what_to_type(monkeypatch):
    monkeypatch.setattr(starcraft, "why_not", lambda: "SC2PATH is not set; type: export SC2PATH=...")
    with pytest.raises(ValueError, match="cannot be played here: SC2PATH is not set; type: export SC2PATH"):
        StarCraft("3m", 1, 0)
