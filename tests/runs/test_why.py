"""Where a setting comes from: `run.py --why`, and the files of conf/task that it reads from."""

import subprocess
import sys

import pytest
import yaml
from omegaconf import OmegaConf

from macpf.configuration import CONF, compose
from macpf.runs.errors import ConfigError
from macpf.runs.launch import KNOWN, in_one_line, why

MMM2 = ("algo=macpf", "env=smac", "map=MMM2")


def told(key, *overrides):
    """The lines about one setting."""
    lines = why(["--why", key, *overrides]).split("\n\n")[1:]
    assert len(lines) == 1
    return lines[0].splitlines()


def test_a_value_is_traced_through_all_that_it_overrode():
    value, here, before = told("algo.learner.alpha.start", *MMM2)
    assert value == "algo.learner.alpha.start = 0.001"
    assert "set in conf/task/macpf/MMM2.yaml:6 " in here
    assert "Source: paper, appendix C.2" in here
    assert "overrides 0.5 of conf/algo/macpf.yaml:" in before
    number = int(before.partition("macpf.yaml:")[2].split()[0])
    assert (CONF / "algo" / "macpf.yaml").read_text().splitlines()[number - 1].strip() == "start: 0.5"


def test_what_is_typed_comes_last():
    value, here, before, first = told("algo.learner.td_lambda", *MMM2, "profile=release", "algo.learner.td_lambda=0.5")
    assert value.endswith("= 0.5")
    assert here == "  set in the command line"
    assert "overrides 0.8 of conf/profile/release/macpf.yaml:" in before
    assert "overrides 0.0 of conf/algo/macpf.yaml:" in first


def test_a_typed_mapping_sets_what_it_names_alone():
    text = why(["--why", "algo.learner.epsilon", "algo=qmix", "algo.learner.epsilon={start: 0.9, end: 0.1}"])
    typed = [part.split(" = ")[0].rpartition(".")[2] for part in text.split("\n\n")[1:] if "the command line" in part]
    assert typed == ["start", "end"]


def test_files_of_ones_own_are_read_as_hydra_reads_them(tmp_path):
    (tmp_path / "algo").mkdir()
    (tmp_path / "algo" / "of_ones_own.yaml").write_text(
        "defaults: [macpf, _self_]\nname: of_ones_own\nlow: &low {start: 0.7, end: 0.2}\n"
        "learner:\n  alpha: {<<: *low, end: 0.1}\n  lr: ???\nlearner.gamma: 0.5\n"
    )
    own = ["algo=of_ones_own", "env=smac", f"--config-dir={tmp_path}"]
    value, here, *_ = told("algo.learner.alpha.start", *own)
    assert value == "algo.learner.alpha.start = 0.7"
    assert "of_ones_own.yaml:3" in here
    value, here, *_ = told("algo.learner.alpha.end", *own)
    assert value.endswith("= 0.1")
    assert "of_ones_own.yaml:5" in here
    for key in ("gamma", "lr"):
        assert "conf/algo/macpf.yaml:" in told(f"algo.learner.{key}", *own)[1]


def test_a_section_is_told_setting_by_setting_and_references_are_resolved():
    text = why(["--why", "algo.learner.epsilon", *MMM2])
    assert [part.split(" = ")[0] for part in text.split("\n\n")[1:]] == [
        f"algo.learner.epsilon.{name}" for name in ("start", "end", "per", "duration", "factor")
    ]
    value, here = told("budget.env_steps", *MMM2)
    assert value == "budget.env_steps = 2050000"
    assert "${env.budgets.paper.env_steps}, set in conf/budget/paper.yaml:" in here
    assert text.startswith(
        "Composed in this order, the last one wins: algo/macpf, map/MMM2, env/smac, task/macpf/MMM2, "
    )


def test_every_setting_is_on_the_line_that_is_named():
    """The line holds the key, and the value that the run gets."""
    cfg = compose("algo=macpf_tempered")
    parts = why(["--why", "algo", "algo=macpf_tempered"]).split("\n\n")[1:]
    assert len(parts) > 30
    for part in parts:
        key, _, shown = part.splitlines()[0].partition(" = ")
        file, _, line = part.splitlines()[1].partition("set in ")[2].partition("  # ")[0].strip().rpartition(":")
        written = (CONF.parent / file).read_text().splitlines()[int(line) - 1]
        assert f"{key.rpartition('.')[2]}:" in written, part
        value = OmegaConf.select(cfg, key)
        assert yaml.safe_load(shown) == (OmegaConf.to_container(value) if OmegaConf.is_config(value) else value)
    assert cfg.algo.learner.alpha.start == 10.0


