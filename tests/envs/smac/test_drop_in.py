"""StarCraft2Env on the engine: SMAC's methods, sizes, options, endings and manners.

Beside SMAC's own code, unit by unit, it was played by hand: benchmarks/smac_side_by_side.py.
"""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from macpf.envs.smac import StarCraft2Env
from macpf.envs.smac.installation import package
from macpf.envs.smac.maps import map_names
from macpf.envs.smac.scripted import Kite
from macpf.envs.smac.skirmish import layout as L
from macpf.envs.smac.stand_in import PATH
from macpf.envs.smac.stand_in.__main__ import main

#: What oxwhirl/smac's class (d6aab33) offers, but for what it does to drive the game.
METHODS = [
    "can_move", "check_bounds", "close", "distance", "full_restart", "get_ally_num_attributes",
    "get_avail_actions", "get_avail_agent_actions", "get_enemy_num_attributes", "get_env_info", "get_obs",
    "get_obs_agent", "get_obs_ally_feats_size", "get_obs_enemy_feats_size", "get_obs_move_feats_size",
    "get_obs_own_feats_size", "get_obs_size", "get_state", "get_state_dict", "get_state_size", "get_stats",
    "get_surrounding_height", "get_surrounding_pathing", "get_surrounding_points", "get_total_actions",
    "get_unit_by_id", "get_unit_type_id", "get_unit_types", "get_visibility_matrix", "only_medivac_left",
    "render", "reset", "save_replay", "seed", "step", "unit_max_cooldown", "unit_max_shield",
    "unit_shoot_range", "unit_sight_range",
]  # fmt: skip
#: Its arguments and their defaults, as PyMARL hands them over.
ARGUMENTS = {
    "step_mul": 8, "move_amount": 2, "difficulty": "7", "game_version": None, "seed": None,
    "continuing_episode": False, "obs_all_health": True, "obs_own_health": True, "obs_last_action": False,
    "obs_pathing_grid": False, "obs_terrain_height": False, "obs_instead_of_state": False,
    "obs_timestep_number": False, "state_last_action": True, "state_timestep_number": False, "reward_sparse": False,
    "reward_only_positive": True, "reward_death_value": 10, "reward_win": 200, "reward_defeat": 0,
    "reward_negative_scale": 0.5, "reward_scale": True, "reward_scale_rate": 20, "replay_dir": "",
    "replay_prefix": "", "window_size_x": 1920, "window_size_y": 1200, "heuristic_ai": False,
    "heuristic_rest": False, "debug": False,
}  # fmt: skip


def play(env, rng, steps=10_000):
    """Random available actions until the battle is over; the last of what step returned."""
    for _ in range(steps):
        actions = [rng.choice(np.flatnonzero(env.get_avail_agent_actions(a))) for a in range(env.n_agents)]
        reward, over, info = env.step(actions)
        if over:
            break
    return reward, over, info


def test_smacs_methods_and_arguments_are_there():
    env = StarCraft2Env(map_name="3m", **ARGUMENTS)
    assert [name for name in METHODS if not callable(getattr(env, name, None))] == []
    with pytest.raises(TypeError, match="no option 'obs_lats_action'"):
        StarCraft2Env(obs_lats_action=True)
    with pytest.raises(ValueError, match="choose one of: 3m"):
        StarCraft2Env("3n")


@pytest.mark.parametrize("name", map_names())
def test_sizes_are_those_of_what_is_shown(name):
    env = StarCraft2Env(map_name=name, seed=1)
    obs, state = env.reset()
    info = env.get_env_info()
    assert {len(o) for o in obs} == {info["obs_shape"]}
    assert (state.shape, state.dtype) == ((info["state_shape"],), np.float32)
    assert np.shape(env.get_avail_actions()) == (info["n_agents"], info["n_actions"])
    assert env.get_visibility_matrix().shape == (env.n_agents, env.n_agents + env.n_enemies)
    assert info["unit_dim"] == len(info["agent_features"]) == 4 + env.shield_bits_ally + env.unit_type_bits
    rows = env.get_state_dict()
    flat = np.concatenate([rows["allies"].ravel(), rows["enemies"].ravel(), rows["last_action"].ravel()])
    np.testing.assert_array_equal(flat.astype(np.float32), state)


