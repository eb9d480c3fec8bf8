"""Environments of one's own: `macpf check env=...` finds each broken promise, and a run names what it cannot play."""

import json
from dataclasses import replace

import numpy as np
import pytest

from macpf.envs.base import Env, EnvSpec, Step
from macpf.envs.fault import EnvironmentFault
from macpf.learning.schedules import Clock
from macpf.runs import environment_check
from macpf.runs.build import build
from macpf.runs.check import main
from macpf.runs.errors import ConfigError
from macpf.runs.job import run

CHECKS = ["steps", "record", "determinism", "batch", "resume", "picture"]
SIZES = {"n_agents": 2, "n_actions": 3, "obs_dim": 4, "state_dim": 5, "episode_limit": 6, "score": "return"}


class Dice(Env):
    """B games that show dice and pay for low actions; those with an even index end two steps earlier.

    Args:
        fault: what it does wrong; a method below, or nothing.
    """

    def __init__(self, batch_size, seed, fault="", sizes=None):
        self.batch_size, self.fault, self.seed = batch_size, fault, seed
        self.spec = EnvSpec(**SIZES | dict(sizes or {}))
        seeds = {"one_stream": [seed] * batch_size, "seedless": range(batch_size)}.get(fault)
        seeds = seeds or [np.random.SeedSequence(seed, spawn_key=(b,)) for b in range(batch_size)]
        self.streams = [np.random.default_rng(seed) for seed in seeds]
        self.played = 0
        self.buffer = np.zeros((batch_size, 2, 4), dtype=np.float32)

    def reset(self):
        self.played = 0
        return self.shown(np.zeros(self.batch_size, dtype=np.float32))

    def step(self, actions):
        self.played += 1
        paid = (actions == 0).mean(axis=1).astype(np.float32)
        return self.shown(np.where(self.over(self.played - 1), np.float32(self.fault == "pays"), paid))

    def over(self, played):
        return played >= 6 - 2 * (np.arange(self.batch_size) % 2 == 0)

    def shown(self, reward):
        B = self.batch_size
        faces = np.stack([stream.random((2, 4), dtype=np.float32) for stream in self.streams])
        if self.fault == "global":
            faces += np.random.random()
        over = self.over(self.played)
        step = Step(
            obs=faces,
            state=np.full((B, 5), self.played, dtype=np.float32),
            available=np.ones((B, 2, 3), dtype=bool),
            reward=reward,
            terminated=over & (np.arange(B) % 2 == 0),
            truncated=over & (np.arange(B) % 2 == 1),
        )
        return getattr(self, self.fault, lambda step: step)(step)

    def double(self, step):
        return replace(step, obs=step.obs.astype(np.float64))

    def flat(self, step):
        return replace(step, obs=step.obs.reshape(self.batch_size, 8))

    def lists(self, step):
        return replace(step, state=step.state.tolist())

    def scalar_reward(self, step):
        return replace(step, reward=np.array(step.reward[0]))

    def complex_record(self, step):
        return replace(step, record={"faces": step.obs.astype(np.complex64)})

    @property
    def record_type(self):
        return np.dtype([("faces", np.float32, (2, 4))]) if self.fault == "complex_record" else super().record_type

    def numbers_for_flags(self, step):
        return replace(step, truncated=step.truncated.astype(np.float32))

    def pair(self, step):
        return step.obs, step.reward

    def helpless(self, step):
        available = step.available.copy()
        available[-1, 1] = self.played != 2
        return replace(step, available=available)

    def endless(self, step):
        return replace(step, terminated=np.zeros_like(step.terminated), truncated=np.zeros_like(step.truncated))

    def over_at_once(self, step):
        return replace(step, terminated=np.ones_like(step.terminated))

    def comes_back(self, step):
        return replace(step, terminated=step.terminated & (self.played == 4))

    def reused(self, step):
        self.buffer[:] = step.obs
        return replace(step, obs=self.buffer)

    def nan(self, step):
        return replace(step, reward=np.full_like(step.reward, np.nan)) if self.played == 3 else step

    def stored_otherwise(self, step):
        return replace(step, record={"faces": step.obs})

    def no_info(self, step):
        return replace(step, info=None)

    def too_much(self, step):
        return replace(step, reward=np.full(self.batch_size, 1e300)) if self.played == 3 else step

    def ends(self, step):
        raise SystemExit("bye")

    def score(self, returns, last):
        return returns.mean() if self.fault == "one_score" else returns

    def expand(self, record):
        obs, state, available = super().expand(record)
        return (obs.round(1) if self.fault == "rounded" else obs), state, available

    def visible(self, record):
        return super().visible(record) | (self.fault == "sees_itself")

    def draw(self, b):
        if self.fault == "grey":
            return np.zeros((8, 8), dtype=np.uint8)
        return super().draw(b)

    def state_dict(self):
        saved = {"streams": [stream.bit_generator.state for stream in self.streams]}
        if self.fault == "changed_by_saving":
            self.streams[0].random()
        return {"forgetful": {}, "objects": {"streams": self.streams}}.get(self.fault, saved)

    def load_state_dict(self, state):
        for stream, saved in zip(self.streams, state.get("streams", ()), strict=False):
            stream.bit_generator.state = saved


