"""Whatever cannot be used is refused in one line that says what to type, before anything is written."""

from pathlib import Path

import pyarrow as pa
import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra._internal.utils import get_args_parser
from omegaconf import OmegaConf, open_dict

from analysis.__main__ import main as analyse
from macpf.arguments import folder
from macpf.configuration import CONF, compose
from macpf.extensions import BrokenEntryPoint
from macpf.runs import cluster, job, reproduce
from macpf.runs.build import build, choose_backend
from macpf.runs.command_line import Options, check_additions, check_choices, with_quoted_folder
from macpf.runs.errors import ConfigError, RunRefused
from macpf.runs.identity import Identity
from macpf.runs.job import run
from macpf.runs.settings import Budget, ReplaySettings, RolloutSettings, check_that_it_learns
from macpf.runs.sweep import Sweep


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
    (["algo.labels=3"], "algo.labels=3", "valid dictionary"),
    (["algo.labels.independent=null"], "algo.labels.independent=None", "valid string"),
    (["algo.family=null"], "algo.family=None", "valid string"),
    (["profile.only=3"], "profile.only=3", "valid dictionary"),
    (["env=smac", "env.backend=embedded", "env.make.reward_scale=no"], "reward_scale=no", "give true or false"),
    (
        ["env=smac", "map=3m", "env.backend=starcraft", "env.make.reward_scale=no"],
        "reward_scale=no",
        "give true or false",
    ),
    (["env=smac", "env.backend=embedded", "env.make.reward_sparse=3"], "reward_sparse=3", "give true or false"),
    (["env=mpe", "env.make.end_at_success=no"], "end_at_success=no", "give true or false"),
    (["env=mpe", "env.make.n_agents=1.5"], "n_agents=1.5", "give a whole number"),
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
    (["map.payoff=[[1,nan]]"], "map.payoff.0.1=nan", "not a finite number"),
    (["map.payoff=[[1,a]]"], "map.payoff=[[1, 'a']]", "not a matrix of finite numbers"),
    (["map.payoff=[1,2]"], "map.payoff=[1, 2]", "type e.g. map.payoff="),
    (["map.payoff=[[1,-inf]]"], "map.payoff.0.1=-inf", "not a finite number"),
    (["algo.learner.lr=inf"], "algo.learner.lr=inf", "not a finite number"),
    (["checkpoint.every_seconds=nan"], "checkpoint.every_seconds=nan", "not a finite number"),
    (["budget.env_steps=9223372036854775808"], "budget.env_steps=9223372036854775808", "more than 64 bits"),
    (["seed=9223372036854775808"], "seed=9223372036854775808", "more than 64 bits"),
    (["threads=5000"], "threads=5000", "less than or equal to 1024"),
    (["env.parallel=20000"], "env.parallel=20000", "less than or equal to 10000"),
    (["env.eval_parallel=20000"], "env.eval_parallel=20000", "less than or equal to 10000"),
    (["budget.eval_episodes=3200000"], "budget.eval_episodes=3200000", "less than or equal to 1000000"),
    (["tracking.project=a/b"], "tracking.project", "W&B takes no project that has /; type e.g. tracking.project=macpf"),
    (["tracking.project=''"], "tracking.project", "has no name"),
    (["map.name=.."], "map.name='..'", "pattern"),
    (["budget.name=.."], "budget.name='..'", "pattern"),
    (["algo.replay.capacity=64"], "burn_in=100 is larger than capacity=64", "use a capacity of at least 100"),
    (["algo.replay.burn_in=500"], "algo.replay.burn_in=500", "budget.env_steps=400 gives 400 at most"),
    (["algo.replay.batch=500"], "algo.replay.batch=500", "budget.env_steps=400 gives 400 at most"),
    (["algo=mappo", "algo.rollout.env_steps=500"], "algo.rollout.env_steps=500", "budget.env_steps=400 ends before"),
    (["algo.learner.hidden_dim=10000000000"], "algo.learner: RuntimeError", "can't allocate memory"),
    (["budget.env_steps=0"], "budget.env_steps=0", "greater than 0"),
    (["budget.eval_episodes=33"], "budget.eval_episodes=33", "use e.g. budget.eval_episodes=32"),
    (["env.parallel=0"], "env.parallel=0", "greater than 0"),
    (["seed=-1"], "seed=-1", "greater than or equal to 0"),
    (["seed=x"], "seed='x'", "valid integer"),
    (["threads=0"], "threads=0", "greater than 0"),
    (["checkpoint.every_seconds=-1"], "checkpoint.every_seconds=-1", "greater than or equal to 0"),
    (["tracking.mode=on"], "tracking.mode='on'", "'offline', 'online' or 'disabled'"),
    (["checkpoint.keep=5"], "checkpoint.keep: env steps are a list", "type checkpoint.keep=[5]"),
    (["tracking.tags=5"], "tracking.tags: tags are a list", "type tracking.tags=[5]"),
    (["algo.learner.alpha=0.1"], "alpha=0.1", "type algo.learner.alpha.start=0.1 algo.learner.alpha.end=0.1"),
    (["algo.learner.alpha=low"], "alpha='low'", "type algo.learner.alpha.start=0.1 algo.learner.alpha.end=0.1"),
    (["map.name=a/b"], "map.name='a/b'", "pattern"),
    (["device=tpu"], "device=tpu", "use auto, cpu or cuda"),
    (["~algo.learner.gamma"], "algo.learner.gamma", "is missing"),
    (["+algo.learner.beta=1"], "algo.learner.beta is not a setting of ", "leave it out"),
    (["~algo.learner._target_"], "algo.learner has no _target_", "e.g. _target_: baselines.qmix.QMIX"),
    (["algo.learner=null"], "algo.learner has no _target_", "e.g. _target_: baselines.qmix.QMIX"),
    (["env.make=null"], "env.make has no _target_", "which names the class to make"),
    (
        ["algo.learner._target_=baselines.qmix"],
        "_target_=baselines.qmix is no class",
        "name one, e.g. baselines.qmix.QMIX",
    ),
    (["algo.learner._target_=5"], "_target_=5 is no class", "name one, e.g. baselines.qmix.QMIX"),
    (["algo.learner._target_=baselines.qmix.Q"], "algo.learner._target_=baselines.qmix.Q", "baselines.qmix has no Q"),
    (["algo.learner._target_=no.Q"], "algo.learner._target_=no.Q cannot be used: ", "No module named 'no'"),
]


