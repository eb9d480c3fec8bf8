"""Figure 2 shows what a run logged of its policies, Figure 3 the sizes of its modules."""

import numpy as np
import pytest

from analysis.__main__ import main

PAYOFF = [[1, 0], [0, 1]]
DEPENDENT, INDEPENDENT = [[0.5, 0.1], [0.0, 0.4]], [[0.6, 0.3], [0.07, 0.03]]


def row(step):
    joint = {"dependent": DEPENDENT, "independent": INDEPENDENT}
    cells = {
        f"eval/{policy}/joint/{i}_{j}": p for policy, table in joint.items() for (i, j), p in np.ndenumerate(table)
    }
    return {"env_step": step, "eval/independent/return": 1.0, "eval/dependent/return": 1.0} | cells


def test_figure_2_writes_both_policies_and_their_difference(write_run, tmp_path):
    write_run(tmp_path / "runs", [row(100), row(300)], algo="macpf", map="coordination", payoff=PAYOFF)
    assert main(["figure2", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 0
    table = np.genfromtxt(tmp_path / "out" / "figure2.csv", delimiter=",", names=True)
    np.testing.assert_allclose(table["dependent"], np.ravel(DEPENDENT))
    np.testing.assert_allclose(table["correction"], np.ravel(DEPENDENT) - np.ravel(INDEPENDENT))
    assert (tmp_path / "out" / "figure2.pdf").stat().st_size > 1000
    assert (tmp_path / "out" / "figure2.png").stat().st_size > 1000


def test_figure_3_adds_up_what_the_run_said(write_run, tmp_path):
    counts = {
        "actor.trunk.input": 10,
        "actor.independent": 1,
        "critic.agents.trunk.gru": 100,
        "critic.mixer.weights": 1000,
    }
    write_run(tmp_path / "runs", [row(300)], algo="macpf", extra={"parameters": counts})
    assert main(["figure3", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "figure3.png").stat().st_size > 1000


@pytest.mark.parametrize(("figure", "says"), [("figure2", "joint policies"), ("figure3", "parameter counts")])
def test_runs_that_do_not_say_what_is_needed_are_named_in_one_line(write_run, tmp_path, capsys, figure, says):
    rows = [{"env_step": 300, "eval/independent/return": 1.0}]
    write_run(tmp_path, rows, algo="macpf", map="coordination", payoff=PAYOFF)
    assert main([figure, "--runs", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
