"""Runs that are not whole: found out, named wherever their numbers might have stood, and left out of every mean."""

import math
import os

import pandas as pd
import pytest
from matplotlib.figure import Figure

import analysis.__main__ as command
from analysis.runs import load_runs
from analysis.selection import select
from macpf import names
from macpf.records.framing import BLOCK
from tests.analysis.synthetic import make_run, make_runs, numbered

PAYOFF = [[8, -12], [-12, 8]]
GAME = {"goal_distance": 5.0, "step": 1.0, "box": 7.0, "peak": 1.0, "width": 2.0}
#: What every experiment needs a run of: environment, map, score, backend.
TASKS = [
    ("smac", "MMM2", "win_rate", "embedded"),
    ("mpe", "simple_spread", "return", "embedded"),
    ("matrix_game", "p0_12", "return", "builtin"),
    ("matrix_game", "coordination", "return", "builtin"),
    ("multigoal", "four_goals", "return", "builtin"),
]
#: Of the runs of MACPF that are not whole: state, score.
FLAWED = {1: ("incomplete", 0.9), 2: ("diverged", math.nan), 3: ("untrained", 77.0), 4: ("crashed", 0.9)}
SAID = {
    1: "incomplete, 6 of 7 evaluations",
    2: "diverged",
    3: "untrained",
    4: "crashed at 500 of 600 env steps",
}


@pytest.fixture(scope="module")
def lost(tmp_path_factory, write_run, make_row):
    """Runs of which something was lost after they were written, by seed; seed 9 is whole."""
    root = tmp_path_factory.mktemp("lost")
    rows = numbered([make_row(10 * k, 1.0) | {"x": "y" * 3000} for k in range(31)])
    for seed, gone in enumerate(([15], [30], [0], range(10, 20))):
        kept = [row for k, row in enumerate(rows) if k not in gone]
        write_run(root, kept, seed=seed, evaluations=31)
    write_run(root, rows[:12], seed=4, done=False, exit_code=143, evaluations=31)
    second = write_run(root, rows[8:20], seed=4, attempt=2, done=False, exit_code=143, evaluations=31)
    write_run(root, rows[18:], seed=4, attempt=3, evaluations=31)
    second.unlink()
    log = write_run(root, rows, seed=5, evaluations=31)
    content = bytearray(log.read_bytes())
    content[BLOCK + 100] ^= 1
    log.write_bytes(content)
    write_run(root, rows, seed=9, evaluations=31)
    return root


def test_whatever_is_lost_a_run_is_incomplete_and_says_how_much(lost):
    report = load_runs(lost).report.set_index("seed")
    assert report["state"].to_dict() == {**dict.fromkeys(range(6), "incomplete"), 9: "finished"}
    assert (report["expected"] == 31).all()
    # Of seed 4, rows 12 to 17 were in the lost attempt alone.
    assert report["found"].drop(5).to_dict() == {0: 30, 1: 30, 2: 30, 3: 21, 4: 25, 9: 31}
    assert 0 < report["found"][5] < 31
    assert report["counts"].to_dict() == {**dict.fromkeys(range(6), False), 9: True}


