"""Short forms of the checks against the real game, and of the commands that make them."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks.engine_vs_game import fit, learning, random_play
from benchmarks.engine_vs_game.__main__ import main
from benchmarks.engine_vs_game.policies import SLOTS, Recurrent, play_all, weights
from benchmarks.engine_vs_game.real_game import POLICY_MAPS, kolmogorov_smirnov
from macpf.envs.smac.maps import MOVES, load_map
from macpf.envs.smac.skirmish.battles import Skirmish

SIZE = 8


def test_random_teams_live_as_long_and_earn_as_much_as_in_the_real_game():
    """The bounds are twice what 300 battles a map leave."""
    rows = {name: random_play.compare(name, 50, (0,), {}) for name in ("3m", "8m_vs_9m", "2s3z", "10m_vs_11m")}
    for name, row in rows.items():
        assert abs(row.lengths[1] / row.lengths[0] - 1) < 0.15, name
        assert not abs(row.apart) > 3, name  # nan: no returns are known
        assert row.of_lengths < 0.4, name


def test_real_lengths_of_the_engine_as_it_was_are_told_apart():
    """25m took twice as long: the distance must see that."""
    assert kolmogorov_smirnov(np.full(20, 36.0), np.full(50, 70.0)) == 1
    assert kolmogorov_smirnov(np.arange(20.0), np.arange(20.0)) == 0
    assert np.isnan(kolmogorov_smirnov(np.ones(4), np.ones(50)))


def stored_policy(folder, map_name, prefers):
    """A network as that repository stores it, which always takes the available action that comes last in `prefers`."""
    smac_map = load_map(map_name)
    n_actions, inputs = len(prefers), smac_map.obs_dim() + len(prefers) + smac_map.n_agents
    cell = {f"rnn.{k}": torch.zeros_like(v) for k, v in torch.nn.GRUCell(SIZE, SIZE).state_dict().items()}
    bias = torch.zeros(n_actions)
    bias[list(prefers)] = torch.arange(float(n_actions))
    layers = {"fc1.weight": (SIZE, inputs), "fc1.bias": (SIZE,), "fc2.weight": (n_actions, SIZE)}
    parameters = {name: torch.zeros(shape) for name, shape in layers.items()} | cell | {"fc2.bias": bias}
    weights, results = (folder / kind / "qmix" / map_name for kind in ("model", "result"))
    weights.mkdir(parents=True)
    results.mkdir(parents=True)
    torch.save(parameters, weights / "rnn_net_params.pkl")
    np.save(results / "win_rates_0.npy", np.array([0.0, 1.0, 1.0, 1.0, 1.0, 0.5]))


def test_stored_policies_are_played_as_they_are(tmp_path):
    """One always shoots at the first enemy that can be shot, the other never does anything."""
    stored_policy(tmp_path, "3m", (0, 2, 3, 4, 5, 1, 8, 7, 6))  # stop until somebody is in range
    stored_policy(tmp_path, "2s_vs_1sc", (0, 2, 3, 4, 5, 6, 1))
    shooter, idle = play_all(tmp_path, ("3m", "2s_vs_1sc"), 50, 0, {})
    assert shooter.real == idle.real == pytest.approx(0.9)
    assert idle.engine == 0
    assert (shooter.map_name, shooter.algorithm) == ("3m", "qmix")


def test_rules_for_slots_are_orders_of_all_enemies():
    for smac_map in map(load_map, POLICY_MAPS):
        for rule in SLOTS.values():
            assert sorted(rule(smac_map)) == list(range(smac_map.n_enemies))
    assert SLOTS["reversed"](load_map("3m")) == [2, 1, 0]
    assert SLOTS["types"](load_map("2s3z")) == [2, 3, 4, 0, 1]


def test_a_policy_sees_and_shoots_by_slots(tmp_path):
    """It always shoots at its first slot; reversed, the engine's last enemy stands there, in observations, too."""
    stored_policy(tmp_path, "3m", (0, 1, 2, 3, 4, 5, 8, 7, 6))
    env = Skirmish("3m", 1, 0)
    policy = Recurrent(weights(tmp_path, "qmix", "3m"), env, "reversed")
    available = np.ones((1, 3, 9), dtype=np.bool_)
    assert policy(env.reset().obs, available).tolist() == [[8, 8, 8]]
    available[..., 8] = False
    assert policy(env.reset().obs, available).tolist() == [[7, 7, 7]]
    row = env.map.enemy_row
    assert policy.seen[MOVES : MOVES + row].tolist() == list(range(MOVES + 2 * row, MOVES + 3 * row))
    assert sorted(policy.seen) == list(range(env.spec.obs_dim))


