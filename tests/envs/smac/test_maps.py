"""Sizes of all maps against SMAC's own (its code, run with stubs for the game), and their terrains."""

from pathlib import Path

import pytest

from macpf.envs.smac.maps import load_map, load_terrain, map_names
from macpf.envs.smac.skirmish.battles import Skirmish

#: Map, agents, enemies, actions, observation, state, limit, largest reward.
SMACS = """
3m 3 3 9 30 48 60 365
8m 8 8 14 80 168 120 640
25m 25 25 31 250 950 150 1575
5m_vs_6m 5 6 12 55 98 70 530
8m_vs_9m 8 9 15 85 179 120 695
10m_vs_11m 10 11 17 105 243 150 805
27m_vs_30m 27 30 36 285 1170 180 1850
MMM 10 10 16 160 290 150 1015
MMM2 10 12 18 176 322 180 1205
2s3z 5 5 11 80 120 120 1020
3s5z 8 8 14 128 216 150 1510
3s5z_vs_3s6z 8 9 15 136 230 170 1670
3s_vs_3z 3 3 9 36 54 150 680
3s_vs_4z 3 4 10 42 61 200 840
3s_vs_5z 3 5 11 48 68 250 1000
1c3s5z 9 9 15 162 270 180 1870
2m_vs_1z 2 1 7 16 26 150 360
corridor 6 24 30 156 282 400 1280
6h_vs_8z 6 8 14 78 140 150 1480
2s_vs_1sc 2 1 7 17 27 300 510
so_many_baneling 7 32 38 202 397 100 1480
bane_vs_bane 24 24 30 336 984 200 1260
2c_vs_64zg 2 64 70 332 342 400 3080
8m_vs_9m_myopic 8 9 15 50 179 120 695
10m_vs_11m_myopic 10 11 17 60 243 150 805
"""
SIZES = {row.split()[0]: tuple(int(number) for number in row.split()[1:]) for row in SMACS.strip().splitlines()}
#: Walkable ground that can be reached from the starting points, in cells.
AREAS = {
    "arena": 512, "open": 1024, "octagon": 366, "corridor": 351.25, "so_many_baneling": 321, "6h_vs_8z": 159,
    "2s_vs_1sc": 175, "2c_vs_64zg": 346.5,
}  # fmt: skip


def test_there_are_25_maps_and_18_are_the_papers():
    assert set(map_names()) == set(SIZES)
    assert sum(load_map(name).in_paper for name in map_names()) == 18


@pytest.mark.parametrize("name", SIZES)
def test_every_size_equals_smacs(name):
    env = Skirmish(name, batch_size=2, seed=0)
    spec, smac_map = env.spec, env.map
    found = (spec.n_agents, smac_map.n_enemies, spec.n_actions, spec.obs_dim, spec.state_dim, spec.episode_limit)
    assert (*found, smac_map.max_reward) == SIZES[name]
    step = env.reset()
    assert step.obs.shape == (2, spec.n_agents, spec.obs_dim)
    assert step.state.shape == (2, spec.state_dim)
    assert step.available.shape == (2, spec.n_agents, spec.n_actions)
    assert step.obs.dtype == step.state.dtype == "float32"


def test_myopic_maps_may_keep_the_place_of_the_other_agents():
    env = Skirmish("8m_vs_9m_myopic", batch_size=1, seed=0, zero_ally_block=True)
    obs = env.reset().obs
    assert env.spec.obs_dim == obs.shape[-1] == 85
    assert not obs[..., -1 - 7 * 5 : -1].any()
    assert (obs[..., -1] == 1).all()


@pytest.mark.parametrize("name", AREAS)
def test_reachable_ground(name):
    assert load_terrain(name).ground.sum() / 16 == AREAS[name]


def test_agents_are_sorted_by_type_and_place():
    units = [unit for unit, _, _ in load_map("MMM2").allies]
    assert units == ["marauder"] * 2 + ["marine"] * 7 + ["medivac"]
    xs = [x for unit, x, _ in load_map("8m").allies]
    assert xs == sorted(xs)


def test_an_unknown_map_is_refused_with_the_choices():
    with pytest.raises(ValueError, match=r"map.name=4m is no SMAC map; choose one of: 3m, 8m"):
        load_map("4m")


def test_every_map_has_its_file_in_conf():
    files = {path.stem for path in (Path(__file__).parents[3] / "conf" / "map").glob("*.yaml")}
    assert set(map_names()) <= files
