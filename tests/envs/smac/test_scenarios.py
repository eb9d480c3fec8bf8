"""Battles of one's own, SMACv2's, and who is fought."""

from collections import Counter

import numpy as np
import pytest
import yaml

from macpf.configuration import compose
from macpf.envs.smac import StarCraft2Env, parallel_env
from macpf.envs.smac.backend import make
from macpf.envs.smac.scenarios import find_map, read_scenario, smacv2_names
from macpf.envs.smac.scripted import Focus, Heuristic
from macpf.envs.smac.skirmish import layout as L
from macpf.envs.smac.skirmish.battles import Skirmish
from macpf.runs.build import build, choose_backend
from macpf.runs.errors import ConfigError
from macpf.runs.identity import Identity

AMBUSH = {
    "episode_limit": 80,
    "allies": [{"unit": "medivac", "count": 1, "at": [7, 16]}, {"unit": "marine", "count": 4, "at": [8, 16]}],
    "enemies": [{"unit": "zergling", "count": 3, "at": [20, 16]}, {"unit": "baneling", "count": 1, "at": [24, 20]}],
}
#: Observation, state and actions of SMACv2's own scenarios with five units a side.
SIZES = {"terran": (82, 120, 11), "zerg": (82, 120, 11), "protoss": (92, 130, 11)}


def drawn(name, batch=200):
    """Battles of a scenario at their start, their agents' and enemies' types, and their places."""
    env = Skirmish(name, batch, seed=3)
    env.reset()
    rosters = [env.roster(b) for b in range(batch)]
    teams = [([u for u, _, _ in r.allies], [u for u, _, _ in r.enemies]) for r in rosters]
    return env, teams, env.floats[:, [L.X, L.Y]].transpose(0, 2, 1)


def test_smacv2s_sizes_and_its_fifteen_names():
    assert len(smacv2_names()) == 15
    for race, sizes in SIZES.items():
        spec = Skirmish(f"smacv2_{race}_5_vs_5", 1, 0).spec
        assert (spec.obs_dim, spec.state_dim, spec.n_actions) == sizes
        assert spec.episode_limit == 200
    for name in smacv2_names():
        cfg = compose("env=smac", f"map={name}")
        assert (cfg.map.name, cfg.env.make.scenario) == (name, None)
        agents, _, enemies = name.split("_")[2:]
        smac_map = find_map(name)
        assert (smac_map.n_agents, smac_map.n_enemies) == (int(agents), int(enemies))


def test_teams_are_drawn_by_their_weights_and_mirrored():
    _, teams, _ = drawn("smacv2_terran_10_vs_11", 400)
    counts = Counter(unit for allies, _ in teams for unit in allies)
    for unit, share in (("marine", 0.45), ("marauder", 0.45), ("medivac", 0.1)):
        assert counts[unit] / counts.total() == pytest.approx(share, abs=0.03)
    for allies, enemies in teams:
        assert allies == sorted(allies)
        assert Counter(enemies[:10]) == Counter(allies)
        assert enemies[10] != "medivac"  # alone in what is added
    assert len({tuple(allies) for allies, _ in teams}) > 20


def test_no_team_is_of_medivacs_alone():
    only = read_scenario("few", {"episode_limit": 9, "teams": {"allies": 1, "enemies": 1, "never_alone": ["medivac"],
                                                               "units": {"marine": 1, "medivac": 9}}})  # fmt: skip
    _, teams, _ = drawn(only)
    assert all(team == (["marine"], ["marine"]) for team in teams)