def configured(**make):
    cfg = environment_check.configured(["env=matrix_game", "algo=qmix", "budget=smoke"])
    cfg.env.make = {"_target_": f"{__name__}.{make.pop('made', 'Dice')}", **make}
    return cfg


def look(capsys, **make):
    code = environment_check.check(configured(**make))
    return code, {line.split()[1]: line for line in capsys.readouterr().out.splitlines()}


class Greedy(Dice):
    """It pays for its actions and then overwrites them."""

    def step(self, actions):
        step = super().step(actions)
        actions[:] = 2
        return step


def test_what_an_environment_does_to_the_actions_it_got_changes_no_episode():
    played = [build(configured(made=made)) for made in ("Dice", "Greedy")]
    rows = [parts.rollout.play(parts.placement.player, Clock()).rows for parts in played]
    assert rows[0].tobytes() == rows[1].tobytes()


def test_a_sound_environment_passes_every_check(capsys):
    code, lines = look(capsys)
    assert code == 0
    assert list(lines) == CHECKS
    assert all(line.startswith("ok") for line in lines.values())
    assert "12 episodes of 60 env steps: 2 agents, 3 actions" in lines["steps"]
    assert "mode=render does not draw this environment" in lines["picture"]


@pytest.mark.parametrize(
    ("fault", "where", "says"),
    [
        ("double", "steps", "Dice, reset: obs is [4, 2, 4] of float64; return [4, 2, 4] of float32"),
        ("flat", "steps", "obs is [4, 8] of float32; return [4, 2, 4] of float32"),
        ("lists", "steps", "state is list; return a numpy array [4, 5] of float32"),
        ("scalar_reward", "steps", "reward is [] of float32; return [4] of float32"),
        ("complex_record", "steps", "record faces is [4, 2, 4] of complex64; return [4, 2, 4] of float32"),
        ("numbers_for_flags", "steps", "truncated is [4] of float32; return [4] of bool"),
        ("pair", "steps", "it returned tuple; return a macpf.envs.base.Step"),
        ("helpless", "steps", "Dice, env step 2: agent 1 of game 3 has no available action"),
        ("endless", "steps", "Dice, env step 6: an episode goes on after its limit of 6"),
        ("over_at_once", "steps", "an episode is over before its first step"),
        ("comes_back", "steps", "at env step 5, game 0 goes on after its end; it waits for the next reset"),
        ("pays", "steps", "at env step 5, game 0 pays 1.0 after its end; pay 0"),
        ("reused", "steps", "obs of a step was changed later; return new arrays"),
        ("nan", "steps", "reward of game 0 has a number that is not finite, at env step 3"),
        ("stored_otherwise", "steps", "its record has faces; record_type says available, obs, state"),
        ("no_info", "steps", "Dice, reset: info is NoneType; return a dict"),
        ("too_much", "steps", "reward of game 0 has a number that is not finite, at env step 3"),
        ("ends", "steps", "it stopped: SystemExit: bye"),
        ("one_score", "steps", "for 4 games; return a finite number for each"),
        ("rounded", "record", "expand gives another obs than the step had"),
        ("sees_itself", "record", "visible says that an agent sees itself"),
        ("global", "determinism", "the same seed gives another game 0 episode 0 env step 0 obs"),
        ("seedless", "determinism", "another seed gives the same beginnings of episodes"),
        ("one_stream", "determinism", "all games begin alike; give each its own stream"),
        ("forgetful", "resume", "after load_state_dict, game 0 episode 1 env step 0 obs is another"),
        ("objects", "resume", "state_dict has to hold numbers, strings, tensors and containers of them only"),
        ("changed_by_saving", "resume", "after a call of state_dict, game 0 episode 1 env step 0 obs is another"),
        ("grey", "picture", "draw returns [8, 8] of uint8; return [height, width, 3] of uint8"),
    ],
)
def test_each_broken_promise_is_found(fault, where, says, capsys):
    code, lines = look(capsys, fault=fault)
    assert code == 1
    assert lines[where].startswith("FAILED")
    assert says in lines[where]


