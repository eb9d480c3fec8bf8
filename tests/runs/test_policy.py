"""A trained policy in somebody else's hands plays as it did in training."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mpe2 import simple_spread_v3

import macpf
from macpf.configuration import CONF
from macpf.envs.smac import parallel_env
from macpf.records.files import Damaged
from macpf.runs.build import build
from macpf.runs.identity import Identity
from macpf.runs.job import run
from macpf.runs.weights import Unusable, Weights

ROOT = Path(__file__).parents[2]
ALGORITHMS = sorted(path.stem for path in (CONF / "algo").glob("*.yaml"))
MPE = ["env=mpe", "env.eval_parallel=4", "budget.eval_episodes=4"]
MAPPO_STACKED = ["algo=mappo", "algo.learner.recurrent=false", "algo.learner.stacked_frames=3"]


@pytest.fixture
def untrained(configured, tmp_path):
    """Fresh networks as a weights file, and the parts they came with."""

    def made(*overrides):
        from omegaconf import OmegaConf

        cfg = configured(*overrides)
        parts = build(cfg, trains=False)
        with torch.no_grad():
            for weight in filter(lambda p: p.dim() > 1, parts.algorithm.parameters()):
                weight.add_(0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
        identity, rollout = Identity.of(cfg), parts.evaluator.rollout

        class Manifest:
            key, origin = identity.key, "0" * 32
            algo, env, map, seed = identity.algo, identity.env, identity.map, 0
            config = OmegaConf.to_container(cfg, resolve=True)

        path = tmp_path / "weights.safetensors"
        Weights.of(parts.algorithm.state_dict(), Manifest, rollout.env.spec, 7).save(path)
        return path, parts

    return made


@pytest.mark.parametrize("overrides", [*([f"algo={name}"] for name in ALGORITHMS), MAPPO_STACKED], ids=" ".join)
def test_it_acts_as_in_evaluation(untrained, overrides):
    small = ["env.make.n_agents=2"] if "central" in overrides[0] else []
    path, parts = untrained(*overrides, *MPE, *small)
    for policy in parts.algorithm.policies:
        start = parts.evaluator.rollout.env.state_dict()
        played = parts.evaluator.rollout.play(parts.algorithm, policy=policy)
        env = parts.evaluator.rollout.env
        env.load_state_dict(start)
        loaded = macpf.load_policy(path, policy)
        for _ in range(2):  # the second episode forgets the first
            loaded.reset()
            env.load_state_dict(start)
            step = env.reset()
            for t in range(int(played.lengths.max())):
                actions = loaded.act(step.obs, step.available)
                np.testing.assert_array_equal(actions, played.rows["actions"][:, t])
                step = env.step(actions)
    assert len(np.unique(played.rows["actions"])) > 1


def test_one_episode_needs_no_batch(untrained):
    path, parts = untrained("algo=macpf", *MPE)
    step = parts.rollout.env.reset()
    one, many = macpf.load_policy(path, "dependent"), macpf.load_policy(path, "dependent")
    np.testing.assert_array_equal(one.act(step.obs[0]), many.act(step.obs)[0])
    assert "3 agents, 18 numbers observed, 5 actions" in repr(one)


def test_only_available_actions_are_taken(untrained):
    path, parts = untrained("algo=qmix", *MPE)
    obs = parts.rollout.env.reset().obs[0]
    only = np.zeros((3, 5), dtype=bool)
    only[:, 4] = True
    assert macpf.load_policy(path).act(obs, only).tolist() == [4, 4, 4]


@pytest.mark.parametrize("policy", ["independent", "dependent"])
def test_a_pettingzoo_loop(untrained, policy):
    path, _ = untrained("algo=macpf", "env=pettingzoo", *MPE[1:])
    policy = macpf.load_policy(path, policy)
    env = simple_spread_v3.parallel_env()
    observations, infos = env.reset(seed=0)
    policy.reset(env)
    steps = 0
    while env.agents:
        plain = np.stack([observations[name] for name in env.possible_agents])
        actions = policy.act(observations, infos)
        assert list(actions) == env.possible_agents
        if steps == 0:
            again = macpf.load_policy(path, policy.policy)
            assert list(actions.values()) == again.act(plain).tolist()
        observations, _, _, _, infos = env.step(actions)
        steps += 1
    assert steps == 25


def test_a_battle_with_masks(untrained):
    path, _ = untrained("algo=macpf", "env=smac", "map=3m", "env.backend=embedded", "env.eval_parallel=1")
    policy, env = macpf.load_policy(path), parallel_env("3m", seed=5)
    for _ in range(2):
        observations, infos = env.reset()
        policy.reset(env)
        while env.agents:  # the environment refuses actions that are not available
            observations, _, _, _, infos = env.step(policy.act(observations, infos))
    flat = parallel_env("3m", seed=5, flat_observations=True)
    observations, infos = flat.reset()
    policy.reset(flat)
    assert set(policy.act(observations, infos)) == {"agent_0", "agent_1", "agent_2"}


def test_those_who_have_left_do_not_act(untrained):
    path, parts = untrained("algo=macpf", *MPE)
    obs = parts.rollout.env.reset().obs[0]
    policy = macpf.load_policy(path, "dependent")
    names = ["a", "b", "c"]
    assert set(policy.act(dict(zip(names, obs, strict=True)))) == {"a", "b", "c"}
    assert set(policy.act({"a": obs[0], "c": obs[2]})) == {"a", "c"}


def test_visibility_is_asked_for_by_those_who_read_it(untrained):
    path, parts = untrained("algo=macpf", "algo.learner.dependency_set=visible", *MPE)
    step = parts.rollout.env.reset()
    with pytest.raises(ValueError, match="give visible="):
        macpf.load_policy(path, "dependent").act(step.obs)
    nobody = np.zeros((len(step.obs), 3, 3), dtype=bool)
    assert macpf.load_policy(path, "dependent").act(step.obs, visible=nobody).shape == (len(step.obs), 3)
    assert macpf.load_policy(path).act(step.obs).shape == (len(step.obs), 3)


def test_what_does_not_fit_is_said_in_one_line(untrained, tmp_path):
    path, _ = untrained("algo=qmix", *MPE)
    policy = macpf.load_policy(path)
    with pytest.raises(ValueError, match=r"shape \[3, 17\], but this policy was trained with 3 agents who observe 18"):
        policy.act(np.zeros((3, 17)))
    with pytest.raises(ValueError, match="has no available action"):
        policy.act(np.zeros((3, 18)), np.zeros((3, 5)))
    with pytest.raises(ValueError, match=r"available actions have the shape \[3, 4\]"):
        policy.act(np.zeros((3, 18)), np.ones((3, 4)))
    policy.act(np.zeros((2, 3, 18)))
    with pytest.raises(ValueError, match="4 episodes now and were 2"):
        policy.act(np.zeros((4, 3, 18)))
    with pytest.raises(ValueError, match="there are 5 agents"):
        policy.reset(simple_spread_v3.parallel_env(N=5))
    with pytest.raises(ValueError, match="shows 30 numbers"):
        policy.reset(parallel_env("3m"))
    with pytest.raises(ValueError, match="policy=dependent is none of this algorithm; choose one of: independent"):
        macpf.load_policy(path, "dependent")
    with pytest.raises(Unusable, match="is not a run folder; name one of the form outputs/"):
        macpf.load_policy(tmp_path)


@pytest.mark.parametrize(("device", "what_to_use"), [("cuda", "use device=cpu"), ("tpu", "use cpu or cuda")])
def test_a_device_that_is_not_there_is_said_in_one_line(untrained, device, what_to_use):
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    path, _ = untrained("algo=qmix", *MPE)
    with pytest.raises(ValueError, match=f"^device={device}.*; {what_to_use}$"):
        macpf.load_policy(path, device=device)


def test_a_file_of_weights_is_whole_or_refused(untrained, tmp_path):
    path, parts = untrained("algo=macpf", *MPE)
    obs = parts.rollout.env.reset().obs
    first = macpf.load_policy(path, "dependent")
    first.save(tmp_path / "copy.safetensors")
    assert (tmp_path / "copy.safetensors").read_bytes() == path.read_bytes()
    again = macpf.load_policy(tmp_path / "copy.safetensors", "dependent")
    np.testing.assert_array_equal(again.act(obs), first.act(obs))
    content = path.read_bytes()
    for broken in (content[:-9], content[:-1] + bytes([content[-1] ^ 1]), b"nothing"):
        path.write_bytes(broken)
        with pytest.raises(Damaged, match="damaged"):
            macpf.load_policy(path)
    path.write_bytes(content.replace(b"macpf.method.learner.MACPF", b"collections.abc.Collection"))
    with pytest.raises(Unusable, match="is no algorithm of this suite"):
        macpf.load_policy(path)
    path.write_bytes(content.replace(b'n_actions\\":', b'n_actionz\\":'))
    with pytest.raises(Unusable, match=r"the sizes of its environment are wrong .*n_actionz"):
        macpf.load_policy(path)


WITHOUT_TRAINING = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("hydra", "hydra_plugins", "omegaconf", "wandb", "submitit"):
            raise ImportError(f"{name} is not installed")

sys.meta_path.insert(0, Blocked())
import numpy as np
import macpf

policy = macpf.load_policy(sys.argv[1], policy="dependent")
print(policy.act(np.ones((2, 1), dtype=np.float32)).tolist(), policy)
"""


def test_a_run_can_be_loaded_without_what_training_needs(configured):
    small = ["budget.env_steps=16", "budget.eval_interval=16", "algo.replay.burn_in=8", "algo.replay.batch=8"]
    cfg = configured("algo=macpf", "seed=3", *small)
    run(cfg)
    folder = Identity.of(cfg).folder
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TRAINING, str(folder)], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert done.returncode == 0, done.stderr
    actions = macpf.load_policy(str(folder), "dependent").act(np.ones((2, 1))).tolist()
    assert done.stdout.startswith(f"{actions} <dependent policy of macpf on matrix_game/p0_12 seed=3 after 16 env")
    with pytest.raises(Unusable, match=r"checkpoint=5 is not kept in .*; it has kept none"):
        macpf.load_policy(folder, checkpoint=5)
    for path in folder.glob("checkpoint*.pt"):
        path.unlink()
    with pytest.raises(Unusable, match="no checkpoint yet"):
        macpf.load_policy(folder)