def test_starts_surround_or_mirror():
    _, _, places = drawn("smacv2_zerg_5_vs_5", 400)
    middle = np.linalg.norm(places[:, :5] - 16, axis=-1).max(axis=1) < 4
    assert middle.mean() == pytest.approx(0.5, abs=0.08)
    agents, enemies = places[~middle, :5], places[~middle, 5:]
    assert (agents[..., 0] < 16).all()
    assert (enemies[..., 0] > 16).all()
    order = np.argsort(agents[..., 1], axis=1), np.argsort(enemies[..., 1], axis=1)
    y = [np.take_along_axis(side[..., 1], k, axis=1) for side, k in zip((agents, enemies), order, strict=True)]
    assert np.abs(y[0] - y[1]).mean() < 0.1  # but where two had to make room
    around = places[middle, 5:] - 16
    assert (np.abs(np.abs(around[..., 0]) - np.abs(around[..., 1])) < 5).all()  # on the diagonals
    corners = [len({(x > 0, y > 0) for x, y in battle}) for battle in around]
    assert set(corners) == {1, 2, 3, 4}
    assert np.ptp(agents[..., 1]) > 25


@pytest.mark.parametrize("name", ["smacv2_terran_5_vs_5", "smacv2_protoss_20_vs_23"])
def test_no_two_units_start_in_one_another(name):
    env, _, places = drawn(name, 50)
    for b in range(50):
        contact = env.constants(b).contact
        apart = np.linalg.norm(places[b][:, None] - places[b], axis=-1)
        np.fill_diagonal(apart, np.inf)
        assert (apart > contact - 1e-4).all()


def test_what_is_recorded_is_what_was_shown_and_batches_do_not_matter():
    env, alone = Skirmish("smacv2_terran_5_vs_5", 4, seed=1), Skirmish("smacv2_terran_5_vs_5", 1, seed=1)
    step, single, rng = env.reset(), alone.reset(), np.random.default_rng(0)
    records, shown = [], []
    for _ in range(60):
        actions = np.where(step.available, rng.random(step.available.shape), -1).argmax(axis=-1)
        np.testing.assert_array_equal(step.obs[0], single.obs[0])
        step, single = env.step(actions), alone.step(actions[:1])
        going = ~(step.terminated | step.truncated)
        records.append(step.recorded["units"][going])
        shown.append([part[going] for part in (step.obs, step.state, step.available)])
        assert step.reward[0] == single.reward[0]
        over = ~going
        if over.any():
            fresh, first = env.reset(over), alone.reset(over[:1])
            step = fresh if over.all() else step
            for part in ("obs", "state", "available"):
                getattr(step, part)[over] = getattr(fresh, part)[over]
            single = first if over[0] else single
    again = env.expand({"units": np.concatenate(records)})
    for k, part in enumerate(again):
        np.testing.assert_array_equal(part, np.concatenate([moment[k] for moment in shown]))


def test_a_fight_between_drawn_teams_can_be_saved_in_its_middle():
    env = Skirmish("smacv2_protoss_5_vs_5", 3, seed=5)
    step = env.reset()
    for _ in range(10):
        step = env.step(np.where(step.available[..., 1], 1, 0))
    state, after = env.state_dict(), []
    other = Skirmish("smacv2_protoss_5_vs_5", 3, seed=6)
    other.reset()
    other.load_state_dict(state)
    for e in (env, other):
        for _ in range(15):
            last = e.step(np.where(step.available[..., 1], 1, 0))
        after.append((last.obs.tobytes(), last.reward.tobytes(), e.reset().obs.tobytes()))
    assert after[0] == after[1]


def test_units_see_and_shoot_as_far_as_their_kind_does():
    env, _, _ = drawn("smacv2_terran_5_vs_5", 20)
    for b in range(20):
        stats, names = env.constants(b).stats, [unit for unit, _, _ in env.roster(b).allies]
        ranges = {"marine": (9, 5), "marauder": (10, 6), "medivac": (11, 4)}
        assert [tuple(stats[[L.SEES, L.SHOOTS], k]) for k in range(5)] == [ranges[name] for name in names]
    zerg = Skirmish("smacv2_zerg_5_vs_5", 1, 0)
    assert set(zerg.levy.stats[L.SHOOTS]) == {2, 5}  # never less than 2


