"""PettingZoo environments that show pictures, and the networks that look at them."""

import gymnasium
import numpy as np
import pytest
import torch
from pettingzoo import ParallelEnv
from pettingzoo.sisl import pursuit_v5

import macpf
from macpf.configuration import compose
from macpf.envs.eyes import Eyes
from macpf.envs.pettingzoo import PettingZoo
from macpf.experience.recording import as_batch
from macpf.learning.networks import Trunk
from macpf.learning.pictures import PictureLinear
from macpf.learning.schedules import Clock
from macpf.runs.build import build
from macpf.runs.errors import ConfigError
from macpf.runs.identity import Identity
from macpf.runs.job import run

PURSUIT = ["env=pettingzoo", "env.id=pettingzoo.sisl.pursuit_v5", "+env.kwargs={n_pursuers: 2, n_evaders: 2}"]
PURSUIT += ["env.make.pictures=1", "env.make.episode_limit=4", "env.parallel=2", "env.eval_parallel=2"]
SHORT = ["budget.env_steps=24", "budget.eval_interval=24", "budget.eval_episodes=2", "tracking=disabled"]
REPLAY = ["algo.replay.burn_in=2", "algo.replay.batch=2", "algo.replay.capacity=4"]


class Photos(ParallelEnv):
    """Two agents who see random pictures of bytes, 13 x 10."""

    metadata = {"name": "photos"}  # noqa: RUF012

    def __init__(self, dtype=np.uint8, shape=(13, 10, 3)):
        self.possible_agents, self.agents = ["a", "b"], []
        self.space = gymnasium.spaces.Box(0, 255 if dtype == np.uint8 else 1, shape, dtype)

    def observation_space(self, agent):
        return self.space

    def action_space(self, agent):
        return gymnasium.spaces.Discrete(3)

    def _show(self):
        return {name: self.random.integers(0, 256, self.space.shape, dtype=np.uint8) for name in self.agents}

    def reset(self, seed=None, options=None):
        self.random, self.agents, self.t = np.random.default_rng(seed), ["a", "b"], 0
        return self._show(), {"a": {}, "b": {}}

    def step(self, actions):
        self.t += 1
        shown, names = self._show(), self.agents
        over = self.t == 3
        self.agents = [] if over else names
        rewards = {name: float(actions[name]) for name in names}
        return shown, rewards, dict.fromkeys(names, over), dict.fromkeys(names, False), {name: {} for name in names}


def photos(pictures, batch_size=2):
    return PettingZoo("tests.envs.test_pictures:Photos", {}, "sum", "concat", 5, batch_size, 0, pictures=pictures)


@pytest.fixture
def found(monkeypatch):
    monkeypatch.setattr("macpf.envs.pettingzoo.find", lambda id: Photos)


def test_pixels_are_averaged_and_scaled(found):
    env = photos(2)
    assert env.spec.picture == (6, 5, 3)
    assert (env.spec.obs_dim, env.spec.state_dim) == (90, 180)
    step = env.reset()
    seed = int(np.random.SeedSequence(0, spawn_key=(0, 0)).generate_state(1)[0])
    shown = np.random.default_rng(seed).integers(0, 256, (13, 10, 3), dtype=np.uint8)
    expected = [
        np.round(shown[2 * y : 2 * y + 2, 2 * x : 2 * x + 2, c].astype(float).mean()) / 255
        for y in range(6)
        for x in range(5)
        for c in range(3)
    ]
    np.testing.assert_allclose(step.obs[0, 0], expected, atol=1e-6)
    np.testing.assert_array_equal(step.state[0], step.obs[0].ravel())


def test_pictures_are_kept_as_bytes_and_come_back_as_they_were(found):
    env = photos(1)
    assert env.record_type["obs"].base == np.uint8
    assert env.record_type.names == ("obs", "available")
    step = env.reset()
    obs, state, available = env.expand(step.recorded)
    np.testing.assert_array_equal(obs, step.obs)
    np.testing.assert_array_equal(state, step.state)
    np.testing.assert_array_equal(available, step.available)
    flat = photos(None)
    assert flat.spec.picture is None
    np.testing.assert_allclose(flat.reset().obs / 255, step.obs, atol=1e-6)