@pytest.mark.parametrize("name", ["3m", "MMM", "3s5z", "8m_vs_9m_myopic"])
@pytest.mark.parametrize("option", ["obs_last_action", "obs_pathing_grid", "obs_terrain_height", "obs_timestep_number"])
def test_an_option_adds_its_columns_and_moves_no_other(name, option):
    plain, more = StarCraft2Env(name, seed=3), StarCraft2Env(name, seed=3, **{option: True})
    for env in (plain, more):
        env.reset()
        play(env, np.random.default_rng(0), steps=4)
    sizes = [env.get_obs_move_feats_size() for env in (plain, more)]
    for agent in range(plain.n_agents):
        a, b = plain.get_obs_agent(agent), more.get_obs_agent(agent)
        assert len(b) == more.get_obs_size()
        if option == "obs_timestep_number":
            assert b[-1] == np.float32(4 / more.episode_limit)
            b = b[:-1]
        elif option == "obs_last_action":
            (n, row), (_, wide) = plain.get_obs_ally_feats_size(), more.get_obs_ally_feats_size()
            start = len(a) - plain.get_obs_own_feats_size() - n * row
            block = b[start : start + n * wide].reshape(n, wide)
            others = np.delete(more.last_action, agent, axis=0)[:n]
            np.testing.assert_array_equal(block[:, row:], others * block[:, :1])
            assert n == 0 or block[:, row:].any()
            b = np.concatenate([b[:start], block[:, :row].ravel(), b[start + n * wide :]])
        else:
            unit, added = more.get_unit_by_id(agent), slice(sizes[0], sizes[1])
            wanted = more.get_surrounding_pathing(unit) if "path" in option else more.get_surrounding_height(unit)
            np.testing.assert_array_equal(b[added], np.array(wanted, dtype=np.float32))
            b = np.delete(b, range(*added.indices(len(b))))
        np.testing.assert_array_equal(a, b)


def test_health_can_be_hidden():
    shown = StarCraft2Env("3s5z", seed=3)
    own = StarCraft2Env("3s5z", seed=3, obs_all_health=False)
    none = StarCraft2Env("3s5z", seed=3, obs_all_health=False, obs_own_health=False)
    sizes = [env.get_obs_size() for env in (shown, own, none)]
    assert np.diff(sizes).tolist() == [-2 * 15, -2]  # health and shield of 15 others, then of oneself
    for env in (shown, own, none):
        assert len(env.reset()[0][0]) == env.get_obs_size()
    np.testing.assert_array_equal(own.get_obs_agent(0)[:-4], none.get_obs_agent(0)[:-2])


def test_states_by_option():
    together = StarCraft2Env("3m", seed=1, obs_instead_of_state=True)
    obs, state = together.reset()
    np.testing.assert_array_equal(np.concatenate(obs), state)
    assert together.get_state_size() == len(state)
    short, full = (
        StarCraft2Env("3m", seed=1, state_last_action=False, state_timestep_number=True),
        StarCraft2Env("3m", seed=1),
    )
    for env in (short, full):
        env.reset()
        play(env, np.random.default_rng(0), steps=3)
    assert short.get_state_size() == len(short.get_state()) == full.get_state_size() - 27 + 1
    np.testing.assert_array_equal(short.get_state()[:-1], full.get_state()[:-27])
    assert short.get_state()[-1] == np.float32(3 / 60)
    np.testing.assert_array_equal(full.get_state()[-27:], full.last_action.ravel())


