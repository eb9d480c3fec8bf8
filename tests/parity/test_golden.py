"""Whole updates equal those of the authors' own code (see README.md), and the comparison finds what is wrong."""

from pathlib import Path

import pytest

from benchmarks.parity.cases import Case
from benchmarks.parity.compare import differences, one_by_one

HERE = Path(__file__).parent
CASES = [case for path in sorted(HERE.glob("*.json")) for case in Case.of(path)]


def test_every_algorithm_with_code_of_its_authors_is_here():
    assert {case.algorithm for case in CASES} == {"macpf", "fop", "qmix", "vdn", "qtran", "qplex", "mappo"}
    assert sum(path.stat().st_size for path in HERE.glob("*.*[nz]")) < 1_000_000


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_equals_the_authors_code_through_ten_updates(case):
    rows = differences(case)
    names = {row.quantity for row in rows}
    assert {"values", "gradients", "losses of ten updates, float64", "weights after 10, of their movement"} <= names
    assert {row.quantity: row.worst for row in rows if not row.equal} == {}


def unequal(case: Case) -> set[str]:
    return {row.quantity for row in differences(case) if not row.equal}


@pytest.mark.parametrize(
    ("stem", "setting", "seen"),
    [
        ("macpf_alpha05_eps005_s2", "terminal_entropy=false", "losses, float32"),
        ("macpf_alpha05_eps005_s2", "epsilon_mixing=available", "values"),
        ("macpf_alpha05_eps005_s2", "epsilon_mixing=none", "values"),
        ("macpf_alpha05_eps005_s2", "dependency_set=predecessors", "values"),
        ("macpf_alpha05_eps005_s2", "trunk_gradient=false", "gradients"),
        ("macpf_alpha05_eps005_s2", "plan=together", "weights after 1, of their movement"),
        ("macpf_alpha05_eps005_s2", "plan=in_turn_skipping", "weights after 10, of their movement"),
        ("macpf_alpha05_eps005_s2", "td_lambda=0.79", "losses, float32"),
        ("fop_s2", "plan=together", "weights after 1, of their movement"),
        ("fop_s2", "terminal_entropy=false", "losses, float32"),
        ("fop_s2", "attention_mean=played", "losses, float32"),
        ("qplex_s1", "attention_mean=played", "losses, float32"),
        ("qtran_s2", "clip=0.6", "weights after 1, of their movement"),
        ("mappo_s2", "ratio_clip=0.21", "losses of ten updates, float32"),
    ],
)
def test_a_setting_that_is_not_the_authors_is_found(stem, setting, seen):
    rows = one_by_one(Case(HERE / f"{stem}.json", (setting,), old=stem.startswith("macpf")))
    assert any(row.quantity == seen and not row.equal for row in rows)


def test_a_clipping_norm_that_is_never_reached_makes_no_difference():
    assert unequal(Case(HERE / "qmix_s1.json", ("clip=11",))) == set()
