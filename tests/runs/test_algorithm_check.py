"""`macpf check` and an on-policy algorithm; tests/packaging has sound and broken ones that learn from a replay."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis import __main__ as analysis
from baselines.vdn import VDN
from macpf.configuration import compose
from macpf.runs import reproduce
from macpf.runs.algorithm_check import Trained, configured, shapes
from macpf.runs.build import build
from macpf.runs.check import main
from macpf.runs.errors import ConfigError, RunRefused, described
from macpf.runs.promises import Fault, difference


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "WHAT is missing: an algorithm (qmix), or an environment (env=mpe)"),
        (["algo=qmix"], "type macpf check qmix"),
        (["map=3m"], "say what to check before map=3m: an algorithm (macpf check qmix), or env=mpe"),
        (["qmix", "algo=fop"], "leave algo=fop out"),
        (["qmix", "env=mpe"], "leave env=mpe out"),
        (["qmix,fop"], "macpf check looks at one thing at a time; type macpf check qmix"),
        (["env=mpe,smac"], "macpf check looks at one thing at a time; type macpf check env=mpe"),
    ],
)
def test_other_arguments_are_refused_in_one_line(arguments, says, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    (line,) = capsys.readouterr().err.splitlines()
    assert end.value.code == 2
    assert says in line


def test_an_on_policy_algorithm_passes_every_check(capsys):
    assert main(["mappo", "algo.learner.ppo_epochs=2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = ["shapes", "masks", "determinism", "resume"]
    assert [line.split()[:2] for line in lines] == [["ok", name] for name in names]


@pytest.mark.parametrize(
    ("one", "other", "where"),
    [
        ({"a": [1, 2.0]}, {"a": [1, 2.0]}, ""),
        ({"a": [1, 2.0]}, {"a": [1, 3.0]}, "a 1"),
        ({"a": float("nan")}, {"a": float("nan")}, ""),
        ({"a": 1}, {"a": 1.0}, "a"),
        ({"x": {"a": 1}}, {"x": {"b": 1}}, "x"),
        ({"a": torch.ones(2)}, {"b": torch.ones(2)}, "the whole"),
        ({"a": torch.ones(2)}, {"a": torch.ones(2), "b": 1}, "the whole"),
        (1, 2, "the whole"),
        ({"a": float("nan")}, {"a": 1.0}, "a"),
        ({"a": [1]}, {"a": (1,)}, "a"),
        ({"a": np.array([1.0, np.nan])}, {"a": np.array([1.0, np.nan])}, ""),
        ({"a": np.array([1, 2])}, {"a": np.array([1, 3])}, "a"),
    ],
)
def test_the_first_difference_is_named(one, other, where):
    assert difference(one, other) == where


@pytest.mark.parametrize(
    ("play", "arguments", "says"),
    [
        (reproduce.main, [], "name is missing: what to reproduce: battle, figure1"),
        (analysis.main, [], "command is missing; --help shows what can be typed"),
        (analysis.main, ["verify"], "claim is missing: its id: `python -m analysis claims` lists them"),
        (analysis.main, ["publish"], "--to is missing: results/<study>"),
    ],
)
def test_every_command_says_what_an_argument_is_that_is_missing(play, arguments, says, capsys):
    with pytest.raises(SystemExit) as end:
        play(arguments)
    (line,) = capsys.readouterr().err.splitlines()
    assert end.value.code == 2
    assert says in line


class Nameless(VDN):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.policies = ()


class Spelt(VDN):
    policies = "independent"


class Twice(VDN):
    policies = ("independent", "independent")


class Slashed(VDN):
    policies = ("a/b",)


class Unsure(VDN):
    on_policy = None


def no_algorithm(**settings):
    return 3


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ("Nameless", "policies is (); name the greedy policies that are evaluated, e.g. ('independent',)"),
        ("Spelt", "policies is 'independent'; name the greedy policies"),
        ("Twice", "policies has 'independent'; give each policy a name of its own"),
        ("Slashed", "policies has 'a/b'; give each policy a name of its own"),
        ("Unsure", "it does not say on_policy; set on_policy = False if it learns from a replay"),
        ("no_algorithm", "int is no algorithm; derive it from macpf.learning.algorithm.Algorithm"),
    ],
)
def test_what_is_no_algorithm_is_refused_before_a_run(made, says):
    with pytest.raises(ConfigError) as error:
        build(compose("algo=vdn", "budget=smoke", "tracking=disabled", f"algo.learner._target_={__name__}.{made}"))
    assert says in str(error.value)
    assert "\n" not in str(error.value)


class Counting(VDN):
    """Its updates depend on a number that its state does not hold."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.baseline = {"updates": 0}

    def learn(self, batch, clock):
        self.baseline["updates"] += 1
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.mul_(1 + 1e-4 * self.baseline["updates"])
        return super().learn(batch, clock)