def test_a_battle_to_its_end_is_counted_once():
    env, rng = StarCraft2Env("3m", seed=2), np.random.default_rng(0)
    assert env.get_stats()["win_rate"] == 0
    with pytest.raises(RuntimeError, match=r"call reset\(\) first"):
        env.step([1, 1, 1])
    for _ in range(3):
        env.reset()
        _, over, info = play(env, rng)
        assert over
        assert set(info) == {"battle_won", "dead_allies", "dead_enemies"}
        assert info["dead_allies"] == sum(unit.health == 0 for unit in env.agents.values())
        assert env.death_tracker_ally.sum() == info["dead_allies"]
    stats = env.get_stats()
    assert (stats["battles_game"], stats["battles_won"]) == (3, env.battles_won)
    with pytest.raises(RuntimeError, match="the battle is over"):
        env.step([0, 0, 0])


@pytest.mark.parametrize("continuing", [False, True])
def test_a_time_out_is_an_end_and_says_so_if_asked(continuing):
    env = StarCraft2Env("2s_vs_1sc", seed=0, continuing_episode=continuing)
    env.reset()
    while True:
        _, over, info = env.step([1, 1])
        if over:
            break
    assert env.get_stats()["timeouts"] == env.get_stats()["battles_draw"] == 1
    assert info.get("episode_limit", False) is continuing


def test_an_action_that_is_not_available_is_refused_as_in_smac():
    env = StarCraft2Env("3m", seed=0)
    env.reset()
    before = env.get_state()
    with pytest.raises(AssertionError, match="Agent 1 cannot perform action 0"):
        env.step([1, 0, 1])
    with pytest.raises(AssertionError, match="Agent 2 cannot perform action 9"):
        env.step([1, 1, 9])
    np.testing.assert_array_equal(env.get_state(), before)
    env.step(np.array([[1], [1], [1]]))  # as policies hand them over


def test_rewards_follow_their_options():
    def total(**options):
        """Of the first battle that a scripted team wins."""
        env = StarCraft2Env("3s_vs_3z", seed=4, **options)
        while not env.battles_won:
            assert env.battles_game < 20
            team, (rewards, over) = Kite(env.battle, np.random.default_rng(0)), ([], False)
            env.reset()
            while not over:
                reward, over, info = env.step(team(env.battle, env._now)[0])
                rewards.append(reward)
        return env, np.array(rewards), info

    env, usual, info = total()
    assert info["battle_won"]
    assert env.max_reward == 200 + 3 * 10 + env.battle.map.enemy_points
    _, raw, _ = total(reward_scale=False)
    np.testing.assert_allclose(raw, usual * env.max_reward / 20, rtol=1e-5)
    _, sparse, _ = total(reward_sparse=True, reward_scale=False)
    assert sparse.tolist() == [0] * (len(sparse) - 1) + [1]
    _, other, _ = total(reward_scale=False, reward_win=50, reward_death_value=0)
    assert raw.sum() - other.sum() == pytest.approx(150 + 10 * info["dead_enemies"], rel=1e-4)
    with pytest.raises(ValueError, match="reward_scale_rate=0"):
        StarCraft2Env("3m", reward_scale_rate=0)


def test_the_length_of_a_step_and_of_a_move():
    whole, half = StarCraft2Env("3m", seed=0), StarCraft2Env("3m", seed=0, step_mul=4)
    for env, steps in ((whole, 2), (half, 4)):
        start = env.reset()[1]
        for _ in range(steps):
            env.step([4, 4, 4])
    np.testing.assert_array_equal(whole.battle.floats[0, : L.Y + 1], half.battle.floats[0, : L.Y + 1])
    assert (whole.get_state()[2:12:4] > start[2:12:4]).all()
    far = StarCraft2Env("3m", seed=0, move_amount=30)
    far.reset()
    unit = far.get_unit_by_id(0)
    assert [far.can_move(unit, d) for d in range(4)] == [row == 1 for row in far.get_avail_agent_actions(0)[2:6]]
    assert far.get_avail_agent_actions(0)[2:6] == [0, 0, 1, 0]


