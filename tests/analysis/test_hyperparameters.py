"""The page of hyperparameters says what `conf/` says; `conf/` is read here as plain YAML, without Hydra."""

from functools import cache
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from analysis import hyperparameters

ROOT = Path(__file__).parents[2]
#: Composed once for all tests.
defaults, overrides, page = (
    cache(hyperparameters.defaults),
    cache(hyperparameters.overrides),
    cache(hyperparameters.page),
)
ALGORITHMS = ["central", "fop", "macpf", "mappo", "qmix", "qplex", "qtran", "vdn"]


def test_the_page_in_the_docs_is_up_to_date():
    written = (ROOT / "docs" / "hyperparameters.md").read_text()
    assert written == page(), "type: make docs"


def plain(value) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def same(shown: str, value) -> bool:
    """Numbers by value: 0.0005 and 5.0e-4 are the same."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(shown) == value
    return shown == plain(value)


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_every_default_is_what_the_algorithms_own_file_says(algo):
    """And no map's or task's: each value of the file, in its row, and no row more."""
    file = yaml.safe_load((ROOT / "conf" / "algo" / f"{algo}.yaml").read_text())
    wanted = {k: v for k, v in file["learner"].items() if k != "_target_"}
    wanted |= {f"{group}.{k}": v for group in ("replay", "rollout") for k, v in file.get(group, {}).items()}
    plans = wanted.pop("plans", {})
    column = defaults()[algo]
    shown = {name: value for name, value in column.items() if value != "" and not name.startswith("plans.")}
    assert shown.keys() == wanted.keys()
    for name, value in wanted.items():
        if not isinstance(value, dict):
            assert same(shown[name], value), name
    assert [name for name in column.index if name.startswith("plans.") and column[name]] == [
        f"plans.{p}" for p in plans
    ]


def test_defaults_known_from_elsewhere():
    """By hand, from the paper and the authors' files."""
    table = defaults()
    assert table.loc["ppo_epochs", "mappo"] == "5"
    assert table.loc["ratio_clip", "mappo"] == "0.2"
    assert table.loc["alpha", "macpf"] == "0.5 to 0.05 in 200,000 env steps"
    assert table.loc["alpha", "fop"] == "0.5 to 0.05 in 90,000 env steps"
    assert table.loc["epsilon", "qmix"] == "1 to 0.05 in 50,000 env steps"
    assert table.loc["lr", "qmix"] == "0.0005"
    assert table.loc["mixer", "qmix"] == ""


#: marlbenchmark/on-policy, scripts/train_smac_scripts (de66d7a): epochs and whatever else is not the default.
SCRIPTS = {
    "3m": "15",
    "8m": "15",
    "25m": "10",
    "MMM": "15",
    "1c3s5z": "15",
    "3s5z": "5",
    "3s_vs_3z": "15",
    "3s_vs_4z": "15; recurrent: false; stacked_frames: 4",
    "3s_vs_5z": "15; ratio_clip: 0.05; recurrent: false; stacked_frames: 4",
    "2m_vs_1z": "15",
    "2s_vs_1sc": "15",
    "so_many_baneling": "15",
    "bane_vs_bane": "15",
    "2c_vs_64zg": "5",
    "5m_vs_6m": "10; ratio_clip: 0.05",
    "8m_vs_9m": "15; ratio_clip: 0.05",
    "10m_vs_11m": "10",
    "27m_vs_30m": "5",
    "MMM2": "5; num_minibatches: 2; gain: 1",
    "3s5z_vs_3s6z": "5",
    "corridor": "5; recurrent: false",
    "6h_vs_8z": "5; recurrent: false",
}


def test_mappo_has_the_settings_of_each_of_its_authors_scripts():
    rows = overrides()
    rows = rows[(rows["`algo=`"] == "`mappo`") & ~rows["where"].isin(["mpe", "matrix_game"])].set_index("where")
    wanted = SCRIPTS | {f"{map}_myopic": SCRIPTS[map] for map in ("8m_vs_9m", "10m_vs_11m")}
    assert dict(rows["what is different"]) == {map: f"ppo_epochs: {rest}" for map, rest in wanted.items()}
    for map in SCRIPTS:
        script = f"train_smac_{'baneling' if map == 'so_many_baneling' else map}.sh"
        assert script in rows.loc[map, "source"]


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("`macpf_control`", "conditional: false"),
        ("`macpf_tempered` | matrix_game", "alpha: start 10, factor 0.9995"),
        ("`macpf`          | MMM2", "alpha: 0.001"),
        ("profile=release", "entropy: mean"),
        ("`qmix` | profile=release", "env.parallel: 1"),
    ],
)
def test_what_variants_tasks_and_profiles_change_is_listed(line, changed):
    def squeezed(text: str) -> str:
        return " ".join(text.split())

    assert any(squeezed(line) in squeezed(row) and changed in row for row in page().splitlines())


def test_an_algorithm_needs_no_family(monkeypatch):
    monkeypatch.setattr(hyperparameters, "choices", lambda group: ["of_mine"])
    monkeypatch.setattr(hyperparameters, "_own", lambda algo: OmegaConf.create({"learner": {"lr": 0.1}}))
    assert list(hyperparameters.defaults()) == ["of_mine"]
    assert hyperparameters.variants().empty


@pytest.mark.parametrize(
    ("comments", "said"),
    [
        ("", ""),
        ("# @package _global_\n", ""),
        ("# @package _global_\n# Source: somewhere.\n", "somewhere."),
        ("# @package _global_\n# Just words.\n# Source: later.\n", "Just words."),
        ("# Source: one.\n# Source: two.\n", "one."),
        ("# Quelle: größer.\n", "Quelle: größer."),
    ],
)
def test_comments_mean_nothing(tmp_path, monkeypatch, comments, said):
    """A task's file with any comments or none, also one that changes nothing of an algorithm."""
    for folder, text in {"task/qmix/mpe": "algo:\n  learner:\n    lr: 0.1\n", "task/vdn/3m": "{}\n"}.items():
        path = tmp_path / f"{folder}.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(comments + text)
    monkeypatch.setattr(hyperparameters, "CONF", tmp_path)
    assert hyperparameters.overrides().to_numpy().tolist() == [
        ["`qmix`", "mpe", "lr: 0.1", said],
        ["`vdn`", "3m", "", said],
    ]
