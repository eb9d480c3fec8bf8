"""The page of hyperparameters says what `conf/` says."""

from pathlib import Path

import pytest

from analysis.hyperparameters import defaults, page
from macpf.configuration import compose

ROOT = Path(__file__).parents[2]


def test_the_page_in_the_docs_is_up_to_date():
    written = (ROOT / "docs" / "hyperparameters.md").read_text()
    assert written == page(), "type: make docs"


def test_every_default_is_the_composed_value():
    table = defaults()
    assert table.loc["lr", "qmix"] == f"{compose('algo=qmix', 'env=smac', 'map=8m').algo.learner.lr:g}"
    assert table.loc["alpha", "macpf"] == "0.5 to 0.05 in 200,000 env steps"
    assert table.loc["mixer", "qmix"] == ""


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("`macpf_control`", "conditional: false"),
        ("`macpf_tempered` | matrix_game", "alpha: start 10, factor 0.9995"),
        ("`macpf`          | MMM2", "alpha: 0.001"),
        ("profile=release", "entropy: mean"),
    ],
)
def test_what_variants_tasks_and_profiles_change_is_listed(line, changed):
    def squeezed(text: str) -> str:
        return " ".join(text.split())

    assert any(squeezed(line) in squeezed(row) and changed in row for row in page().splitlines())