def test_the_scripted_team_fights():
    env = StarCraft2Env("2s3z", seed=0, heuristic_ai=True, heuristic_rest=True)
    env.reset()
    over, walked = False, False
    while not over:
        actions = [0] * 5
        _, over, info = env.step(actions)
        walked |= any(2 <= action < 6 for action in actions)
    assert walked
    assert info["dead_enemies"] >= 3


def test_the_same_seed_is_the_same_battle():
    def battle(env):
        env.reset()
        play(env, np.random.default_rng(7), steps=12)
        return env.get_state().tobytes()

    assert battle(StarCraft2Env("3m", seed=5)) == battle(StarCraft2Env("3m", seed=5))
    env = StarCraft2Env("3m")
    assert env.seed() is None
    assert env.seed(5) == 5 == env.seed()
    assert battle(env) == battle(StarCraft2Env("3m", seed=5)) != battle(StarCraft2Env("3m", seed=6))
    with pytest.raises(ValueError, match="seed=-1"):
        env.seed(-1)


def test_a_replay_is_an_animation_of_the_battle(tmp_path):
    env = StarCraft2Env("3m", seed=1, replay_dir=str(tmp_path / "new"), replay_prefix="mine")
    with pytest.raises(RuntimeError, match=r"call reset\(\) first"):
        env.save_replay()
    env.reset()
    play(env, np.random.default_rng(0), steps=5)
    path = env.save_replay()
    assert path.parent == tmp_path / "new"
    assert path.name.startswith("mine_")
    with Image.open(path) as picture:
        assert (picture.format, picture.n_frames) == ("GIF", 6)  # the start and five steps
        assert picture.size[::-1] == env.render(mode="rgb_array").shape[:2]
    env.close()


STAND_IN_PROGRAM = """
from smac.env import MultiAgentEnv, StarCraft2Env
from smac.env.starcraft2.maps import get_map_params
import collections, yaml
from pysc2 import run_configs
from s2clientprotocol import common_pb2, sc2api_pb2, raw_pb2
env = StarCraft2Env(map_name="3m")
assert isinstance(env, MultiAgentEnv) and collections.Mapping and yaml.load("a: 1") == {"a": 1}
assert get_map_params("MMM2")["n_enemies"] == 12
game = run_configs.get(version=None).start(want_rgb=False).controller
game.create_game(sc2api_pb2.RequestCreateGame(local_map=sc2api_pb2.LocalMap(map_path="3m.SC2Map"), random_seed=1))
game.join_game(sc2api_pb2.RequestJoinGame(race=common_pb2.Terran))
units = game.observe().observation.raw_data.units
command = raw_pb2.ActionRawUnitCommand(ability_id=23, target_unit_tag=units[3].tag, unit_tags=[1, 2, 3])
for _ in range(20):
    game.actions(sc2api_pb2.RequestAction(actions=[sc2api_pb2.Action(action_raw=raw_pb2.ActionRaw(unit_command=command))]))
    game.step(8)
hurt = game.observe().observation.raw_data.units
print(len(units), units[0].owner, min(u.health for u in hurt) < 45)
"""


def test_programs_for_smac_run_on_the_stand_ins(tmp_path):
    """As one starts them: by the command, or with the folder it prints on the path."""
    program = tmp_path / "program.py"
    program.write_text(STAND_IN_PROGRAM)
    command = [sys.executable, "-m", "macpf.envs.smac.stand_in", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("6 1 True\n", 0), done.stderr
    code = "from smac.env import StarCraft2Env; print(StarCraft2Env('8m').get_obs_size())"
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(PATH), *sys.path])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=env)
    assert done.stdout == "80\n", done.stderr


def test_the_command_says_where_they_are_and_refuses_what_is_no_program(capsys):
    assert main([]) == 0
    assert capsys.readouterr().out == f"{PATH}\n"
    assert main(["no/such.py"]) == 2
    assert capsys.readouterr().err.startswith("no/such.py is no file; usage:")
    assert main(["-m"]) == 2


def test_the_stand_in_is_not_taken_for_the_real_game(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(PATH), *sys.path])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    check = package()
    assert not check.fine
    assert "stand-in" in check.found