@pytest.mark.parametrize(("overrides", "what", "rule"), RULES, ids=[" ".join(rule[0]) for rule in RULES])
def test_a_bad_value_is_named_with_its_rule(configured, overrides, what, rule):
    with pytest.raises(ConfigError) as caught:
        build(configured(*overrides))
    message = str(caught.value)
    assert what in message
    assert rule in message
    assert "\n" not in message


def test_why_a_class_of_ones_own_cannot_be_imported_is_said(configured, tmp_path, monkeypatch):
    (tmp_path / "of_mine.py").write_text("\nimport nothing_of_the_kind\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError) as caught:
        build(configured("algo.learner._target_=of_mine.Mine"))
    assert str(caught.value) == (
        "algo.learner._target_=of_mine.Mine cannot be used: ModuleNotFoundError: "
        f"No module named 'nothing_of_the_kind' ({tmp_path / 'of_mine.py'}, line 2)"
    )


def test_a_class_of_ones_own_speaks_for_itself(configured, tmp_path, monkeypatch):
    lines = ["def Mine(**settings):", "    try:", "        1 / 0", "    except ZeroDivisionError as error:"]
    (tmp_path / "of_mine_too.py").write_text(
        "\n".join([*lines, "        raise ValueError('take more') from error", ""])
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"^algo\.learner: take more$"):
        build(configured("algo.learner._target_=of_mine_too.Mine"))


def test_a_map_that_belongs_to_another_environment_is_refused(configured):
    with pytest.raises(ConfigError, match="map=p0_12 belongs to env=smac; type env=smac"):
        choose_backend(configured("map.env=smac"))


ALGOS, MAPS = choices("algo"), choices("map")


def pairs():
    """Each algorithm with each map; `make test` takes one algorithm in turn for each map."""
    algos = [algo for algo in ALGOS if algo != "central"]  # has a limit of its own (tests/baselines/test_central.py)
    for number, map_ in enumerate(MAPS):
        for algo in algos:
            often = algo == algos[number % len(algos)]
            yield pytest.param(algo, map_, marks=[] if often else pytest.mark.long)


@pytest.mark.parametrize(("algo", "map_"), list(pairs()))
def test_every_algorithm_fits_every_map(configured, algo, map_):
    env = OmegaConf.load(CONF / "map" / f"{map_}.yaml").env
    cfg = configured(f"algo={algo}", f"env={env}", f"map={map_}")
    choose_backend(cfg)
    parts = build(cfg)
    assert parts.algorithm.policies[0] == "independent"


COMMANDS = [
    (["algo=foo"], f"algo=foo is not known; did you mean fop? choose one of: {', '.join(ALGOS)}"),
    (["env=smac", "map=MMM3"], "map=MMM3 is not known; did you mean MMM or MMM2? choose one of: 10m_vs_11m"),
    (
        ["env=mpe", "map=lin_control"],
        "map=lin_control is not known; did you mean line_control or formation_control? choose one of",
    ),
    (["algo=QMIX"], "algo=QMIX is not known; did you mean qmix? choose one of"),
    (["map=nope"], f"map=nope is not known; choose one of: {', '.join(MAPS)}"),
    (["seeed=3"], "there is no key seeed; did you mean seed?"),
    (["algo=qmix", "lr=0.01"], "there is no key lr; did you mean algo.learner.lr?"),
    (["algo.learner.lrr=3"], "did you mean algo.learner.lr?"),
    (["seed"], "missing EQUAL"),
    (["foo"], "missing EQUAL sign after foo; type key=value, e.g. algo=qmix"),
    (["mode=evaluate", "/"], "/ is a folder; type run=/"),
    (["-m", "algo=qmix,"], "algo=qmix, has a comma without a value beside it"),
    (["task=foo"], "task=foo cannot be typed: what a task changes follows from algo, env and map"),
    (["env.backend=foo"], "env.backend=foo, but env=matrix_game has only builtin; leave env.backend out"),
    (["algo.learner.lr=-1"], "algo.learner.lr=-1: input should be greater than 0"),
    (["threads=0"], "threads=0: input should be greater than 0"),
    (["seed=1.0"], "seed=1.0: input should be a valid integer"),
    (["+sede=3"], "there is no key sede, so +sede would change nothing; did you mean seed?"),
    (["outputs="], "outputs= names no folder; type e.g. outputs=outputs"),
    (["map=3"], "map=3 is not known; did you mean 3m? choose one of: 10m_vs_11m"),
    (["--nope"], "unrecognized arguments: --nope; `python run.py --help` shows what can be typed"),
    (["experiment=figure4"], "did you mean +experiment?"),
    (["map=8m"], "map=8m belongs to env=smac; type env=smac, or a map of matrix_game"),
    (
        ["hydra/launcher=slrm"],
        "did you mean slurm or slurm_gpu? choose one of: local, slurm, slurm_gpu, slurm_preemptible",
    ),
    (["-m", "algo=qmix,typo"], "algo=typo is not known; choose one of"),
    (["-m", "seed=0,x"], "seed='x'"),
    (["-m", "map=p0_12,8m"], "map=8m belongs to env=smac"),
    (["-m", "seed=0,0"], "seed=0 occurs twice in this sweep"),
    (["-m", "mode=train,render"], "mode=render draws one episode and sweeps nothing"),
    (["-m", "--cfg", "job"], "leave -m and lists out"),
    (["-m", "hydra.launcher.n_jobs=0", "seed=0,1"], "n_jobs=0 runs nothing"),
    (["-m", "seed=0,1", "algo.learner.lr=0.1,-1"], "algo.learner.lr=-1: input should be greater than 0"),
]


@pytest.mark.parametrize(("arguments", "message"), COMMANDS, ids=[" ".join(command[0]) for command in COMMANDS])
def test_the_command_line_says_it_in_one_line_and_ends_with_2(attempt, arguments, message):
    code, said, (line,), left = attempt(arguments)
    assert code == 2
    assert line.startswith("error: ")
    assert message in line
    assert not said
    assert not left


def test_a_choice_of_ones_own_folder_is_suggested(attempt, tmp_path):
    (tmp_path / "mine" / "algo").mkdir(parents=True)
    (tmp_path / "mine" / "algo" / "mine_own.yaml").write_text("defaults: [qmix]\n")
    code, _, (line,), _ = attempt([f"hydra.searchpath=[file://{tmp_path}/mine]", "algo=mine_on"])
    assert code == 2
    assert "algo=mine_on is not known; did you mean mine_own? choose one of: " in line


def test_an_error_in_the_code_is_shown_without_hydras_frames(attempt, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("of one's own")

    monkeypatch.setattr(job, "run", broken)
    code, _, lines, _ = attempt(["algo=qmix"])
    assert code == 1
    assert lines[-1] == "ZeroDivisionError: of one's own"
    assert "macpf/runs/launch.py" in lines[1]
    assert not any("/hydra/" in line for line in lines)


@pytest.mark.parametrize("arguments", [["algo=foo"], ["-m", "seed=0,x"]], ids=" ".join)
def test_so_it_does_in_a_process_of_its_own(command, tmp_path, arguments):
    done = command(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_folders_and_long_lists_are_no_mistakes(attempt, tmp_path):
    for name in ("algo=qmix", "seed=0"):  # as in a folder of runs
        (tmp_path / "here" / name).mkdir()
    seeds = ",".join(map(str, range(100)))
    check_choices(["algo=qmix", "seed=0", f"seed={seeds}", r"tracking.notes=a\,", "tracking.notes='a,,b'"])
    assert attempt(["algo=qmix", "seed=0", "budget=smoke"])[0] == "accepted"


ADDED = [
    ("sede", "3", "seed"),
    ("env.paralel", "4", "env.parallel"),
    ("algo.lr", "0.1", "algo.learner.lr"),
    ("map.enemies", "4", ""),
    ("budget.steps", "4", ""),
    ("foo.bar", "4", ""),
    ("foo", "null", ""),
]


@pytest.mark.parametrize(("key", "value", "meant"), ADDED)
@pytest.mark.parametrize("plus", ["+", "++"])
def test_an_added_key_that_nothing_reads_is_refused_with_the_nearest(configured, plus, key, value, meant):
    with pytest.raises(ConfigError, match=rf"there is no key {key}, so \+{key} would change nothing; ") as caught:
        check_additions(configured(f"{plus}{key}={value}"), [f"{plus}{key}={value}"])
    assert not meant or f"did you mean {meant}? " in str(caught.value)


READ = [
    ["env=pettingzoo", "+env.kwargs.N=5"],
    ["env=pettingzoo", "+env.kwargs.render_mode=null"],
    ["++seed=3"],
    ["++env.parallel=4"],
    ["++algo.learner.lr=0.1"],
    ["++budget.env_steps=1000"],
]


@pytest.mark.parametrize("overrides", READ, ids=" ".join)
def test_an_added_key_that_is_read_is_taken(configured, overrides):
    check_additions(configured(*overrides), overrides)


def test_keys_that_files_of_ones_own_bring_are_taken(tmp_path):
    (tmp_path / "conf" / "map").mkdir(parents=True)
    (tmp_path / "conf" / "mine").mkdir()
    (tmp_path / "conf" / "map" / "own.yaml").write_text("name: own\nenv: matrix_game\npayoff: [[1]]\nnote: mine\n")
    (tmp_path / "conf" / "mine" / "x.yaml").write_text("a: 3\n")
    overrides = ["map=own", f"hydra.searchpath=[file://{tmp_path}/conf]", "+mine=x", "mine.a=4"]
    cfg = compose("budget=smoke", *overrides)
    check_additions(cfg, overrides)
    assert build(cfg).rollout.env.spec.n_actions == 1


def test_a_long_enough_budget_or_overshoot_lets_a_run_learn():
    budget = Budget("own", env_steps=100, eval_interval=100, eval_episodes=32)
    check_that_it_learns(RolloutSettings(env_steps=109), budget, parallel=2, episode_limit=5)  # 99 + 2 * 5
    with pytest.raises(ConfigError, match=r"type algo\.rollout\.env_steps=100 or less"):
        check_that_it_learns(RolloutSettings(env_steps=110), budget, parallel=2, episode_limit=5)
    replay = {"capacity": 500, "batch": 1, "updates_per_episode": 1}
    check_that_it_learns(ReplaySettings(burn_in=104, **replay), budget, parallel=8, episode_limit=5)  # 13 rounds of 8
    with pytest.raises(ConfigError, match="gives 104 at most"):
        check_that_it_learns(ReplaySettings(burn_in=105, **replay), budget, parallel=8, episode_limit=5)


@pytest.mark.parametrize("seed", [0, 2**63 - 1])
def test_the_seeds_at_the_ends_of_their_domain_play_and_are_read_again(configured, seed):
    cfg = configured("algo=qmix", f"seed={seed}", "budget.env_steps=40", "algo.replay.batch=8", "algo.replay.burn_in=8")
    run(cfg)
    assert f"seed={seed}" in str(Identity.of(cfg).folder)
    assert pa.array([seed], pa.int64()).to_pylist() == [seed]


def test_folders_of_any_name_are_trained_in(command_here, tmp_path):
    folder = "bob's own, [runs]"
    settings = ["algo=qmix", "budget=smoke", "budget.env_steps=40", "algo.replay.batch=8", "algo.replay.burn_in=8"]
    sweep = ["-m", *settings, "tracking=disabled", f"outputs={folder}", "seed=0,1", "hydra.launcher.n_jobs=1"]
    done = command_here(*sweep)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / folder).rglob("status.json"))) == 2
    done = command_here(*settings, "tracking=disabled", f"outputs={folder}", "seed=1")
    assert "finished already, nothing to do" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == [folder]


