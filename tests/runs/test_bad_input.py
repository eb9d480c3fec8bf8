"""Whatever cannot be used is refused in one line that says what to type, before anything is written."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from macpf.runs.build import build, settle
from macpf.runs.errors import ConfigError

CONF = Path(__file__).parents[2] / "conf"


def choices(group):
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


RULES = [
    (["algo.learner.lr=-1"], "algo.learner.lr=-1", "greater than 0"),
    (["algo.learner.lr=fast"], "algo.learner.lr='fast'", "valid number"),
    (["algo.learner.gamma=1.5"], "algo.learner.gamma=1.5", "less than or equal to 1"),
    (["algo.learner.hidden_dim=0"], "algo.learner.hidden_dim=0", "greater than 0"),
    (["algo.learner.recurrent=5"], "algo.learner.recurrent=5", "boolean"),
    (["algo.learner.alpha_rule=by_hand"], "alpha_rule='by_hand'", "'shared' or 'by_gain'"),
    (["algo.learner.alpha.end=-2"], "algo.learner.alpha.end=-2", "greater than or equal to 0"),
    (["algo.learner.alpha.factor=1.5"], "factor=1.5", "between 0 and 1"),
    (["algo.learner.alpha.factor=null"], "algo.learner.alpha", "give duration"),
    (["algo.learner.alpha.end=2"], "end=2.0 is above start=1.0", "only falls"),
    (["algo.learner.alpha.per=weeks"], "alpha.per='weeks'", "'env_steps' or 'episodes'"),
    (["+algo.learner.speed=3"], "algo.learner.speed", "not a setting"),
    (["~algo.learner.lr"], "algo.learner.lr", "missing"),
    (["algo=qmix", "algo.learner.epsilon.start=1.5"], "reaches 1.5", "at most 1"),
    (["algo=fop", "algo.learner.alpha.end=0"], "alpha falls to 0.0", "above 0"),
    (["algo.replay.batch=6000"], "batch=6000", "larger than capacity=5000"),
    (["algo.replay.capacity=0"], "algo.replay.capacity=0", "greater than 0"),
    (["+algo.replay.speed=1"], "algo.replay.speed", "not a setting"),
    (["~algo.replay"], "algo.replay is missing", "macpf is off-policy"),
    (["+algo.rollout.env_steps=32"], "algo.rollout is not a setting", "off-policy algo=macpf, which has algo.replay"),
    (["algo=mappo", "~algo.rollout"], "algo.rollout is missing", "mappo is on-policy"),
    (["algo=mappo", "+algo.replay.batch=32"], "algo.replay is not a setting", "on-policy algo=mappo"),
    (["algo=mappo", "algo.rollout.env_steps=0"], "algo.rollout.env_steps=0", "greater than 0"),
    (["algo=mappo", "algo.learner.activation=gelu"], "activation='gelu'", "'relu' or 'tanh'"),
    (["map.payoff=[]"], "map.payoff=[]", "type e.g. map.payoff="),
    (["map.payoff=[[1,2],[3]]"], "map.payoff=[[1, 2], [3]]", "not a matrix of finite numbers"),
    (["map.payoff=[[1,nan]]"], "map.payoff.0.1=nan", "no finite number"),
    (["map.payoff=[[1,a]]"], "map.payoff=[[1, 'a']]", "not a matrix of finite numbers"),
    (["map.payoff=[1,2]"], "map.payoff=[1, 2]", "type e.g. map.payoff="),
    (["budget.env_steps=0"], "budget.env_steps=0", "greater than 0"),
    (["budget.eval_episodes=33"], "budget.eval_episodes=33", "use e.g. budget.eval_episodes=32"),
    (["env.parallel=0"], "env.parallel=0", "greater than 0"),
    (["seed=-1"], "seed=-1", "greater than or equal to 0"),
    (["seed=x"], "seed='x'", "valid integer"),
    (["threads=0"], "threads=0", "greater than 0"),
    (["checkpoint.every_seconds=-1"], "checkpoint.every_seconds=-1", "greater than or equal to 0"),
    (["tracking.mode=on"], "tracking.mode='on'", "'offline', 'online' or 'disabled'"),
    (["map.name=a/b"], "map.name='a/b'", "pattern"),
    (["device=tpu"], "device=tpu", "use auto, cpu or cuda"),
]


@pytest.mark.parametrize(("overrides", "what", "rule"), RULES, ids=[" ".join(rule[0]) for rule in RULES])
def test_a_bad_value_is_named_with_its_rule(configured, overrides, what, rule):
    with pytest.raises(ConfigError) as caught:
        build(configured(*overrides))
    message = str(caught.value)
    assert what in message
    assert rule in message
    assert "\n" not in message


def test_a_map_that_belongs_to_another_environment_is_refused(configured):
    with pytest.raises(ConfigError, match="map=p0_12 belongs to env=smac; type env=smac"):
        settle(configured("map.env=smac"))


ALGOS, MAPS = choices("algo"), choices("map")


# Centralised control has a limit of its own (tests/baselines/test_central.py).
@pytest.mark.parametrize("algo", [algo for algo in ALGOS if algo != "central"])
@pytest.mark.parametrize("map_", MAPS)
def test_every_algorithm_fits_every_map(configured, algo, map_):
    env = OmegaConf.load(CONF / "map" / f"{map_}.yaml").env
    cfg = configured(f"algo={algo}", f"env={env}", f"map={map_}")
    settle(cfg)
    parts = build(cfg)
    assert parts.algorithm.policies[0] == "independent"


COMMANDS = [
    (["algo=foo"], f"algo=foo is not known; choose one of: {', '.join(ALGOS)}"),
    (["map=nope"], f"map=nope is not known; choose one of: {', '.join(MAPS)}"),
    (["seeed=3"], "there is no key seeed; did you mean seed?"),
    (["algo.learner.lrr=3"], "did you mean algo.learner.lr?"),
    (["seed"], "missing EQUAL"),
    (["algo.learner.lr=-1"], "algo.learner.lr=-1: input should be greater than 0"),
    (["threads=0"], "threads=0: input should be greater than 0"),
    (["seed=1.0"], "seed=1.0: input should be a valid integer"),
    (["experiment=figure4"], "did you mean +experiment?"),
    (["map=8m"], "map=8m belongs to env=smac; type env=smac, or a map of matrix_game"),
    (["-m", "algo=qmix,typo"], "algo=typo is not known; choose one of"),
    (["-m", "seed=0,x"], "seed='x'"),
    (["-m", "map=p0_12,8m"], "map=8m belongs to env=smac"),
    (["-m", "seed=0,0"], "seed=0 stands twice in this sweep"),
    (["-m", "mode=train,render"], "mode=render draws one episode and sweeps nothing"),
    (["-m", "--cfg", "job"], "leave -m and lists out"),
    (["-m", "hydra.launcher.n_jobs=0", "seed=0,1"], "n_jobs=0 plays nothing"),
    (["-m", "seed=0,1", "algo.learner.lr=0.1,-1"], "algo.learner.lr=-1: input should be greater than 0"),
]


@pytest.mark.parametrize(("arguments", "message"), COMMANDS, ids=[" ".join(command[0]) for command in COMMANDS])
def test_the_command_line_says_it_in_one_line_and_ends_with_2(command, tmp_path, arguments, message):
    done = command(*arguments)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert not done.stdout
    assert not list(tmp_path.rglob("status.json"))
    assert not list(tmp_path.rglob("wandb"))
