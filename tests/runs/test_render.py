"""``mode=render`` writes an animation of a random or a trained team, and of nothing else."""

import io
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from macpf.configuration import compose
from macpf.envs.animation import STAYS, as_gif
from macpf.envs.base import Step
from macpf.envs.smac.skirmish.battles import Skirmish
from macpf.runs import checkpoint
from macpf.runs.command_line import with_quoted_folder
from macpf.runs.errors import ConfigError, RunRefused
from macpf.runs.identity import Identity
from macpf.runs.job import run
from macpf.runs.render import random_team, render
from macpf.runs.weights import Weights

SMAC = ["env=smac", "env.backend=embedded", "map=3m"]
SHORT = ["budget.env_steps=70", "budget.eval_interval=70", "budget.eval_episodes=2"]
SHORT += ["env.parallel=1", "env.eval_parallel=2", "algo.replay.burn_in=1", "algo.replay.batch=1"]


def test_a_random_team_is_drawn_until_its_battle_is_over(configured, tmp_path, capsys):
    render(configured(*SMAC, "mode=render", "seed=3"))
    picture = Image.open(tmp_path / "random_3m_seed3.gif")
    said = capsys.readouterr().out
    assert said.startswith(f"{tmp_path}/random_3m_seed3.gif: win_rate ")
    length = int(said.split(", ")[-1].split()[0])
    assert 3 < picture.n_frames <= length + 1  # equal frames are one
    first = (tmp_path / "random_3m_seed3.gif").read_bytes()
    render(configured(*SMAC, "mode=render", "seed=3"))
    assert (tmp_path / "random_3m_seed3.gif").read_bytes() == first
    render(configured(*SMAC, "mode=render"))
    assert (tmp_path / "random_3m.gif").read_bytes() != first


def test_a_score_that_is_the_return_is_said_once(configured, capsys):
    render(configured("env=mpe", "mode=render"))
    assert capsys.readouterr().out.count("return ") == 1


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory):
    """The folder of outputs with one run, and the run's folder in it."""
    outputs = tmp_path_factory.mktemp("trained")
    settings = ["budget=smoke", "tracking=disabled", "device=cpu", f"outputs={outputs}", "checkpoint.keep=[70]"]
    cfg = compose(*settings, "algo=macpf", *SMAC, *SHORT)
    run(cfg)
    return outputs, Identity.of(cfg).folder


@pytest.fixture
def trained(configured, trained_once, tmp_path):
    """A copy of a run's folder, and a command that draws it."""
    outputs, original = trained_once
    folder = tmp_path / original.relative_to(outputs)
    shutil.copytree(original, folder)

    def command(*overrides):
        drawing = configured("mode=render", *overrides)
        drawing.run = str(folder)
        return drawing

    return folder, command


def test_a_trained_team_is_drawn_with_each_of_its_policies(trained):
    folder, command = trained
    for policy in ("independent", "dependent"):
        render(command(f"policy={policy}"))
    for name in ("battle.gif", "battle_dependent.gif"):
        assert Image.open(folder / name).n_frames > 3
    with pytest.raises(
        ConfigError, match="policy=foo is none of this algorithm; choose one of: independent, dependent"
    ):
        render(command("policy=foo"))


def test_pictures_of_other_battles_have_other_names(trained):
    folder, command = trained
    for changes in ([], ["seed=1"], ["policy=dependent", "checkpoint.name=70", "seed=2"]):
        render(command(*changes))
    names = {path.name for path in folder.glob("battle*.gif")}
    assert names == {"battle.gif", "battle_seed1.gif", "battle_dependent_70_seed2.gif"}


def test_a_random_team_is_asked_for_no_policy_that_is_not_there(configured):
    for asked in ("policy=foo", "policy=independent"):
        with pytest.raises(ConfigError, match=f"{asked} needs a trained run; type run="):
            render(configured("mode=render", asked))


def test_the_weights_are_those_of_the_checkpoint(trained, monkeypatch):
    folder, command = trained
    taken = []
    put = Weights.put_into
    monkeypatch.setattr(Weights, "put_into", lambda self, team: (put(self, team), taken.append(team))[0])
    render(command())
    state = checkpoint.load(folder / "checkpoint.pt")["algorithm"]
    assert all(torch.equal(state[name], tensor) for name, tensor in taken[0].named_parameters())


def test_what_cannot_be_drawn_is_said_in_one_line(configured, trained, tmp_path):
    folder, command = trained
    with pytest.raises(ConfigError, match="MatrixGame does not draw; choose what does"):
        render(configured("mode=render"))
    elsewhere = command()
    for place in (tmp_path, folder / "config.yaml"):
        elsewhere.run = str(place)
        with pytest.raises(ConfigError, match="is not a run folder; type run=outputs/"):
            render(elsewhere)
    damaged = (folder / "checkpoint.pt").read_bytes()
    for path in folder.glob("checkpoint*.pt"):
        path.write_bytes(damaged[:-1])
    with pytest.raises(RunRefused, match="damaged"):
        render(command())
    for path in folder.glob("checkpoint*.pt"):
        path.unlink()
    with pytest.raises(ConfigError, match="no checkpoint yet"):
        render(command())


def test_how_a_run_is_drawn_does_not_change_what_it_is(configured):
    keys = {Identity.of(configured(*change)).key for change in ([], ["mode=render"], ["run=x"], ["policy=dependent"])}
    assert len(keys) == 1


def test_folders_need_no_quotes():
    assert with_quoted_folder("run=a/b/seed=0") == "run='a/b/seed=0'"
    for untouched in ("run='a/seed=0'", "run=$HOME/a", "seed=0", "-m", "hydra.run.dir=x"):
        assert with_quoted_folder(untouched) == untouched


def test_the_command_line_knows_the_mode(command_here):
    done = command_here("mode=render", "run=outputs/nowhere/seed=0")
    assert done.returncode == 2
    assert done.stderr.startswith("error: run=outputs/nowhere/seed=0 is not a run folder")
    done = command_here("mode=draw")
    assert done.returncode == 2
    assert "mode='draw'" in done.stderr
    done = command_here("-m", "mode=render", "seed=0,1")
    assert done.returncode == 2
    assert "leave -m out" in done.stderr


def test_a_random_team_takes_every_available_action_and_no_other():
    available = Skirmish("3m", 1, 0).reset().available
    step = Step(*[np.zeros(0)] * 2, available, *[np.zeros(0)] * 3)
    team = random_team(0)
    taken = np.array([team(step)[0] for _ in range(400)])
    for k in range(3):
        counts = np.bincount(taken[:, k], minlength=9)
        assert (counts[available[0, k]] > 400 / available[0, k].sum() / 2).all()
        assert counts[~available[0, k]].sum() == 0


def test_an_animation_rests_at_its_end_and_keeps_its_colours():
    frames = [np.full((20, 30, 3), 200, dtype=np.uint8) for _ in range(3)]
    frames[1][:5] = (0, 114, 178)
    frames[2][:9] = (255, 0, 0)
    picture = Image.open(io.BytesIO(as_gif(frames)))
    durations = []
    for k, frame in enumerate(frames):
        picture.seek(k)
        durations.append(picture.info["duration"])
        assert np.abs(np.asarray(picture.convert("RGB")).astype(int) - frame).max() <= 32
    assert durations[2] == (STAYS + 1) * durations[0]
    assert picture.n_frames == 3