def test_the_tilde_is_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/bob")
    assert with_quoted_folder("outputs=~/runs") == "outputs='/home/bob/runs'"
    assert with_quoted_folder("outputs=~") == "outputs='/home/bob'"
    assert folder("~/runs") == Path("/home/bob/runs")


@pytest.mark.parametrize(("arguments", "line"), [
    (["--runs="], "argument --runs: it is empty"),
    (["--seeds=1000000000"], "1000000000 is no number from 1 to 1,000"),
    (["--seeds=0"], "0 is no number from 1 to 1,000"),
    (["--nope"], "unrecognized arguments: --nope"),
    (["--budget=../algo/qmix"], "budget=../algo/qmix is not known; choose one of: archive, laptop, paper, smoke"),
    (["--backend=../x"], "--backend: invalid choice: '../x' (choose from 'embedded', 'starcraft', 'auto')"),
    (["seed=9223372036854775808"], "needs more than 64 bits; type a smaller number"),
    (["algo=.."], "algo=.. is not known"),
    (["+sede=3"], "there is no key sede"),
])  # fmt: skip
def test_reproduce_says_it_in_one_line(capsys, tmp_path, arguments, line):
    given = ["figure4", "--dry-run", f"--runs={tmp_path}", *arguments]
    try:
        code = reproduce.main(given)
    except SystemExit as end:
        code = end.code
    said = capsys.readouterr()
    assert code == 2
    assert line in said.err
    assert len(said.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_sweeper_that_searches_is_left_to_choose_the_runs(capsys):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = hydra_compose("config", ["budget=smoke"], return_hydra_config=True)
        with open_dict(cfg):
            cfg.hydra.overrides.task = ["algo.learner.lr=interval(1e-4,1e-2)", "budget=smoke"]
            cfg.hydra.sweeper._target_ = "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper"
            cfg.hydra.job.config_name = "config"
        sweep = Sweep()
        sweep.on_multirun_start(cfg)
        sweep.on_multirun_end(cfg)
        assert "The sweeper chooses the runs during the search" in capsys.readouterr().out
        cfg.hydra.overrides.task.append("algo.learner.gamma=7")
        with pytest.raises(SystemExit) as end:
            sweep.on_multirun_start(cfg)
    assert end.value.code == 2
    assert "algo.learner.gamma=7" in capsys.readouterr().err


def test_the_options_are_those_of_the_installed_hydra():
    def of(parser):
        return {
            (tuple(action.option_strings), action.nargs == "?", tuple(action.choices or ()), action.nargs == 0)
            for action in parser._actions
        }

    assert of(Options()) == of(get_args_parser())


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("algo/mine.yaml", "name: qmix", "has name: qmix; write name: mine"),
        ("algo/mine.yaml", "labels: {independent: mine}", "has no name; write name: mine"),
        ("task/mine/p0_12.yaml", "learner: {lr: 0.1}", "conf/task changes nothing, as it lacks its first line"),
        ("task/mine/p0_12.yaml", "# @package _global_\nalgo: {learner: {lr: 0.1}}", ""),
        ("algo/qmix.yaml", "name: qmix", "algo/qmix.yaml has the same name; give it another"),
        ("toggle/mine.yaml", "algo: {learner: {lr: 0.1}}", "conf/toggle changes nothing, as it lacks its first line"),
        ("task/mime/p0_12.yaml", "# @package _global_", "task/mime belongs to no algorithm"),
        ("task/mine/p0_12.yml", "# @package _global_", "p0_12.yml is not read; give it the ending .yaml"),
        ("profile/release/mime.yaml", "# @package algo", "release/mime.yaml belongs to no algorithm"),
        ("profile/release/mine.yaml", "# @package algo", "mine.yaml is not read: profiles hold for families, and mine"),
        ("env/mine.yaml", "defaults: [mpe, _self_]\nname: mpe", "has name: mpe; write name: mine"),
        ("env/mine.yaml", "defaults: [mpe, _self_]", "has no name; write name: mine"),
        ("env/mine.yaml", "", "has no name; write name: mine"),
        ("map/mine.yaml", "name: p0_12\nenv: matrix_game", "has name: p0_12; write name: mine"),
        ("map/mine.yaml", "defaults: [p0_12, _self_]", "has no name; write name: mine"),
        ("map/mine.yaml", "defaults: [p0_12, _self_]\nname: mine", ""),
        ("map/mine.yaml", "name: mine\nenv: matrix_game", "env.make.payoff refers to map.payoff, which is missing"),
    ],
)
def test_files_that_would_do_nothing_or_train_as_another_are_refused(attempt, tmp_path, file, content, says):
    mine = f"mine_{file[:3]}_{len(content)}"  # Hydra still looks in the folders of other cases
    file, content, says = (text.replace("mine", mine) for text in (file, content, says))
    own = {f"algo/{mine}.yaml": f"name: {mine}", file: content}
    own[f"algo/{mine}.yaml"] = "defaults: [vdn, _self_]\n" + own[f"algo/{mine}.yaml"]
    for name, text in own.items():
        (tmp_path / "conf" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "conf" / name).write_text(text)
    group = file.partition("/")[0]
    more = [f"{'+' * (group == 'toggle')}{group}={mine}"] if group in ("toggle", "env", "map") else []
    code, _, errors, left = attempt([f"algo={mine}", *more, f"--config-dir={tmp_path / 'conf'}", "tracking=disabled"])
    if not says:
        assert code == "accepted", errors
        return
    (line,) = errors
    assert (code, left) == (2, [])
    assert says in line