class Seedless(VDN):
    def __init__(self, seed, **settings):
        super().__init__(seed=0, **settings)


class Silent(VDN):
    def learn(self, batch, clock):
        super().learn(batch, clock)
        return {}


class Forgetting(VDN):
    def act(self, observation, memory, clock):
        actions, now = super().act(observation, memory, clock)
        return actions, replace(now, last_actions=memory.last_actions)


class Freeing(VDN):
    """It makes every action available."""

    def act(self, observation, memory, clock):
        observation.available.fill_(True)
        return super().act(observation, memory, clock)


class Erasing(VDN):
    def learn(self, batch, clock):
        batch.reward.zero_()
        return super().learn(batch, clock)


class Unloadable(VDN):
    def get_extra_state(self):
        return {**super().get_extra_state(), "mine": np.ones(2)}


class Measuring(VDN):
    """Its updates measure what `found` makes of their number and their metrics."""

    found = staticmethod(lambda updates, metrics: metrics)
    updates = 0

    def learn(self, batch, clock):
        self.updates += 1
        return self.found(self.updates, super().learn(batch, clock))


class Returnless(Measuring):
    found = staticmethod(lambda updates, metrics: None)


class Numbered(Measuring):
    found = staticmethod(lambda updates, metrics: metrics | {5: torch.ones(())})


class Overwriting(Measuring):
    found = staticmethod(lambda updates, metrics: metrics | {"eval/independent/return": torch.ones(())})


class Late(Measuring):
    found = staticmethod(lambda updates, metrics: metrics | ({"train/late": torch.ones(())} if updates > 9 else {}))


class Mistaken(VDN):
    def learn(self, batch, clock):
        return {"loss": self.no_such_network(batch)}


@pytest.mark.parametrize(
    ("made", "check", "says"),
    [
        ("Seedless", lambda trained: trained.determinism(), "pass the seed on to super"),
        ("Silent", lambda trained: shapes(trained.cfg), "an update measures nothing"),
    ],
)
def test_a_seed_that_is_ignored_and_an_update_that_measures_nothing_are_faults(made, check, says, tmp_path):
    with pytest.raises(Fault, match=says):
        check(Trained(configured("vdn", [f"algo.learner._target_={__name__}.{made}"]), tmp_path))


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ("Forgetting", "act remembers other last actions than it takes"),
        ("Freeing", "acting changes available of the observation it was given"),
        ("Erasing", "learn changes reward of the batch it was given"),
        ("Unloadable", "state_dict has to hold numbers, strings, tensors and containers of them only"),
        ("Returnless", "an update returns NoneType; return its metrics"),
        ("Numbered", "an update measures 5, which is no name"),
        ("Overwriting", "eval/independent/return, which is a column of the run's own; give it another name"),
    ],
)
def test_what_spoils_data_or_logs_without_an_error_is_a_fault(made, says):
    with pytest.raises(Fault, match=says):
        shapes(configured("vdn", [f"algo.learner._target_={__name__}.{made}"]))


def test_the_game_itself_sees_that_an_action_was_not_available(tmp_path):
    with pytest.raises(Fault, match=r"in training agent \d took action \d and had only"):
        Trained(configured("vdn", [f"algo.learner._target_={__name__}.Freeing"]), tmp_path).masks()


def test_a_metric_that_comes_late_ends_the_run_in_one_line(tmp_path):
    with pytest.raises(RunRefused, match=r"train/late, and earlier ones measured .*; name all of them in every update"):
        Trained(configured("vdn", [f"algo.learner._target_={__name__}.Late"]), tmp_path).train("late")


def test_an_error_names_the_line_of_ones_own_code_and_not_that_of_a_library():
    with pytest.raises(AttributeError) as error:
        shapes(configured("vdn", [f"algo.learner._target_={__name__}.Mistaken"]))
    assert f"({__file__}, line " in described(error.value)


def test_what_a_state_does_not_bring_back_is_named(capsys):
    assert main(["vdn", f"algo.learner._target_={__name__}.Counting"]) == 1
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("FAILED"))
    assert line.split()[1] == "resume"
    assert line.endswith("it does not bring back self.baseline.updates")


@pytest.mark.parametrize("algo", ["macpf", "mappo"])
def test_the_suites_own_algorithms_hold_nothing_that_their_state_does_not_bring_back(algo, tmp_path):
    trained = Trained(configured(algo), tmp_path)
    assert trained.masks()
    assert trained.forgotten() == ""