def test_a_policy_of_another_size_is_refused(tmp_path):
    stored_policy(tmp_path, "3m", range(8))
    with pytest.raises(ValueError, match="8 actions"):
        play_all(tmp_path, ("3m",), 50, 0, {})


def runs(win_rate, version="2", env_steps=300_000):
    """Two finished runs of QMIX on 2s3z, evaluated each 10,000 env steps."""
    rows = [
        (f"r{seed}", "qmix", "smac", "2s3z", "embedded", seed, step, learning.METRIC, win_rate)
        for seed in (0, 1)
        for step in range(0, 310_000, 10_000)
    ]
    columns = ["run", "algo", "env", "map", "backend", "seed", "env_step", "metric", "value"]
    report = pd.DataFrame({"run": ["r0", "r1"], "counts": [True, True], "total": [env_steps] * 2})
    configs = {name: {"engine_version": version} for name in ("r0", "r1")}
    return SimpleNamespace(frame=pd.DataFrame(rows, columns=columns), report=report, configs=configs)


def test_learning_lies_inside_the_range_of_real_runs_or_does_not():
    inside, outside = (learning.compare(runs(rate))["2s3z"][300_000] for rate in (0.65, 0.95))
    assert inside.ours == (0.65, 0.65)
    assert inside.inside
    assert not outside.inside
    assert len(inside.real) == 5
    assert "at 300,000 env steps on 1 of 1 maps, at all 3 on 0" in learning.report(learning.compare(runs(0.65)))


@pytest.mark.parametrize("changed", [{"version": "1"}, {"env_steps": 2000}])
def test_runs_of_another_version_or_budget_are_not_compared(changed):
    with pytest.raises(ValueError, match="no finished run of qmix"):
        learning.compare(runs(0.65, **changed))


def test_a_level_is_the_mean_of_the_window_before():
    assert learning.level([50_000, 60_000, 100_900], [0.0, 0.25, 0.75], 100_000) == 0.5
    assert np.isnan(learning.level([10_000], [1.0], 100_000))


def test_real_curves_are_whole():
    curves = json.loads(learning.CURVES.read_text())
    for name, known in curves["maps"].items():
        for run in known:
            steps, win_rates = zip(*run["win_rates"], strict=True)
            assert list(steps) == sorted(steps)
            assert all(0 <= rate <= 1 for rate in win_rates)
            assert run["source"] < len(curves["sources"])
        assert all(len(learning.real_levels(name, at)) >= 1 for at in learning.STEPS)


def test_the_fit_takes_what_is_better_twice(monkeypatch):
    """A value that wins with the seeds that chose it alone is noise."""
    values = {("push", 0.1): (0.3, 0.5), ("push", 0.3): (0.4, 0.4)}

    def objective(given, episodes, seeds):
        tried = next(((k, v) for k, v in given.items()), None)
        return values.get(tried, (0.5, 0.5))[seeds == fit.OTHER_SEEDS]

    monkeypatch.setattr(fit, "objective", objective)
    told = []
    assert fit.fit({}, ["push"], 1, told.append) == {"push": 0.3}
    assert told[0] == "0.500 at the start, 0.500 with other seeds"


def test_commands_refuse_what_is_not_there(tmp_path, capsys):
    assert main(["learning", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("engine_vs_game: ")
    assert main(["random", "--maps", "3m", "--episodes", "1", "--seeds", "1", "--set", "pushh=1"]) == 2
    assert "pushh" in capsys.readouterr().err
