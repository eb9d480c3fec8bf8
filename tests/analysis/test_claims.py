"""The paper's own numbers go through the rules first; ours count once they are complete."""

import pandas as pd
import pytest

from analysis import paper
from analysis.claims import CONTRADICTED, SUPPORTED, UNDECIDED, ledger
from analysis.experiments import Experiment


def complete(name, **changes):
    """The paper's table as if it were ours, five seeds each."""
    table = paper.table(name).assign(seeds=5)
    for key, mean in changes.items():
        algo, _, map_ = key.partition("__")
        table.loc[(table["algo"] == algo) & (table["map"] == map_), "mean"] = mean
    marks = [paper.bold(part["mean"], part["std"]) for _, part in table.groupby("map")]
    table["bold"] = pd.concat(marks)
    return table


def verdicts(tables):
    table = ledger(tables).set_index("claim")
    return {claim.split(" (")[0]: line.to_dict() for claim, line in table.iterrows()}


def test_the_papers_numbers_bear_out_its_counts_but_not_appendix_d2():
    found = verdicts({})
    contradicted = [claim for claim, line in found.items() if line["paper's numbers"] == CONTRADICTED]
    assert contradicted == ["MACPF at least matches the best baseline on every map of appendix D.2"]
    assert all(line["our runs"] == UNDECIDED for line in found.values())
    assert found["MACPF is among the best on 16 of 18 maps"]["runs missing"] == 450


def test_complete_runs_are_judged_by_the_same_rules():
    tables = {"table1": complete("table1", macpf__simple_spread=-200.0), "table2": complete("table2", macpf__MMM2=0.1)}
    found = verdicts(tables)
    assert found["MACPF is among the best on 16 of 18 maps"]["our runs"] == CONTRADICTED
    assert found["MACPF has the best score in all three particle tasks"]["our runs"] == CONTRADICTED
    assert found["QPLEX is among the best on 8 of 18 maps"]["our runs"] == SUPPORTED


def test_a_missing_seed_leaves_a_claim_undecided():
    table = complete("table2")
    table.loc[3, "seeds"] = 4
    line = verdicts({"table2": table})["FOP is among the best on 5 of 18 maps"]
    assert line["our runs"] == UNDECIDED
    assert line["runs missing"] == 1


@pytest.mark.parametrize("name", ["table1", "table2"])
def test_the_experiments_ask_for_every_cell_of_the_papers_tables(name):
    experiment, table = Experiment.read(name), paper.table(name)
    assert set(experiment.maps) == set(table["map"])
    assert set(experiment.algos) == set(table["algo"])
    assert len(experiment.seeds) == paper.SEEDS