@pytest.mark.parametrize(
    ("pictures", "space", "why"),
    [
        (1, gymnasium.spaces.Box(0, 1, (4,)), "is no picture"),
        (1, gymnasium.spaces.Discrete(3), "is no picture"),
        (7, gymnasium.spaces.Box(0, 255, (6, 9, 3), np.uint8), "pictures=7 fits no picture of 6 x 9"),
        (0, gymnasium.spaces.Box(0, 255, (6, 9, 3), np.uint8), "pictures=0 fits no picture"),
    ],
)
def test_what_is_no_picture_is_refused(pictures, space, why):
    with pytest.raises(ValueError, match=why):
        Eyes.of("x", {"a": space}, pictures)


def test_the_convolution_looks_at_the_picture_and_passes_the_rest_on():
    layer = PictureLinear(2 * 7 * 7 * 3 + 5, 4, (7, 7, 3), count=1)
    inputs = torch.randn(6, 2, 2 * 147 + 5)
    picture = inputs[1, 1, :147].view(7, 7, 3).permute(2, 0, 1)[None]
    seen = torch.cat([layer.eyes(picture)[0], inputs[1, 1, 147:]])
    torch.testing.assert_close(layer(inputs)[1, 1], layer.linear(seen))
    assert layer.eyes(picture).shape == (1, 7 * 7 * 32)
    assert PictureLinear(64 * 64 * 3, 4, (64, 64, 3)).linear.in_features == 8 * 8 * 32
    assert isinstance(Trunk(9, 4, False).input, torch.nn.Linear)  # all else is as it was


@pytest.mark.parametrize("algo", ["macpf", "qmix", "qplex", "qtran", "vdn", "fop", "central", "mappo"])
def test_every_algorithm_learns_from_pictures(algo):
    rest = ["algo.rollout.env_steps=8"] if algo == "mappo" else REPLAY
    parts = build(compose("budget=smoke", f"algo={algo}", *PURSUIT, *SHORT, *rest))
    eyes = [name for name, _ in parts.algorithm.named_parameters() if "eyes" in name]
    assert eyes
    before = {name: p.clone() for name, p in parts.algorithm.named_parameters()}
    played = parts.rollout.play(parts.algorithm, Clock())
    batch = as_batch(
        played.episodes, parts.rollout.env, parts.algorithm.reads_visibility, parts.algorithm.reads_after_end
    )
    parts.algorithm.learn(batch, Clock())
    after = dict(parts.algorithm.named_parameters())
    moved = [name for name in eyes if not torch.equal(before[name], after[name])]
    assert any(not name.startswith("target") for name in moved)


def test_a_run_on_pictures_can_be_loaded_and_played(tmp_path):
    cfg = compose("budget=smoke", "algo=macpf", *PURSUIT, *SHORT, *REPLAY, f"outputs={tmp_path}")
    run(cfg)
    policy = macpf.load_policy(Identity.of(cfg).folder, "dependent")
    assert policy.about.sizes.picture == (7, 7, 3)
    env = pursuit_v5.parallel_env(n_pursuers=2, n_evaders=2)
    observations, infos = env.reset(seed=0)
    policy.reset(env)
    assert set(policy.act(observations, infos)) == {"pursuer_0", "pursuer_1"}


def test_flat_runs_keep_their_key():
    plain = compose("env=pettingzoo")
    assert Identity.of(plain).key != Identity.of(compose("env=pettingzoo", "env.make.pictures=1")).key
    with pytest.raises(ConfigError, match="does not stack pictures"):
        build(compose("algo=mappo", "budget=smoke", *PURSUIT, *SHORT, "algo.learner.stacked_frames=2"))


def test_pettingzoos_own_pictures():
    """512 x 512 pixels of a game whose agents die early."""
    kwargs = {"obs_method": "image", "max_cycles": 6}
    id = "pettingzoo.butterfly.knights_archers_zombies.knights_archers_zombies"
    env = PettingZoo(id, kwargs, "sum", "concat", 6, 1, 0, pictures=16)
    assert env.spec.picture == (32, 32, 3)
    step = env.reset()
    assert step.obs.shape == (1, 4, 3072)
    assert 0.0 < step.obs.mean() < 1.0
    assert step.recorded["obs"].dtype == np.uint8
