"""profile=release is what was released, whatever is tuned for a task, and nothing where nothing was released."""

from itertools import product

import pytest
from omegaconf import OmegaConf

from macpf.choices import sweep_params
from macpf.configuration import CONF, compose
from macpf.runs.build import build, choose_backend
from macpf.runs.errors import ConfigError

MAPS = sorted(
    path.stem
    for path in (CONF / "map").glob("*.yaml")
    if "env: smac" in path.read_text() and not path.stem.startswith("smacv2_")
)
#: What the authors' own files say, where the paper says otherwise or nothing.
RELEASED = {
    "macpf": {
        "learner.td_lambda": 0.8,
        "learner.dependency_set": "visible",
        "learner.trunk_gradient": True,
        "learner.entropy": "mean",
        "learner.terminal_entropy": True,
        "learner.epsilon": [1.0, 0.05, 50000],
        "learner.epsilon_mixing": "all",
        "learner.alpha": [0.001, 0.001, 200000],
        "learner.plan": "in_turn",
    },
    "fop": {
        "learner.td_lambda": 0.8,
        "learner.alpha": [0.5, 0.05, 90000],
        "learner.terminal_entropy": True,
        "learner.attention_mean": "padded",
        "learner.plan": "in_turn",
    },
    "qplex": {"replay.updates_per_episode": 2, "learner.target_interval": 100, "learner.attention_mean": "padded"},
}


def flat(value):
    if not OmegaConf.is_config(value):
        return value
    assert value.per == "env_steps"
    assert value.factor is None
    return [value.start, value.end, value.duration]


def test_there_are_all_maps():
    assert len(MAPS) == 25


@pytest.mark.parametrize(("algo", "map"), list(product(RELEASED, ["3m", "MMM2", "corridor", "3s5z_vs_3s6z"])))
def test_the_release_is_the_same_on_every_map(algo, map):
    cfg = compose(f"algo={algo}", "env=smac", f"map={map}", "profile=release")
    assert {key: flat(OmegaConf.select(cfg.algo, key)) for key in RELEASED[algo]} == RELEASED[algo]
    assert cfg.env.parallel == 1


def test_no_file_for_a_map_changes_what_the_profile_sets():
    """On every map that has a file of its own."""
    for algo in ("macpf", "qplex"):
        own = OmegaConf.load(CONF / "profile" / "release" / f"{algo}.yaml")
        for map in MAPS:
            if (CONF / "task" / algo / f"{map}.yaml").exists():
                cfg = compose(f"algo={algo}", "env=smac", f"map={map}", "profile=release")
                assert OmegaConf.merge(cfg, own) == cfg, (algo, map)


@pytest.mark.parametrize("map", sweep_params("table2")["map"].split(","))
def test_table_2_runs_fop_and_qplex_at_their_default_settings(map):
    """Appendix C.2: "For QMIX, QPLEX, FOP, and MAPPO, we use their default setting of each map"."""
    fop, qplex = (compose(f"algo={algo}", "env=smac", f"map={map}").algo for algo in ("fop", "qplex"))
    assert flat(fop.learner.alpha) == [0.5, 0.05, 90000]  # max(0.05, 0.5 - t / 200000) in fop_learner.py
    assert qplex.replay.updates_per_episode == 1  # num_circle in config/default.yaml
    assert qplex.learner.target_interval == 200


def test_what_is_typed_wins_over_the_profile():
    cfg = compose("algo=macpf", "env=smac", "map=3m", "profile=release", "algo.learner.td_lambda=0.5")
    assert cfg.algo.learner.td_lambda == 0.5


def test_the_papers_profile_keeps_what_is_tuned():
    cfg = compose("algo=macpf", "env=smac", "map=MMM2")
    assert flat(cfg.algo.learner.alpha)[:2] == [0.001, 0.001]
    assert flat(compose("algo=macpf", "env=smac", "map=3m").algo.learner.alpha) == [0.5, 0.05, 200000]


@pytest.mark.parametrize("algo", ["macpf", "macpf_control", "macpf_nonlinear", "macpf_att", "fop", "qplex", "mappo"])
def test_the_release_can_be_built(algo):
    cfg = compose(f"algo={algo}", "env=smac", "map=3m", "env.backend=embedded", "profile=release", "device=cpu")
    choose_backend(cfg)
    assert build(cfg).algorithm.reads_after_end is (algo != "mappo")


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["algo=macpf", "env=mpe"], "no settings for env=mpe, only for smac; type profile=paper"),
        (["algo=fop", "env=matrix_game"], "no settings for env=matrix_game"),
        (["algo=macpf_theorem2", "env=smac", "map=3m", "env.backend=embedded"], "no settings for algo=macpf_theorem2"),
        (["algo=central", "env=smac", "map=3m", "env.backend=embedded"], "no settings for algo=central"),
    ],
    ids=str,
)
def test_it_is_refused_where_nothing_was_released(overrides, says):
    cfg = compose(*overrides, "profile=release", "device=cpu")
    choose_backend(cfg)
    with pytest.raises(ConfigError, match=says):
        build(cfg)


@pytest.mark.parametrize("toggle", sorted(path.stem for path in (CONF / "toggle").glob("*.yaml")))
def test_each_toggle_turns_one_thing_back(toggle):
    """And can be built; `as_released` turns nothing back."""
    base = ["algo=macpf", "env=smac", "map=3m", "env.backend=embedded", "profile=release", "device=cpu"]
    released, changed = compose(*base), compose(*base, f"+toggle={toggle}")
    build(changed)
    keys = [("algo.learner", key) for key in released.algo.learner] + [("env", "parallel")]
    different = {
        key for group, key in keys if OmegaConf.select(released, group)[key] != OmegaConf.select(changed, group)[key]
    }
    expected = {"as_released": set(), "joint_entropy": {"entropy", "terminal_entropy"}}
    assert different == expected.get(toggle, different)
    assert len(different) == 1 or toggle in expected
