"""The numbers of the documentation that say they are of results/ are what the archive there gives."""

import re
from pathlib import Path

from analysis import style
from analysis.archive import Manifest
from analysis.beside_paper import cells
from analysis.evidence import Experiment
from analysis.outcomes import UNTRAINED, find_outcomes, outcomes
from analysis.runs import load_runs
from analysis.selection import find

ROOT = Path(__file__).parents[2]


def tables(page: str) -> list[list[list[str]]]:
    """The tables of a page, by row and column; the second row is the line below the head."""
    found = re.findall(r"(?:^\|.*\|\n)+", (ROOT / "docs" / page).read_text(), re.MULTILINE)
    return [[[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()] for table in found]


def test_runs_of_every_study_are_counted():
    (listed,) = (table for table in tables("results.md") if table[0][0] == "study")
    studies = {row[0].strip("`"): row[1:] for row in listed[2:]}
    assert studies.keys() == {path.parent.name for path in (ROOT / "results").glob("*/archive.json")}
    for study, (planned, finished, unfinished) in studies.items():
        states = load_runs(ROOT / "results" / study).report["state"]
        assert int(planned.replace(",", "")) == Manifest.read(ROOT / "results" / study).planned
        assert int(re.match(r"\d+", finished).group()) == (states == "finished").sum(), study
        assert int(unfinished) == (states != "finished").sum(), study


def method_of(cell: str) -> str:
    """The method that a row of the matrix game's tables is about."""
    algo, _, policy = cell.replace("`", "").partition(", ")
    return UNTRAINED if algo == "networks before training" else style.label(algo, policy or "independent")


def test_ends_of_the_matrix_game_are_the_archives():
    table = outcomes(find_outcomes(load_runs(ROOT / "results" / "matrix_game"))).set_index(["map", "method"])
    ours = [found for found in tables("environments/matrix_game.md") if " of 12" in found[2][1]]
    assert len(ours) == 2
    for (_, *maps), _, *rows in ours:
        for name, *ends in rows:
            for map_, counted in zip(maps, ends, strict=True):
                line = table.loc[map_.split("`")[1], method_of(name)]
                told, _, seeds = counted.partition(" of ")
                assert told == f"{line['optimum']} / {line['suboptimal']} / {line['worse']}", (name, map_)
                assert line["seeds"] == int(seeds or 5)


def test_returns_of_the_particle_tasks_are_the_archives():
    results = ROOT / "results"
    short, long = (find(load_runs(results / study), Experiment.read("table1")) for study in ("table1", "table1_longer"))
    ours = {
        (line["map"], line["algo"]): (line["mean"], line["std"], line["seeds"])
        for line in cells(short).to_dict("records")
    }
    longer = cells(long).set_index(["map", "algo"])["mean"]
    spread, others = (table for table in tables("environments/mpe.md") if "500,000 env steps" in " ".join(table[0]))
    words = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5}
    for method, ended, after_more, _ in spread[2:]:
        mean, std, seeds = ours["simple_spread", method.lower()]
        number, _, count = ended.partition(" (")
        assert (number, words[count.split()[0]]) == (f"{mean:.2f} ± {std:.2f}", seeds)
        assert not after_more or after_more == f"{longer['simple_spread', method.lower()]:.2f}"
    for task, *ends in others[2:]:
        for method, ended in zip(others[0][1:], ends, strict=True):
            mean, _, seeds = ours[task.replace(" ", "_"), method.lower()]
            assert ended.partition("(")[0].strip() == (f"{mean:.2f}" if seeds else "")
