"""What a user's PettingZoo environment may do, and the line for what it may not."""

import json
import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces
from pettingzoo import ParallelEnv

from macpf.envs.contract import breach
from macpf.envs.fault import EnvironmentFault
from macpf.envs.pettingzoo import TRIED, PettingZoo

ROOT = Path(__file__).parents[2]


class Game(ParallelEnv):
    """Two agents who see three numbers for five steps; subclasses change one thing."""

    metadata = {"name": "game"}  # noqa: RUF012
    limit = 5
    space = spaces.Box(-1, 1, (3,), np.float32)

    def __init__(self):
        self.possible_agents = ["a", "b"]

    def observation_space(self, agent):
        return self.space

    def action_space(self, agent):
        return spaces.Discrete(3)

    def seen(self, agent):
        return np.full(3, self.t / 100, np.float32)

    def info(self, agent):
        return {}

    def reward(self, agent, action):
        return 1.0

    def reset(self, seed=None, options=None):
        self.t, self.agents = 0, list(self.possible_agents)
        return {n: self.seen(n) for n in self.agents}, {n: self.info(n) for n in self.agents}

    def step(self, actions):
        self.t += 1
        names, over = self.agents, self.t >= self.limit
        rewards = {n: self.reward(n, actions[n]) for n in names}
        self.agents = [] if over else names
        return (
            {n: self.seen(n) for n in names},
            rewards,
            dict.fromkeys(names, False),
            dict.fromkeys(names, over),
            {n: self.info(n) for n in names},
        )


def variant(base=Game, **changes):
    return type("Variant", (base,), changes)


@pytest.fixture
def adapter(monkeypatch):
    """Make the adapter of an environment's class, two copies."""

    def make(game, limit=25, **settings):
        module = types.ModuleType("own_games")
        module.parallel_env = game
        monkeypatch.setitem(sys.modules, "own_games", module)
        settings = {"reward": "sum", "state": "concat", "batch_size": 2} | settings
        return PettingZoo("own_games", {}, episode_limit=limit, seed=0, **settings)

    return make


def play(env, actions=1):
    """One episode of one fixed action; all its steps."""
    steps = [env.reset()]
    while not (steps[-1].terminated | steps[-1].truncated).all():
        steps.append(env.step(np.full((env.batch_size, len(env.names)), actions)))
    return steps


def masked(key):
    space = spaces.Dict({key: spaces.Box(-1, 1, (2,), np.float32), "action_mask": spaces.MultiBinary(3)})
    seen = {key: np.array([0.25, 0.5], np.float32), "action_mask": np.array([1, 1, 0], np.int8)}
    return {"space": space, "seen": lambda self, agent: seen}


@pytest.mark.parametrize("key", ["observation", "obs", "vector"])
def test_a_mask_may_lie_beside_an_observation_of_any_name(adapter, key):
    step = adapter(variant(**masked(key))).reset()
    assert step.obs[0].tolist() == [[0.25, 0.5]] * 2
    assert step.available[0].tolist() == [[True, True, False]] * 2


def test_beside_several_parts_a_mask_leaves_all_of_them(adapter):
    space = spaces.Dict(
        {"pos": spaces.Box(-1, 1, (2,)), "kind": spaces.Discrete(3), "action_mask": spaces.MultiBinary(3)}
    )
    seen = {"pos": np.array([0.25, 0.5]), "kind": 1, "action_mask": [0, 1, 1]}
    step = adapter(variant(space=space, seen=lambda self, agent: seen)).reset()
    assert sorted(step.obs[0, 0].tolist()) == [0, 0, 0.25, 0.5, 1]
    assert step.available[0, 0].tolist() == [False, True, True]


def test_a_mask_that_the_space_does_not_name_is_read_all_the_same(adapter):
    seen = {"observation": np.zeros(3), "action_mask": np.array([0, 0, 1])}
    step = adapter(variant(seen=lambda self, agent: seen)).reset()
    assert step.obs.shape == (2, 2, 3)
    assert step.available[0, 0].tolist() == [False, False, True]


FITS = {
    "dictionary without a mask": {
        "space": spaces.Dict({"pos": spaces.Box(-1, 1, (2,)), "kind": spaces.Discrete(3)}),
        "seen": lambda self, agent: {"pos": np.zeros(2, np.float32), "kind": 1},
    },
    "picture": {
        "space": spaces.Box(0, 255, (8, 8, 3), np.uint8),
        "seen": lambda self, agent: np.full((8, 8, 3), 200, np.uint8),
    },
    "float64": {"seen": lambda self, agent: np.full(3, 0.5)},
    "whole numbers": {"seen": lambda self, agent: np.array([1, 0, -1])},
    "a list": {"seen": lambda self, agent: [0.5, 0.0, 1.0]},
    "rounding": {"seen": lambda self, agent: np.full(3, 1 + 1e-6)},
    "numpy's Discrete": {"space": spaces.Discrete(3), "seen": lambda self, agent: np.int64(2)},
    "numpy reward": {"reward": lambda self, agent, action: np.int64(1)},
    "reward as an array": {"reward": lambda self, agent, action: np.array(1.0)},
}


