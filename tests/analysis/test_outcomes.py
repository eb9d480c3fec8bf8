"""How matrix games ended, counted on synthetic runs."""

import math

import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.outcomes import find_outcomes, outcome_table, outcomes, write_outcomes
from analysis.runs import load_runs

PAYOFF = [[8, -12], [-12, 0]]


def test_runs_are_counted_by_their_final_return():
    table = outcome_table({"QMIX": [8.0, 8.0 - 1e-6, 0.0, -12.0, math.nan]}, PAYOFF)
    assert table.iloc[0, :6].tolist() == ["QMIX", 5, 2, 1, 1, 1]
    assert math.isnan(table.loc[0, "mean final return"])


@pytest.fixture(scope="module")
def root(tmp_path_factory, write_run, make_row):
    """Ten runs of QMIX, eight of them at the optimum in the end and four at the start; one unfinished, one diverged.

    On another payoff one of MACPF; and on a third nothing but a run that diverged.
    """
    root = tmp_path_factory.mktemp("outcomes")
    for seed in range(10):
        ends = [make_row(0, 8.0 if seed < 4 else 0.0), make_row(300, 8.0 if seed < 8 else 0.0)]
        write_run(root, ends, seed=seed, payoff=PAYOFF)
    write_run(root, [make_row(0, 8.0)], seed=10, payoff=PAYOFF, done=False, exit_code=143)
    write_run(root, [make_row(0, 0.0, 0.0), make_row(300, -12.0, 8.0)], algo="macpf", map="p0_12", payoff=PAYOFF)
    lost = [make_row(0, 8.0), make_row(300, math.nan)]
    write_run(root, lost, algo="fop", payoff=PAYOFF)
    write_run(root, lost, map="p8_12", payoff=PAYOFF)
    return root


def test_every_map_has_its_lines_and_intervals(root):
    table = outcomes(find_outcomes(load_runs(root))).set_index(["map", "method"])
    untrained = "untrained networks"
    assert list(table.index) == [
        *(("p0_12", "MACPF"), ("p0_12", "MACPF_DEP"), ("p0_12", untrained)),
        *(("p4_12", "QMIX"), ("p4_12", "FOP"), ("p4_12", untrained), ("p8_12", "QMIX")),
    ]
    assert table.loc[("p0_12", "MACPF"), "worse"] == table.loc[("p0_12", "MACPF_DEP"), "optimum"] == 1
    qmix = table.loc[("p4_12", "QMIX")]
    assert (qmix["seeds"], qmix["optimum"], qmix["suboptimal"], qmix["worse"]) == (10, 8, 2, 0)
    chance = table.loc[("p4_12", untrained)]
    assert (chance["seeds"], chance["optimum"], chance["suboptimal"], chance["worse"]) == (10, 4, 6, 0)
    assert table.loc[("p0_12", untrained), ["seeds", "optimum", "suboptimal"]].tolist() == [1, 0, 1]
    assert qmix["not_whole"] == "seed 10: short at 0 of 300 env steps; seeds 11 to 49: missing"
    # Runs of which none counts are listed all the same; nobody planned the last map.
    for place, missing in ((("p4_12", "FOP"), "; seeds 1 to 49: missing"), (("p8_12", "QMIX"), "")):
        assert (table.loc[place, "seeds"], table.loc[place, "not_whole"]) == (0, f"seed 0: diverged{missing}")
    # 8 of 10: (0.8 + 0.19207) / 1.38415 -+ 1.95996 sqrt(0.016 + 0.0096037) / 1.38415
    assert (qmix["low"], qmix["high"]) == (pytest.approx(49.02, abs=0.01), pytest.approx(94.33, abs=0.01))


def test_the_page_stands_beside_the_paper(root, tmp_path):
    write_outcomes(find_outcomes(load_runs(root)), tmp_path)
    text = (tmp_path / "outcomes.md").read_text()
    flaws = "FOP on p4_12 seed 0 (diverged); QMIX on p4_12 seed 10 (short at 0 of 300 env steps); QMIX on p8_12 seed 0"
    assert f"Left out: {flaws} (diverged)." in text
    assert "11 of 3300 planned runs are finished. Missing: MACPF (tempered) on all 6 maps; " in text
    cells = [line.strip("| ").split("|") for line in (tmp_path / "outcomes.md").read_text().splitlines()]
    (qmix,) = ([cell.strip() for cell in line] for line in cells if len(line) > 1 and line[1].strip() == "QMIX")
    assert qmix == ["p4_12", "QMIX", "10", "80 [49, 94]", "20", "0", "0", "0"]
    assert pd.read_csv(tmp_path / "outcomes.csv").loc[3, "optimum"] == 8


def test_nothing_finished_is_one_line(tmp_path, write_run, make_row, capsys):
    write_run(tmp_path, [make_row(0, 8.0)], done=False, exit_code=143)
    assert main(["outcomes", "--runs", str(tmp_path), "--out", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "no run of matrix_game is whole: QMIX seed 0 (short at 0 of 300 env steps); --allow-incomplete" in line
    write_run(tmp_path / "none", [])
    assert main(["outcomes", "--runs", str(tmp_path / "none"), "--out", str(tmp_path)]) == 2
    assert "+experiment=outcomes" in capsys.readouterr().err