@pytest.mark.parametrize("option", ["--config-dir={}", "hydra.searchpath=[file://{}]"])
def test_a_file_with_the_name_of_an_installed_packages_is_refused(attempt, monkeypatch, tmp_path, option):
    for owner in ("theirs", "mine"):
        (tmp_path / owner / "algo").mkdir(parents=True)
        (tmp_path / owner / "algo" / "named_twice.yaml").write_text("name: named_twice")
    monkeypatch.setattr("macpf.runs.command_line.folders", lambda: [CONF, tmp_path / "theirs"])
    code, _, (line,), left = attempt(["algo=qmix", option.format(tmp_path / "mine")])
    assert (code, left) == (2, [])
    assert line.endswith(f"as {tmp_path}/theirs/algo/named_twice.yaml has the same name; give it another")


def test_a_budget_that_the_environment_does_not_have_is_named(attempt):
    code, _, (line,), left = attempt(["algo=qmix", "~env.budgets.laptop", "budget=laptop"])
    assert (code, left) == (2, [])
    assert line.endswith("this environment has no budget=laptop; choose another, or add it to env.budgets")


def test_a_search_path_that_is_no_address_is_refused(attempt):
    for path, says in {
        "nowhere": "nowhere is no address; type file://",
        "pkg://no_such_package.conf": "there is no package no_such_package.conf; install it",
    }.items():
        code, _, (line,), left = attempt([f"hydra.searchpath=[{path}]"])
        assert (code, left) == (2, [])
        assert f"hydra.searchpath: {says}" in line


def test_a_machine_without_slurm_is_said_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunRefused, match=r"this machine cannot submit to SLURM \(.+\); type this on a login node"):
        cluster.submit([], cluster.launcher("slurm", []), tmp_path)


@pytest.mark.parametrize("command", ["analysis", "run.py"])
def test_a_broken_package_is_said_in_one_line(monkeypatch, capsys, attempt, command):
    def broken(*_):
        raise BrokenEntryPoint("the entry point mine names nowhere")

    if command == "analysis":
        monkeypatch.setattr("analysis.__main__._completeness", broken)
        assert analyse(["completeness", "--runs", "results/table1"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
    else:
        monkeypatch.setattr("macpf.runs.launch.why", broken)
        code, _, (line,), _ = attempt(["--why", "seed"])
        assert code == 2
    assert line.endswith(": the entry point mine names nowhere")