@pytest.mark.parametrize(("env", "named"), [("multigoal", "episode 1 env step 0 obs"), ("mpe", "")])
def test_our_own_environments_keep_their_promises(env, named, capsys):
    assert main([f"env={env}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("ok") for line in lines)
    assert (f"{named} is another, so results depend on env.parallel" in "\n".join(lines)) == bool(named)


def no_environment(batch_size, seed):
    return "a text"


class Sizeless(Dice):
    def __init__(self, batch_size, seed):
        self.batch_size = batch_size


class Single(Dice):
    def __init__(self, batch_size, seed):
        super().__init__(1, seed)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        ({"made": "no_environment"}, "str is no environment; derive it from macpf.envs.base.Env"),
        ({"made": "Sizeless"}, "Sizeless has no sizes; set self.spec = EnvSpec(...) in its __init__"),
        ({"made": "Single"}, "Single was given batch_size=8 and has 1; set self.batch_size = batch_size"),
        ({"sizes": {"n_actions": 0}}, "spec.n_actions=0 is too small; give a whole number of at least 1"),
        ({"sizes": {"episode_limit": 2.5}}, "spec.episode_limit=2.5 cannot be used; give a whole number"),
        ({"sizes": {"score": None}}, "spec.score=None is no name of a score; give one without a slash"),
        ({"sizes": {"score": "episode_length"}}, "spec.score='episode_length' is logged beside the score"),
        ({"sizes": {"score": "win/rate"}}, "spec.score='win/rate' is no name of a score"),
        ({"sizes": {"agent_feature_dim": -1}}, "spec.agent_feature_dim=-1 is too small"),
        ({"sizes": {"agent_feature_dim": 3}}, "spec.agent_feature_dim=3 of 2 agents is more than a state of"),
    ],
)
def test_what_is_no_environment_is_refused_before_a_run(make, says):
    cfg = configured(**make)
    cfg.env.parallel = 8
    with pytest.raises(ConfigError) as error:
        build(cfg)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("fault", "says"), [("double", "of float64; return"), ("endless", "goes on after its limit")])
def test_a_run_names_what_its_environment_returned_and_fails(fault, says, tmp_path):
    cfg = configured(fault=fault)
    cfg.outputs = str(tmp_path)
    with pytest.raises(EnvironmentFault, match=says):
        run(cfg)
    (state,) = tmp_path.rglob("status.json")
    assert json.loads(state.read_text())["state"] == "failed"


def test_what_cannot_be_checked_is_refused_in_one_line(capsys):
    for arguments, says in ((["env=nope"], "env=nope is not known"), (["env=mpe", "map=3m"], "map=3m belongs to")):
        with pytest.raises(SystemExit) as end:
            main(arguments)
        (line,) = capsys.readouterr().err.splitlines()
        assert end.value.code == 2
        assert says in line