@pytest.mark.parametrize("changes", FITS.values(), ids=FITS)
def test_what_fits_is_played_to_its_end(adapter, changes):
    steps = play(adapter(variant(**changes)))
    assert len(steps) == 6
    assert steps[-1].truncated.all()
    assert sum(step.reward for step in steps).tolist() == [10, 10]


def different(agent):
    return spaces.Box(-1, 1, (3 if agent == "a" else 5,))


def test_agents_may_see_different_things(adapter):
    changes = {
        "observation_space": lambda self, agent: different(agent),
        "seen": lambda self, agent: np.ones(different(agent).shape),
    }
    assert adapter(variant(**changes)).reset().obs[0].tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]


def late(value, otherwise):
    """`value` from step 3 on."""
    return lambda self, *of: value if self.t >= 3 else otherwise


ZEROS, HALF = np.zeros(3, np.int8), np.full(3, 0.5)
BREACHES = {
    "NaN reward": ({"reward": late(np.nan, 1.0)}, "a, step 3: its reward is nan; return a finite number"),
    "infinite reward": ({"reward": late(-np.inf, 1.0)}, "its reward is -inf"),
    "no number": ({"reward": late(None, 1.0)}, "its reward is None"),
    "NaN": ({"seen": late(np.array([0, np.nan, 0]), HALF)}, "a, step 3: its observation holds nan"),
    "infinity": ({"seen": late(np.full(3, np.inf), HALF)}, "its observation holds inf; change what it returns"),
    "shape": ({"seen": late(np.zeros(4), HALF)}, "its observation has the shape (4,), and its space (3,)"),
    "bounds": ({"seen": late(np.full(3, 7.5), HALF)}, "its observation holds 7.5, above the 1 of its space"),
    "type": ({"seen": late(np.array(["x"] * 3), HALF)}, "instead of numbers"),
    "missing part": (
        {
            "space": spaces.Dict({"x": spaces.Discrete(2), "y": spaces.Discrete(2)}),
            "seen": late({"x": 0}, {"x": 0, "y": 0}),
        },
        "its observation has ['x'], and its space ['x', 'y']",
    ),
    "not in Discrete": ({"space": spaces.Discrete(3), "seen": late(3, 2)}, "its observation 3 is not in Discrete(3)"),
    "half in Discrete": ({"space": spaces.Discrete(3), "seen": late(0.5, 2)}, "its observation 0.5 is not in"),
    "no action": (
        {"info": late({"action_mask": ZEROS}, {})},
        "a, step 3: its action_mask allows no action; allow one (doing nothing), or end its episode",
    ),
    "mask too long": ({"info": late({"action_mask": np.ones(4)}, {})}, "has the shape (4,); give 3 numbers, 1 or 0"),
    "mask of weights": ({"info": late({"action_mask": HALF}, {})}, "other values than 0 and 1"),
    "nobody": ({"reset": lambda self, seed=None, options=None: None}, "reset() returned something else than"),
    "crash": ({"reward": late(property(), 1.0), "seen": late(HALF, HALF), "limit": "x"}, "its step() failed with"),
}


@pytest.mark.parametrize(("changes", "line"), BREACHES.values(), ids=BREACHES)
def test_a_breach_is_found_when_the_environment_is_made(adapter, changes, line):
    with pytest.raises(ValueError, match=re.escape(line)) as caught:
        adapter(variant(**changes))
    assert str(caught.value).startswith("env.id=own_games, ")
    assert "\n" not in str(caught.value)


def test_rewards_and_masks_are_looked_at_for_ever(adapter):
    first = TRIED + 1
    for changes, line in (
        ({"reward": lambda self, agent, action: np.nan if self.t > 80 else 0.0}, "a, step 81: its reward is nan"),
        ({"info": lambda self, agent: {"action_mask": np.full(3, self.t < 80)}}, "a, step 80: its action_mask allows"),
    ):
        env = adapter(variant(limit=100, **changes), limit=100)
        with pytest.raises(EnvironmentFault, match=line):
            play(env)
        assert env.played >= first


def test_a_missing_observation_or_reward_names_its_agent(adapter):
    class Forgets(Game):
        def step(self, actions):
            parts = super().step(actions)
            if self.t == 2:
                del parts[self.forgotten]["b"]
            return parts

    for forgotten, line in (
        (0, "b, step 2: it is listed in agents but has no"),
        (1, "b, step 2: it has no"),
    ):
        with pytest.raises(ValueError, match=line):
            adapter(variant(Forgets, forgotten=forgotten))