def test_two_origins_of_one_run_are_named_refused_and_chosen(tmp_path, write_run, make_row, capsys):
    for origin, value in (("aaaa1111" * 4, 4.0), ("bbbb2222" * 4, 8.0)):
        for attempt, rows in ((1, [make_row(0, 0.0)]), (2, [make_row(300, value)])):
            last = {"done": attempt == 2, "first": attempt - 1, "evaluations": 2}
            write_run(tmp_path / origin, rows, origin=origin, attempt=attempt, **last)
    runs = load_runs(tmp_path)
    key = "qmix-matrix_game-p4_12-ab12cd34-s0"
    assert runs.report["run"].tolist() == [f"{key}@aaaa1111", f"{key}@bbbb2222"]
    assert runs.report["attempts"].tolist() == [2, 2]
    assert runs.report["note"].tolist() == [f"one of several origins of {key}"] * 2
    for name in ("figure4", "outcomes"):
        assert command.main([name, "--runs", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"{key}@aaaa1111 and {key}@bbbb2222" in line
        assert "--exclude @bbbb2222" in line
    chosen = select(runs.without(["@bbbb2222"]), "matrix_game")
    assert chosen.report["run"].tolist() == [f"{key}@aaaa1111"]
    assert chosen.frame["value"][chosen.frame["metric"] == "eval/independent/return"].tolist() == [0.0, 4.0]


def some_runs(name):
    """On every task, MACPF with one whole run and one of each kind that is not; in SMAC on a map of the experiment."""
    settings = {"map": {"payoff": PAYOFF}, "env": {"make": GAME}}
    made = []
    for env, map_, score, backend in TASKS:
        map_ = "3s_vs_3z" if (map_, name) == ("MMM2", "figure8") else map_
        extra = (
            {names.sampled(0, t, axis): float(t) for t in (0, 1) for axis in ("x", "y")} if env == "multigoal" else {}
        )
        if env == "matrix_game":
            both = (names.INDEPENDENT, names.DEPENDENT)
            extra = {names.joint(policy, (i, j)): 0.25 for policy in both for i in (0, 1) for j in (0, 1)}
        for seed, (state, value) in {0: ("finished", 0.5), **FLAWED}.items():
            frame, line = make_run(
                [value] * 7, "macpf", map_, seed, dependent=[value] * 7, env=env, backend=backend, score=score,
                state=state, extra=extra, settings=settings,
            )  # fmt: skip
            if state == "incomplete":
                frame, line["found"] = frame[frame["env_step"] != 100], 6
            if state == "crashed":
                frame, line["env_step"] = frame[frame["env_step"] <= 500], 500
            made.append((frame, line))
    return make_runs(*made)


def written(monkeypatch, capsys, out, name, *options):
    """By file that a command writes, what its text or its caption says; ``printed`` is what the command said."""
    drawn = {}
    monkeypatch.setattr(
        Figure, "savefig", lambda self, path, **_: drawn.update({str(path): " ".join(t.get_text() for t in self.texts)})
    )
    monkeypatch.setattr(command, "load_runs", lambda *_: some_runs(name))
    monkeypatch.setattr("analysis.claims.verdicts.full_length", lambda env, budget: None)
    places = {"export": ["--to", str(out / "all.json")], "report": ["--out", str(out / "report.html")]}
    assert command.main([name, *places.get(name, ["--out", str(out)]), *options]) == 0
    captured = capsys.readouterr()
    texts = {os.path.basename(path): " ".join(text.split()) for path, text in drawn.items() if path.endswith(".png")}
    texts |= {path.name: path.read_text() for path in out.iterdir() if path.suffix in (".csv", ".md", ".tex", ".html")}
    return texts | {"printed": captured.out + captured.err}


CURVES = [f"figure{n}" for n in range(5, 10)]
#: By command, the files that have to name the runs that are not whole.
FILES = {
    **{name: [f"{name}.png", f"{name}.csv"] for name in CURVES},
    "figure1": ["figure1.png", "figure1_goals.csv"],
    "figure2": ["figure2.png", "figure2.csv"],
    "figure4": ["figure4.png", "figure4.csv"],
    "table1": ["table1.csv", "table1.md", "table1.tex"],
    "table2": ["table2.csv", "table2.md", "table2.tex"],
    "statistics": [
        *("statistics_table2.csv", "statistics_table2.md", "statistics_table2_profile.csv"),
        *("statistics_table2_efficiency.csv", "statistics_table2_intervals.png"),
    ],
    "outcomes": ["outcomes.csv", "outcomes.md"],
    "claims": ["claims.csv", "claims.md", "printed"],
    "export": ["printed"],
    "report": ["report.html"],
}


@pytest.mark.parametrize("name", FILES)
def test_every_file_names_what_it_leaves_out(monkeypatch, capsys, tmp_path, name):
    texts = written(monkeypatch, capsys, tmp_path, name)
    for file in FILES[name]:
        text = " ".join(texts[file].replace("\\_", "_").split())
        for seed, said in SAID.items():
            assert f"seed {seed} ({said})" in text or f"seed {seed}: {said}" in text, file
        assert "counted" not in text or name == "report"


@pytest.mark.parametrize("name", [name for name in FILES if name != "report"])
def test_what_counts_on_request_is_said_to(monkeypatch, capsys, tmp_path, name):
    texts = written(monkeypatch, capsys, tmp_path, name, "--allow-incomplete")
    for file in FILES[name]:
        text = " ".join(texts[file].replace("\\_", "_").split())
        assert "Not whole, but counted on request: " in text or text.count("(counted)") >= 2, file
        assert "seed 2: diverged (counted)" not in text
        assert "seed 3: untrained (counted)" not in text
        assert "diverged" in text
        assert "untrained" in text


def test_no_mean_takes_in_what_is_left_out(monkeypatch, capsys, tmp_path):
    def means(name, *options):
        written(monkeypatch, capsys, tmp_path, name, *options)
        table = pd.read_csv(tmp_path / f"{name}.csv")
        return table[table["method" if "method" in table else "algo"].isin(["MACPF", "macpf"]) & (table["seeds"] > 0)]

    for name in ("figure4", "figure5", "table1", "table2"):
        alone = means(name)
        assert set(alone["seeds"]) == {1}
        assert alone["mean"].tolist() == pytest.approx([0.5] * len(alone))
        together = means(name, "--allow-incomplete")
        assert together["seeds"].max() == 3
        assert together["mean"].max() == pytest.approx((0.5 + 0.9 + 0.9) / 3)