def test_a_battle_of_ones_own_by_file_by_map_and_in_python(tmp_path):
    path = tmp_path / "ambush.yaml"
    path.write_text(yaml.safe_dump({"name": "ambush", "env": "smac", "scenario": AMBUSH}))
    env = StarCraft2Env(map_name=str(path), seed=0)
    obs, state = env.reset()
    info = env.get_env_info()
    # 4 moves; 4 enemies of 2 types; 4 other agents of 2 types; oneself. Actions: a medivac may heal each of 5.
    assert info["obs_shape"] == len(obs[0]) == 4 + 4 * 7 + 4 * 7 + 3
    assert info["n_actions"] == 6 + 5
    assert info["state_shape"] == len(state) == 5 * 6 + 4 * 5 + 5 * 11
    marines, medic = list(env.agents.values())[:4], env.get_unit_by_id(4)
    assert (medic.pos, medic.energy_max) == ((7, 16, 0), 200)
    assert [unit.pos.x for unit in marines] == sorted(unit.pos.x for unit in marines)
    assert parallel_env(str(path)).battle.spec == env.battle.spec
    over = False
    while not over:
        actions = [max(np.flatnonzero(row)) for row in env.get_avail_actions()]
        _, over, info = env.step(actions)
    assert info["dead_enemies"] > 0


def test_medivacs_alone_hold_no_field():
    """SMAC's own rule needs one enemy medivac exactly; here any number of them is a victory, and of agents a defeat."""
    medics = {"unit": "medivac", "count": 2, "at": [16, 16]}
    weak = {"unit": "marine", "count": 1, "at": [12, 16]}
    strong = {"unit": "marine", "count": 9, "at": [10, 16]}
    for allies, enemies, won in (([strong, medics], [weak, medics], True), ([weak, medics], [strong], False)):
        env = Skirmish(read_scenario("m", {"episode_limit": 100, "allies": allies, "enemies": enemies}), 1, 0)
        step, team = env.reset(), Focus(env, np.random.default_rng(0))
        while not (step.terminated | step.truncated)[0]:
            step = env.step(team(env, step))
        assert step.terminated[0]
        assert step.info["battle_won"][0] == won


def test_enemies_hunt_hold_or_march():
    def distance_gone(what):
        description = AMBUSH | {"enemies_do": what, "enemies": [{"unit": "marine", "count": 1, "at": [28, 28]}]}
        env = Skirmish(read_scenario("m", description), 1, 0)
        step = env.reset()
        start = env.floats[0, [L.X, L.Y], -1].copy()
        for _ in range(8):
            step = env.step(np.where(step.available[..., 1], 1, 0))
        return env.floats[0, [L.X, L.Y], -1] - start

    assert np.abs(distance_gone("hold")).max() == 0
    assert (distance_gone("hunt") < -3).all()
    assert distance_gone([28, 4])[0] == pytest.approx(0, abs=0.1)
    assert distance_gone([28, 4])[1] < -5


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"episode_limit": 0}, "map.scenario.episode_limit=0: Input should be greater than or equal to 1"),
        ({"sigth": 5}, "map.scenario.sigth=5: Unexpected keyword argument"),
        ({"terrain": "moon"}, "map.scenario.terrain=moon is not known; use plain, or one of: 3m"),
        ({"allies": []}, "map.scenario.allies is missing"),
        ({"allies": [{"unit": "roach", "count": 1, "at": [8, 8]}]}, "map.scenario.allies.0.unit=roach: Input"),
        ({"allies": [{"unit": "marine", "count": 1, "at": [8, 80]}]}, "map.scenario.allies.0.at.1=80: Input should be"),
        ({"allies": [{"unit": "medivac", "count": 1, "at": [8, 8]}]}, "map.scenario.allies: medivacs alone cannot"),
        ({"allies": [{"unit": u, "count": 1, "at": [8, 8]} for u in ("marine", "zealot")]}, "are of several races"),
        ({"terrain": "3m", "allies": [{"unit": "marine", "count": 1, "at": [8, 31]}]}, "is blocked ground"),
        ({"teams": {"allies": 1, "enemies": 1, "units": {"marine": 1}}}, "has both teams and allies"),
        ({"enemies_do": "flee"}, "map.scenario.enemies_do"),
    ],
)  # fmt: skip
def test_a_bad_description_is_refused_in_one_line(change, complaint):
    with pytest.raises(ValueError, match=r"map\.scenario") as refusal:
        read_scenario("bad", AMBUSH | change)
    assert complaint in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(": [", "cannot be read as a scenario"), ("name: a", "has no key scenario"), (None, "cannot be read")],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path, content, complaint):
    path = tmp_path / "mine.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=complaint) as refusal:
        StarCraft2Env(str(path))
    assert "\n" not in str(refusal.value)