class Lumpy(Game):
    """Ends by its flags, while its agents stay listed; `a` is terminated two steps before `b`."""

    def step(self, actions):
        assert set(actions) == set(self.agents)
        self.t += 1
        names = self.agents
        over = {"a": self.t >= 3, "b": self.t >= 5}
        return (
            {n: self.seen(n) for n in names},
            dict.fromkeys(names, 1.0),
            {n: over[n] and not self.cut for n in names},
            {n: over[n] and self.cut for n in names},
            {n: self.info(n) for n in names},
        )


@pytest.mark.parametrize("cut", [False, True])
def test_flags_are_obeyed_though_agents_stay_listed(adapter, cut):
    steps = play(adapter(variant(Lumpy, cut=cut)))
    assert len(steps) == 6
    assert [step.reward[0] for step in steps[1:]] == [2, 2, 2, 1, 1]
    assert steps[3].available[0].tolist() == [[True, False, False], [True, True, True]]
    assert not steps[4].obs[0, 0].any()
    assert steps[-1].terminated.tolist() == [not cut] * 2
    assert steps[-1].truncated.tolist() == [cut] * 2


def test_the_masks_of_agents_that_are_over_do_not_count(adapter):
    empty = {"info": lambda self, agent: {"action_mask": np.full(3, self.t < (3 if agent == "a" else 5))}}
    assert len(play(adapter(variant(Lumpy, cut=False, **empty)))) == 6


def test_an_own_state_is_held_against_its_space(adapter):
    box = spaces.Box(0, 1, (2,), np.float32)
    good = variant(state_space=box, state=lambda self: np.array([0.5, 1.0]))
    assert adapter(good, state="own").reset().state.tolist() == [[0.5, 1.0]] * 2
    for wrong, line in (
        (np.array([0.5, 2.0]), "step 3: its state holds 2, above the 1 of its space"),
        (np.array([0.5, np.nan]), "its state holds nan"),
        (np.zeros(3), r"its state has the shape \(3,\)"),
    ):
        changes = {"state_space": box, "state": lambda self, wrong=wrong: wrong if self.t == 3 else np.zeros(2)}
        with pytest.raises(ValueError, match=line):
            adapter(variant(**changes), state="own")
    grows = variant(state=lambda self: np.zeros(2 + (self.t == 3)))
    with pytest.raises(ValueError, match="its state has 3 numbers, and had 2"):
        adapter(grows, state="own")


def test_combinations_of_actions_are_refused_with_what_helps(adapter):
    several = variant(action_space=lambda self, agent: spaces.MultiDiscrete([3, 2]))
    with pytest.raises(ValueError, match="wrap it so that each combination is one action"):
        adapter(several)


def test_a_breach_of_a_nested_space_is_named_with_its_place():
    space = spaces.Dict({"x": spaces.Tuple((spaces.Discrete(2), spaces.Box(0, 1, (2,))))})
    assert breach(space, {"x": (1, np.array([0.0, 1.0]))}, "observation") is None
    assert breach(space, {"x": (1, np.array([0.0, 3.0]))}, "observation") == (
        "its observation['x'][1] holds 3, above the 1 of its space"
    )
    assert "does not have the 2 parts" in breach(space, {"x": (1,)}, "observation")


GAMES = """
import sys
sys.path.insert(0, {tests!r})
from test_contract import Game
import numpy as np

class Later(Game):
    plays = 0
    def reset(self, seed=None, options=None):
        self.plays += 1
        return super().reset(seed, options)
    def reward(self, agent, action):
        if self.plays > 6 and {crash}:
            raise RuntimeError("simulator died")
        return np.nan if self.plays > 6 and self.t == 3 else 1.0
"""


@pytest.mark.parametrize(
    ("crash", "line"),
    [(False, "a, step 3: its reward is nan; return a finite number"), (True, "RuntimeError: simulator died")],
)
def test_a_breach_in_the_middle_of_a_run_is_one_line_and_a_failed_run(tmp_path, monkeypatch, command_here, crash, line):
    (tmp_path / "later_games.py").write_text(GAMES.format(tests=str(Path(__file__).parent), crash=crash))
    arguments = ["algo=vdn", "env=pettingzoo", "env.id=later_games:Later", "budget=smoke", "tracking=disabled"]
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "later_games", raising=False)
    done = command_here(*arguments, f"outputs={tmp_path}/outputs")
    assert done.returncode == 1
    assert [text for text in done.stderr.splitlines() if "Traceback" in text or line in text] == [
        done.stderr.splitlines()[-1]
    ]
    assert done.stderr.splitlines()[-1].startswith("error: env.id=later_games:Later, ")
    (status,) = (tmp_path / "outputs").rglob("status.json")
    said = json.loads(status.read_text())
    assert said["state"] == "failed"
    assert line in said["error"]
    assert "Traceback" in (status.parent / "error.txt").read_text()