def test_a_value_in_place_of_a_section_shows_what_it_replaced():
    value, here, *before = told("algo.learner.alpha", *MMM2, "algo.learner.alpha=0.3")
    assert value == "algo.learner.alpha = 0.3"
    assert here == "  set in the command line"
    assert any(line.startswith("  overrides start: 0.001 of conf/task/macpf/MMM2.yaml:6") for line in before)
    assert any(line.startswith("  overrides start: 0.5 of conf/algo/macpf.yaml:") for line in before)


def test_an_entry_of_a_list_comes_from_where_the_list_is():
    (found, here) = told("algo.learner.plans.together[0].losses", "algo=macpf")
    assert "=" in found
    assert "set in conf/algo/macpf.yaml:" in here


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (["algo.learner.lr=abc"], "algo.learner.lr='abc': input should be a valid number"),
        (["+foo=1"], "there is no key foo"),
        (["env=smac", "map=p0_12"], "map=p0_12 belongs to env=matrix_game"),
        (["env=mpe", "map=simple_spread", "profile=release"], "profile=release has no settings for env=mpe"),
    ],
)
def test_settings_with_which_no_run_begins_are_explained_and_said_to_be_refused(typed, says):
    order, settings = why(["--why", "algo.learner.lr", *typed]).split("\n\n")
    assert says in order.splitlines()[1].removeprefix("A run of these settings is refused: ")
    assert settings.startswith("algo.learner.lr = ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--why"], "--why takes a key"),
        (["--why", "hydra.launcher.n_jobs"], "hydra.launcher.n_jobs is a setting of Hydra and not of the run"),
        (
            ["--why", "env.make.width", "env=mpe", "map=simple_spread"],
            "env.make.width is a setting of other choices than these",
        ),
        (["--why", "seed=3"], "--why takes a key"),
        (["--why", "algo.learner.alhpa"], "there is no key algo.learner.alhpa; did you mean algo.learner.alpha?"),
        (["--why", "seed", "-m"], "--why explains one run and takes no --multirun"),
        (["--why", "seed", "+experiment=table1"], "--why explains one run, and +experiment=table1 makes many"),
        (
            ["--why", "algo.learner.gamma", "~algo.learner.gamma"],
            "algo.learner.gamma is deleted by ~algo.learner.gamma",
        ),
    ],
)
def test_bad_questions_are_refused(arguments, says):
    with pytest.raises(ConfigError) as refused:
        why(arguments)
    assert says in str(refused.value)


def test_the_command_line_answers(tmp_path):
    command = [sys.executable, "run.py", "--why", "algo.learner.lr", "algo=qmix", f"outputs={tmp_path}"]
    done = subprocess.run(command, cwd=CONF.parent, capture_output=True, text=True)
    assert done.returncode == 0
    assert "algo.learner.lr = 0.0003" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_every_file_of_a_task_or_profile_belongs_to_something():
    """A file that no choice of algorithm, environment and map can reach would be ignored without a word."""
    known = {
        group: {path.stem for path in (CONF / group).glob("*.yaml")} for group in ("algo", "env", "map", "profile")
    }
    for path in (CONF / "task").rglob("*.yaml"):
        if path.stem != "none":
            assert path.parent.name in known["algo"], path
            assert path.stem in known["env"] | known["map"], path
    for path in (CONF / "profile").glob("*/*.yaml"):
        assert path.parent.name in known["profile"], path
        assert path.stem in known["algo"], path


def test_a_misspelt_file_is_refused_and_a_variant_elsewhere_keeps_its_family(tmp_path):
    (tmp_path / "algo").mkdir()
    (tmp_path / "algo" / "mine.yaml").write_text("defaults: [macpf_control, _self_]\nname: mine\n")
    path = f"hydra.searchpath=[file://{tmp_path}]"
    assert compose(path, "algo=mine", "env=smac", "map=MMM2").algo.learner.alpha.start == 0.001
    assert compose(path, "algo=mine", "env=smac", "map=3m").algo.family == "macpf"
    (tmp_path / "task" / "mine").mkdir(parents=True)
    own = tmp_path / "task" / "mine" / "MMM2.yaml"
    own.write_text("# @package _global_\ndefaults: [/task/macpf/MMM2, _self_]\nalgo: {learner: {lr: 1.0}}\n")
    learner = compose(path, "algo=mine", "env=smac", "map=MMM2").algo.learner
    assert (learner.lr, learner.alpha.start) == (1.0, 0.001)
    own.rename(own.with_stem("MM2"))
    with pytest.raises(KNOWN) as refused:
        compose(path, "algo=mine", "env=smac", "map=MMM2")
    assert in_one_line(refused.value) == ("task/mine/MM2.yaml belongs to no environment and no map; did you mean MMM2?")


def test_a_task_without_a_file_adds_nothing():
    """Not even an empty section, which would change the run's key."""
    alone = compose("algo=central", "env=smac", "map=3m")
    assert alone == compose("algo=central", "env=smac", "map=3m", "task=none")
    assert "task" not in alone
    assert alone.algo == compose("algo=central", "env=smac", "map=MMM2").algo
