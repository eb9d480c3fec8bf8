"""Figure 1 from synthetic logs whose goals and returns are worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.claims.verdicts import gather, lines_of
from analysis.figures.figure1_data import Game, episodes_of, reached
from analysis.runs import load_runs
from analysis.selection import select

EAST, NORTH, LOST = [(4, 0), (5, 0)], [(0, 4), (0.5, 6)], [(0, 0), (1, 1)]


@pytest.fixture(scope="module")
def root(tmp_path_factory, write_paths):
    root = tmp_path_factory.mktemp("goals")
    write_paths(root, "central", [EAST, NORTH, LOST], total=300_000)
    for seed in range(5):
        write_paths(root, "macpf", [NORTH, EAST], seed=seed, total=300_000)
    write_paths(root, "qmix", [EAST], total=300_000)  # in no panel
    return root


def test_goals_and_returns_are_counted(root):
    selection = select(load_runs(root), "multigoal")
    table = reached(episodes_of(selection), Game.of(selection)).set_index(["method", "seed"])
    central = table.loc[("CENTRAL", 0)]
    assert central[["episodes", "east", "north", "west", "south", "none", "goals"]].tolist() == [3, 1, 1, 0, 0, 1, 2]
    places = np.array([(4, 0), (5, 0), (0, 4), (0.5, 6), (0, 0), (1, 1)])  # starts are paid nothing
    paid = sum(np.exp(-((places - goal) ** 2).sum(axis=1) / 8).sum() for goal in ([5, 0], [-5, 0], [0, 5], [0, -5]))
    assert central["return"] == pytest.approx(paid / 3)
    assert table.index.tolist() == [("CENTRAL", 0), *(("MACPF_DEP", seed) for seed in range(5))]


def test_the_figure_and_its_numbers_are_written(root, tmp_path, capsys):
    assert main(["figure1", "--runs", str(root), "--out", str(tmp_path)]) == 0
    assert (tmp_path / "figure1.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "figure1.pdf").exists()
    episodes = pd.read_csv(tmp_path / "figure1.csv")
    assert len(episodes) == (3 + 5 * 2) * 3
    assert episodes.query("algo == 'central' and episode == 1 and t == 2")[["x", "y"]].to_numpy().tolist() == [[0.5, 6]]
    assert pd.read_csv(tmp_path / "figure1_goals.csv")["goals"].tolist() == [2] * 6
    assert "CENTRAL" in capsys.readouterr().out


def test_claims_see_the_goals(root):
    lines = lines_of(gather(load_runs(root))["figure1"])
    assert lines[lines["method"] == "MACPF_DEP"]["goals"].tolist() == [2] * 5


def test_two_games_are_not_drawn_together(tmp_path, write_paths, capsys):
    write_paths(tmp_path, "central", [EAST])
    write_paths(tmp_path, "fop", [EAST], width=1.0)
    assert main(["figure1", "--runs", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "played different games" in capsys.readouterr().err


def test_runs_without_an_end_are_refused_in_one_line(tmp_path, write_paths, capsys):
    write_paths(tmp_path, "central", [])
    assert main(["figure1", "--runs", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "+experiment=figure1" in capsys.readouterr().err
