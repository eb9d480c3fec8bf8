"""All numbers of all runs, for other programs: CSV and TensorBoard."""

import sys

import numpy as np
import pandas as pd
import pytest
import yaml

from analysis import AnalysisError
from analysis.__main__ import main
from analysis.archive import MANIFEST, publish
from analysis.export import write_csv, write_tensorboard
from macpf import names
from tests.analysis.synthetic import make_runs
from tests.analysis.test_archive import MANIFEST_OF, spread


@pytest.fixture
def runs():
    return make_runs(spread(0), spread(1, state="short"), spread(0, "macpf"))


def test_one_file_a_run_with_a_line_for_each_evaluation(runs, tmp_path):
    files = write_csv(runs, tmp_path / "new" / "folder")
    assert [path.stem for path in files] == sorted(runs.report["run"])
    for path in files:
        table = pd.read_csv(path)
        lines = runs.frame[runs.frame["run"] == path.stem]
        assert list(table[names.ENV_STEP]) == sorted(set(lines[names.ENV_STEP]))
        assert set(table) == {names.ENV_STEP, *lines["metric"]}
        for (step, metric), value in lines.set_index([names.ENV_STEP, "metric"])["value"].items():
            assert table.set_index(names.ENV_STEP)[metric][step] == value


def test_tensorboard_reads_what_was_written(runs, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for _ in range(2):  # a second call replaces the first
        folders = write_tensorboard(runs, tmp_path)
    for folder in folders:
        events = accumulator.EventAccumulator(str(folder))
        events.Reload()
        lines = runs.frame[runs.frame["run"] == folder.name]
        assert set(lines["metric"]) <= set(events.Tags()["scalars"])
        for metric, part in lines.groupby("metric", observed=True):
            read = events.Scalars(str(metric))
            part = part.sort_values(names.ENV_STEP)
            assert [event.step for event in read] == part[names.ENV_STEP].tolist()
            np.testing.assert_allclose([event.value for event in read], part["value"], rtol=1e-6)


def test_without_its_package_one_line_says_what_to_type(runs, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.event_pb2", None)
    with pytest.raises(AnalysisError, match="pip install tensorboard"):
        write_tensorboard(runs, tmp_path)


def test_the_command(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("analysis.archive.full_length", lambda env, budget: 200)
    study = tmp_path / "results" / "table1"
    study.mkdir(parents=True)
    (study / MANIFEST).write_text(yaml.safe_dump(MANIFEST_OF))
    publish(runs, study)
    assert main(["metrics", "--runs", str(study), "--to", str(tmp_path / "out"), "--exclude", "macpf"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(list((tmp_path / "out").glob("*.csv"))) == 2


def test_the_command_offers_no_choice_of_runs_that_it_writes_anyway(capsys):
    with pytest.raises(SystemExit):
        main(["metrics", "--help"])
    said = capsys.readouterr().out
    assert "--exclude" in said
    assert "--allow-incomplete" not in said