def test_a_run_takes_a_map_with_a_scenario_and_refuses_a_bad_one():
    fine = "+map.scenario={episode_limit: 20, teams: {allies: 2, enemies: 2, units: {stalker: 1, zealot: 1}}}"
    cfg = compose("env=smac", "env.backend=embedded", "map=3m", "map.name=mine", fine, "algo=qmix", "budget=smoke")
    choose_backend(cfg)
    parts = build(cfg, trains=False)
    assert parts.rollout.env.spec.n_agents == 2
    bad = compose("env=smac", "env.backend=embedded", "map=3m", "+map.scenario={episode_limit: 20}", "algo=qmix")
    with pytest.raises(ConfigError, match=r"map\.scenario\.allies is missing"):
        build(bad)
    with pytest.raises(ConfigError, match=r"env\.opponent=hard is not known; use default, focus, kite"):
        build(compose("env=smac", "env.backend=embedded", "map=3m", "env.opponent=hard", "algo=qmix"))


def test_keys_of_runs_made_before_do_not_change():
    def key(*more):
        return Identity.of(compose("algo=qmix", "env=smac", "map=3m", "env.backend=embedded", *more)).config_hash

    assert key() == key("env.opponent=default")
    scenario = "+map.scenario={episode_limit: 20}"
    assert len({key(), key("env.opponent=focus"), key("env.opponent=kite"), key(scenario)}) == 4


def test_opponents():
    def won(team, name, opponent):
        env = Skirmish(name, 30, 1, opponent=opponent)
        step, team = env.reset(), team(env, np.random.default_rng(0))
        over = np.zeros(30, dtype=bool)
        while not over.all():
            step = env.step(team(env, step))
            over = step.terminated | step.truncated
        return step.info["battle_won"].mean()

    assert won(Focus, "MMM", "default") > won(Focus, "MMM", "focus") + 0.3
    chase = read_scenario("chase", {
        "episode_limit": 100, "allies": [{"unit": "zealot", "count": 3, "at": [8, 16]}],
        "enemies": [{"unit": "stalker", "count": 2, "at": [20, 16]}],
    })  # fmt: skip
    assert won(Heuristic, chase, "focus") > 0.9
    assert won(Heuristic, chase, "kite") < 0.1


def test_the_real_game_plays_neither():
    rest = {"batch_size": 1, "seed": 0, "parameters": {}, "reward_sparse": False, "reward_only_positive": True,
            "reward_scale": True, "myopic_allies": "drop"}  # fmt: skip
    for more in ({"map_name": "3m", "opponent": "kite"}, {"map_name": "smacv2_zerg_5_vs_5"}):
        with pytest.raises(ValueError, match=r"embedded engine's alone; type env\.backend=embedded"):
            make("starcraft", **rest, **more)


def test_pictures_and_replays_of_drawn_teams(tmp_path):
    env = StarCraft2Env("smacv2_protoss_5_vs_5", seed=1, replay_dir=str(tmp_path))
    pictures = []
    for _ in range(3):
        env.reset()
        pictures.append(env.render("rgb_array"))
        names = [env.battle.levy.ranks[kind] for kind in env.battle.kinds[0, :5]]
        assert names == sorted(names)
        assert env.max_reward == 200 + sum(10 + u.health_max + u.shield_max for u in env.enemies.values())
    assert (pictures[0] != pictures[1]).any()
    assert env.save_replay().stat().st_size > 1000
