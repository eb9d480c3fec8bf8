"""Published runs are read back as they were, grow until they are over, and are refused when they were altered."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from filelock import FileLock
from pandas.testing import assert_frame_equal
from pyarrow import parquet

from analysis import AnalysisError
from analysis.__main__ import main
from analysis.archive import EVALUATIONS, MANIFEST, RUNS, publish
from analysis.evidence import Experiment
from analysis.runs import Runs, load_runs
from analysis.selection import find
from analysis.sources import INDEX, studies
from macpf import names
from macpf.records.run_state import STATUS
from tests.analysis.synthetic import make_run, make_runs

MANIFEST_OF = {
    **{"question": "?", "command": "c", "fixed": "today", "env": "mpe", "budget": "paper", "endpoint": "last five"},
    **{"maps": ["simple_spread"], "algos": ["qmix", "macpf"], "seeds": [0, 1], "claims": [], "draw": ["table1"]},
}


def spread(seed: int, algo: str = "qmix", **options) -> tuple[pd.DataFrame, dict]:
    scores = [-200.0 + seed, -150.0, -120.5][: 2 if options.get("state") == "short" else 3]
    frame, line = make_run(scores, algo, "simple_spread", seed, env="mpe", backend="builtin", score="return", **options)
    line["config"] |= {key: line[key] for key in ("algo", "env", "map", "backend", "budget", "seed", "commit")}
    line["config"] |= {"run_key": line["run"], "origin": line["origin"], "total_env_steps": 200, "evaluations": 3}
    numbers = [
        frame.assign(metric=metric, value=frame["env_step"] / 100 - before)
        for metric, before in ((names.EVALUATION, 0), (names.EVALUATION_AFTER, 1))
    ]
    if line["state"] == "short":
        line |= {"total": 200, "found": 2, "expected": 3}
    return pd.concat([frame, *numbers]), line


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a study with a manifest, for runs of 200 env steps."""
    monkeypatch.setattr("analysis.archive.full_length", lambda env, budget: {"mpe": 200}.get(env))
    folder = tmp_path / "results" / "table1"
    folder.mkdir(parents=True)
    (folder / MANIFEST).write_text(yaml.safe_dump(MANIFEST_OF))
    return folder


def sorted_frame(runs: Runs) -> pd.DataFrame:
    texts = dict.fromkeys(("env", "backend", "budget"), "str")  # categories, where they were loaded
    return runs.frame.astype(texts).sort_values(["run", "env_step", "metric"], ignore_index=True)


def test_what_was_published_is_read_back(study: Path) -> None:
    runs = make_runs(spread(0), spread(1), spread(0, "macpf"))
    done = publish(runs, study)
    assert (done.new, done.grew, done.known) == (3, 0, 0)
    back = load_runs(study)
    assert_frame_equal(sorted_frame(back), sorted_frame(runs), check_dtype=False)
    for key in ("run", "state", "found", "expected", "counts", "origin", "commit", "seed", "budget"):
        assert list(back.report.sort_values("run")[key]) == list(runs.report.sort_values("run")[key]), key
    experiment = Experiment("table1", "mpe", ("simple_spread",), ("qmix", "macpf"), (0, 1))
    finals = [find(each, experiment).final("simple_spread", "qmix").tolist() for each in (runs, back)]
    assert finals[0] == finals[1] == pytest.approx([-156.8, -156.5], abs=0.05)
    assert load_runs(study.parent).report.equals(back.report)  # all studies of a folder


def test_diverged_and_incomplete_runs_are_kept_as_what_they_are(study: Path) -> None:
    publish(make_runs(spread(0, state="diverged"), spread(1, state="short")), study)
    back = load_runs(study).report.set_index("seed")
    assert back["state"].to_dict() == {0: "diverged", 1: "short"}
    assert not back["counts"].any()


def test_a_run_grows_until_it_is_over_and_never_changes_then(study: Path) -> None:
    publish(make_runs(spread(0, state="short"), spread(1)), study)
    done = publish(make_runs(spread(0), spread(1)), study)
    assert (done.new, done.grew, done.known) == (0, 1, 1)
    assert set(load_runs(study).report["state"]) == {"finished"}
    frame, line = spread(1)
    with pytest.raises(AnalysisError, match="never changes in an archive"):
        publish(make_runs((frame.assign(value=frame["value"] + 1), line)), study)
    assert len(load_runs(study).report) == 2


def test_a_run_that_grows_repeats_what_was_published(study: Path) -> None:
    publish(make_runs(spread(0, state="short")), study)
    before = load_runs(study)
    frame, line = spread(0)
    other = frame.assign(value=frame["value"].where(~frame["metric"].str.startswith("eval/"), 8.0))
    with pytest.raises(AnalysisError, match=r"has other evaluations of qmix-.* from env step 0 on, and .* only grows"):
        publish(make_runs((other, line)), study)
    late = frame.assign(value=other["value"].where(frame["env_step"] >= 100, frame["value"]))
    with pytest.raises(AnalysisError, match="from env step 100 on"):
        publish(make_runs((late, line)), study)
    assert_frame_equal(load_runs(study).frame, before.frame)
    lost = frame[frame["env_step"] != 100], line | {"attempts": 2}
    with pytest.raises(AnalysisError, match="that this log lacks, at env step 100"):
        publish(make_runs(lost), study)
    with pytest.raises(AnalysisError, match="from env step 0 on"):
        publish(make_runs((other, line | {"attempts": 2})), study)
    resumed = late, line | {"attempts": 2}  # elsewhere, from a checkpoint between the two
    assert publish(make_runs(resumed), study).grew == 1


def altered(study: Path, change: Callable[[pd.DataFrame, pd.DataFrame], tuple[pd.DataFrame, pd.DataFrame]]) -> None:
    """Change the tables of an archive, and its checksums with them."""
    files = (RUNS, EVALUATIONS)
    index = json.loads((study / INDEX).read_text())
    for name, table in zip(
        files, change(*(parquet.read_table(study / name).to_pandas() for name in files)), strict=True
    ):
        table.to_parquet(study / name, index=False)
        index["files"][name] = hashlib.sha256((study / name).read_bytes()).hexdigest()
    (study / INDEX).write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda runs, values: (runs.iloc[1:], values),
            r"qmix-.*-s0 is in one of runs\.parquet and evaluations\.parquet",
        ),
        (lambda runs, values: (runs, values[values["run"] == values["run"].iloc[0]]), r"-s1 is in one of"),
        (lambda runs, values: (runs.drop(columns="attempts"), values), "lacks the column attempts"),
        (lambda runs, values: (runs, values.drop(columns="row")), "lacks the column row"),
        (lambda runs, values: (runs.assign(config="{"), values), "holds what is no archive"),
    ],
)
def test_tables_that_do_not_belong_together_are_refused_in_one_line(study, change, says, capsys) -> None:
    publish(make_runs(spread(0), spread(1)), study)
    altered(study, change)
    assert main(["completeness", "--runs", str(study)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(says, line)
    assert line.endswith("take it from the repository again (`git checkout -- results`)")


def test_figures_compare_every_run_with_its_digest(study: Path, tmp_path: Path, capsys) -> None:
    publish(make_runs(spread(0), spread(1)), study)
    altered(study, lambda runs, values: (runs, values.assign(value=values["value"] + 1)))
    assert main(["figures", "--results", str(study.parent), "--out", str(tmp_path / "figures")]) == 2
    assert "holds other numbers of qmix-" in capsys.readouterr().err
    assert not (tmp_path / "figures").exists()


def test_a_study_that_lost_all_but_its_numbers_is_not_overlooked(study: Path, capsys) -> None:
    publish(make_runs(spread(0)), study)
    for name in (INDEX, RUNS):
        (study / name).unlink()
    for command in (["completeness", "--runs", str(study)], ["figures", "--results", str(study.parent)]):
        assert main(command) == 2
        assert f"{study / INDEX} is missing" in capsys.readouterr().err


def test_logs_that_cannot_be_read_are_named(study: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    frame, line = spread(0, "macpf")
    runs = make_runs(spread(0), (frame.iloc[:0], line | {"found": 0, "gaps": 1, "state": "no data"}))
    monkeypatch.setattr("analysis.__main__.load_runs", lambda where: runs)
    assert main(["publish", "--to", str(study), "--runs", str(study)]) == 0
    said = capsys.readouterr()
    assert said.err == f"analysis: left out, as their logs cannot be read: {line['run']}\n"
    assert "1 new runs" in said.out


def of(origin: str, run: tuple[pd.DataFrame, dict]) -> tuple[pd.DataFrame, dict]:
    run[1]["origin"] = run[1]["config"]["origin"] = origin
    return run


def test_a_run_that_is_not_over_may_begin_anew_where_its_folder_was_lost(study: Path) -> None:
    publish(make_runs(spread(0, state="short")), study)
    assert publish(make_runs(of("f" * 32, spread(0))), study).grew == 1
    report = load_runs(study).report
    assert report[["origin", "state"]].to_numpy().tolist() == [["f" * 32, "finished"]]
    for run in (spread(0), spread(0, state="short")):
        with pytest.raises(AnalysisError, match=r"origin 0f0f0f0f.* is another: .*; leave it out with --exclude qmix-"):
            publish(make_runs(run), study)


def test_an_older_or_damaged_copy_of_a_run_changes_nothing(study: Path) -> None:
    publish(make_runs(spread(0), spread(1, state="short")), study)
    damaged, younger = spread(0, state="incomplete"), spread(1, state="short")
    damaged[1]["found"], younger[1]["found"] = 2, 1
    for runs in (make_runs(damaged, younger), make_runs(damaged)):
        assert publish(runs, study).grew == 0
    assert load_runs(study).report["found"].tolist() == [3, 2]
    younger = of("f" * 32, younger)
    with pytest.raises(AnalysisError, match=r"short, 2 evaluations.*short, 1 evaluations.* others only grow"):
        publish(make_runs(younger), study)


def test_only_runs_that_the_manifest_names_enter(study: Path) -> None:
    done = publish(make_runs(spread(0), spread(7), spread(0, "fop"), spread(0, budget="smoke")), study)
    assert list(done.report["run"]) == [spread(0)[1]["run"]]


def test_where_the_manifest_names_no_run_it_says_which_it_names(study: Path) -> None:
    with pytest.raises(AnalysisError, match="simple_spread with qmix, macpf and budget=paper; none of them"):
        publish(make_runs(spread(7)), study)
    assert not (study / INDEX).exists()
    publish(make_runs(spread(0)), study)
    assert publish(make_runs(spread(7)), study)[:3] == (0, 0, 0)


def test_a_run_that_is_being_trained_waits_for_its_end(study: Path, write_run: Callable[..., Path], capsys) -> None:
    game = {"env": "matrix_game", "maps": ["p4_12"], "algos": ["qmix"]}
    (study / MANIFEST).write_text(yaml.safe_dump(MANIFEST_OF | game))
    root = study.parent.parent / "outputs"
    rows = [{"env_step": 100 * k, "eval/independent/return": 1.0} for k in range(3)]
    active = {"state": "running", "host": "elsewhere", "updated": time.time(), "env_step": 200, "total_env_steps": 300}
    for seed, state in enumerate([active, active | {"state": "interrupted"}]):
        log = write_run(root, rows, seed=seed, done=False, exit_code=1)
        (log.parents[2] / STATUS).write_text(json.dumps(state))
    assert main(["publish", "--runs", str(root), "--to", str(study)]) == 0
    said = capsys.readouterr().out
    assert said.endswith("1 of 2 runs of the manifest (1 crashed); left for later, as they are running: 1\n")
    assert load_runs(study).report["seed"].tolist() == [1]


@pytest.mark.parametrize("name", [RUNS, EVALUATIONS, INDEX])
@pytest.mark.parametrize("damage", ["one bit", "truncated", "deleted"])
def test_an_altered_archive_is_refused_in_one_line(study: Path, name: str, damage: str) -> None:
    publish(make_runs(spread(0)), study)
    path = study / name
    content = bytearray(path.read_bytes())
    if damage == "one bit":
        content[len(content) // 2] ^= 1
    path.write_bytes(content[: len(content) // 2] if damage == "truncated" else content)
    if damage == "deleted":
        path.unlink()
    for where in (study, study.parent):
        with pytest.raises(AnalysisError) as refused:
            load_runs(where)
    with pytest.raises(AnalysisError):
        publish(make_runs(spread(0)), study)
    assert "\n" not in str(refused.value)
    assert str(study) in str(refused.value)
    assert "git checkout -- results" in str(refused.value)


def test_what_is_no_table_or_of_a_later_layout_is_refused_in_one_line(study: Path) -> None:
    publish(make_runs(spread(0)), study)
    index = json.loads((study / INDEX).read_text())
    (study / INDEX).write_text(json.dumps(index | {"layout": 2}))
    with pytest.raises(AnalysisError, match=r"layout[^\n]+git checkout -- results"):
        load_runs(study)
    (study / RUNS).write_bytes(b"garbage")
    index["files"][RUNS] = hashlib.sha256(b"garbage").hexdigest()
    (study / INDEX).write_text(json.dumps(index))
    with pytest.raises(AnalysisError, match=r"holds what is no table [^\n]+git checkout -- results"):
        load_runs(study)


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("writes", range(6))
@pytest.mark.parametrize("had_any", [False, True])
def test_killed_anywhere_the_archive_is_as_before_or_as_after(study, monkeypatch, writes: int, had_any: bool) -> None:
    before, after = [spread(0)] * had_any, [spread(0), spread(1)]
    if had_any:
        publish(make_runs(*before), study)
    with monkeypatch.context() as patch:
        left = iter([None] * writes)

        def replace(*paths: Path) -> None:
            if next(left, "killed"):
                raise Killed
            real(*paths)

        real = os.replace
        patch.setattr(os, "replace", replace)
        with contextlib.suppress(Killed):
            publish(make_runs(*after), study)
    seeds = load_runs(study).report["seed"].tolist() if studies(study) else []
    assert seeds == ([0, 1] if writes > 2 else [0] * had_any)
    assert publish(make_runs(*after), study)[:3] == ((0, 0, 2) if writes > 2 else (2 - had_any, 0, had_any))
    assert load_runs(study).report["state"].tolist() == ["finished"] * 2
    assert not list(study.glob("*.next"))


def test_two_commands_publish_one_after_the_other(study: Path) -> None:
    with ThreadPoolExecutor() as pool, FileLock(study / ".lock"):
        done = [pool.submit(publish, make_runs(spread(seed)), study) for seed in (0, 1)]
        assert not wait(done, timeout=0.3).done
    assert sorted(each.result().new for each in done) == [1, 1]
    assert load_runs(study).report["seed"].tolist() == [0, 1]


def test_other_runs_of_the_same_names_do_not_enter(study: Path) -> None:
    publish(make_runs(spread(0)), study)
    longer, other = spread(1), spread(1, settings={"lr": 9})
    longer[1]["config"] |= {"total_env_steps": 300}
    other[1]["run"] = other[1]["config"]["run_key"] = "qmix-mpe-simple_spread-ffffffff-s1"
    mpe2 = spread(1)
    mpe2[1]["backend"] = "mpe2"
    for run, says in (
        (longer, r"300 env steps and not for the 200 of budget=paper: leave it out with --exclude qmix-mpe-.*-s1$"),
        (
            other,
            r"qmix on simple_spread has 2 configurations, and 1 in the manifest: .* --exclude qmix-mpe-\S+ffffffff$",
        ),
        (mpe2, r"different backends \(builtin, mpe2\)"),
    ):
        with pytest.raises(AnalysisError, match=says):
            publish(make_runs(run), study)
    assert load_runs(study).report["seed"].tolist() == [0]


def test_a_budget_is_found_under_each_of_its_names(study: Path) -> None:
    game = MANIFEST_OF | {"env": "matrix_game", "maps": ["p4_12"], "budget": "laptop"}
    (study / MANIFEST).write_text(yaml.safe_dump(game))
    run = make_run([1.0, 2.0], "qmix", "p4_12", env="matrix_game", backend="builtin", score="return")
    run[1]["found"] = 2
    assert publish(make_runs(run), study).new == 1


def test_a_damaged_log_stays_one(study: Path) -> None:
    """Also of runs from before rows were numbered, whose lost evaluations cannot be counted."""
    old, new = spread(0), spread(1)
    old[1].update(state="incomplete", expected=-1, gaps=2, lost_bytes=70)
    old[1]["config"]["evaluations"] = None
    new[1].update(gaps=1, lost_bytes=30)
    publish(make_runs(old, new), study)
    report = load_runs(study).report
    assert report[["state", "gaps", "lost_bytes"]].to_numpy().tolist() == [["incomplete", 2, 70], ["finished", 1, 30]]
    assert report["counts"].tolist() == [False, True]


def test_an_archive_from_before_gaps_were_kept_is_read_and_grows(study: Path) -> None:
    publish(make_runs(spread(0)), study)
    parquet.write_table(parquet.read_table(study / RUNS).drop_columns(["gaps", "lost_bytes"]), study / RUNS)
    index = json.loads((study / INDEX).read_text())
    index["files"][RUNS] = hashlib.sha256((study / RUNS).read_bytes()).hexdigest()
    (study / INDEX).write_text(json.dumps(index))
    assert load_runs(study).report["gaps"].tolist() == [0]
    publish(make_runs(spread(1)), study)
    assert load_runs(study).report[["gaps", "state"]].to_numpy().tolist() == [[0, "finished"]] * 2


def test_commits_of_all_attempts_are_kept(study: Path) -> None:
    run = spread(0)
    run[1]["commit"] = "aaaaaaaaaaaa bbbbbbbbbbbb"
    publish(make_runs(run), study)
    assert load_runs(study).report["commit"].tolist() == ["aaaaaaaaaaaa bbbbbbbbbbbb"]


def test_a_run_of_two_studies_is_the_one_that_is_further(study: Path) -> None:
    for name, state in (("a", "short"), ("b", "finished"), ("c", "short")):
        other = study.parent / name
        other.mkdir()
        shutil.copy(study / MANIFEST, other)
        publish(make_runs(spread(0, state=state)), other)
    report = load_runs(study.parent).report
    assert report[["state", "attempts"]].to_numpy().tolist() == [["finished", 1]]


def test_logs_and_a_study_in_one_folder_are_refused(study: Path, write_run: Callable[..., Path]) -> None:
    publish(make_runs(spread(0)), study)
    write_run(study.parent, [{"env_step": 0, "eval/independent/return": 1.0}])
    with pytest.raises(AnalysisError, match=r"holds logs of runs .* and a published study .*: name the folder of one"):
        load_runs(study.parent)


def test_a_damaged_study_spoils_no_other(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    publish(make_runs(spread(0), spread(1)), study)
    shutil.copytree(study, study.parent / "before")
    (study.parent / "before" / RUNS).write_bytes(b"garbage")
    assert main(["figures", "--results", str(study.parent), "--out", str(tmp_path / "figures")]) == 2
    said = capsys.readouterr().err.splitlines()
    assert [line.startswith("analysis: ") for line in said] == [True] * len(said)
    assert said[-1] == f"analysis: {study.parent / 'before'} could not be drawn; see the lines above"
    assert (tmp_path / "figures" / "table1" / "table1.md").exists()


@pytest.mark.parametrize("content", ["", "[", "question: 3", "a: 1\nb: 2"])
def test_what_is_no_manifest_is_said_in_one_line(study: Path, content: str) -> None:
    (study / MANIFEST).write_text(content)
    with pytest.raises(AnalysisError, match=r"manifest\.yaml is no manifest of a study: [^\n]+$"):
        publish(make_runs(spread(0)), study)
    (study / MANIFEST).unlink()
    with pytest.raises(AnalysisError, match="before they are trained"):
        publish(make_runs(spread(0)), study)


@pytest.mark.parametrize(
    "change",
    [{"seeds": [0]}, {"algos": ["qmix"]}, {"claims": ["table1-best"]}, {"question": "Another?"}, {"configurations": 2}],
)
def test_a_plan_that_was_changed_after_runs_were_published_is_refused(study: Path, change: dict, capsys) -> None:
    publish(make_runs(spread(0)), study)
    (study / MANIFEST).write_text("# a remark, and how it is drawn, change nothing\n" + yaml.safe_dump(MANIFEST_OF))
    assert publish(make_runs(spread(0), spread(1)), study).new == 1
    (study / MANIFEST).write_text(yaml.safe_dump(MANIFEST_OF | {"draw": []}))
    assert len(load_runs(study).report) == 2
    (study / MANIFEST).write_text(yaml.safe_dump(MANIFEST_OF | change))
    with pytest.raises(AnalysisError, match=r"manifest\.yaml was changed after runs were published"):
        publish(make_runs(spread(0)), study)
    assert main(["completeness", "--runs", str(study)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "was changed after runs were published" in line


def test_an_archive_of_before_plans_had_checksums_is_read_and_gets_one(study: Path) -> None:
    publish(make_runs(spread(0)), study)
    index = json.loads((study / INDEX).read_text())
    assert index.pop("manifest")
    (study / INDEX).write_text(json.dumps(index))
    assert len(load_runs(study).report) == 1
    publish(make_runs(spread(0), spread(1)), study)
    assert json.loads((study / INDEX).read_text())["manifest"]


def test_nan_and_infinity_are_published_as_such(study: Path) -> None:
    frame, line = spread(0)
    frame.iloc[:2, frame.columns.get_loc("value")] = [float("nan"), float("inf")]
    publish(make_runs((frame, line)), study)
    values = parquet.read_table(study / EVALUATIONS)["value"]
    assert values.null_count == 0
    assert np.isnan(values.to_numpy()).sum() == np.isinf(values.to_numpy()).sum() == 1


def test_one_run_of_two_origins_is_not_published(study: Path) -> None:
    (frame, line), (other, another) = spread(0), spread(0)
    another |= {"run": f"{line['run']}@22222222", "origin": "2" * 32}
    twice = make_runs((frame, line | {"run": f"{line['run']}@11111111"}), (other.assign(run=another["run"]), another))
    with pytest.raises(AnalysisError, match=r"@11111111 and .*@22222222 are one run begun by two people, or twice"):
        publish(twice, study)
    assert not (study / RUNS).exists()


def test_a_place_that_is_no_study_is_said_in_one_line(
    study: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analysis.__main__.load_runs", lambda _: make_runs(spread(0)))
    told = {study / MANIFEST: "Not a directory", study.parent / "other": "Is a directory"}
    (study.parent / "other" / MANIFEST).mkdir(parents=True)
    for place, why in told.items():
        assert main(["publish", "--runs", str(study.parent), "--to", str(place)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(
            f"analysis: {place}/manifest.yaml cannot be read ({why}); name the folder of a study, e.g."
        )
    (study / f"{RUNS}.next.new").mkdir()
    assert main(["publish", "--runs", str(study.parent), "--to", str(study)]) == 2
    assert capsys.readouterr().err == f"analysis: {study}/{RUNS}.next.new: Is a directory\n"


def test_the_manifests_in_the_repository_are_whole_and_their_runs_are_theirs() -> None:
    root = Path(__file__).parents[2] / "results"
    for path in root.glob(f"*/{MANIFEST}"):
        from analysis.archive import Manifest

        manifest = Manifest.read(path.parent)
        assert manifest.planned > 0
        if (path.parent / INDEX).exists():
            assert json.loads((path.parent / INDEX).read_text())["manifest"] == manifest.checksum
            report = load_runs(path.parent).report
            assert manifest.names(report).all()
            manifest.refuse_others(report)
            assert not report["run"].duplicated().any()


def test_figures_are_drawn_from_the_archive_alone(study: Path, tmp_path: Path, capsys) -> None:
    publish(make_runs(spread(0), spread(1)), study)
    assert main(["figures", "--results", str(study.parent), "--out", str(tmp_path / "figures")]) == 0
    table = (tmp_path / "figures" / "table1" / "table1.md").read_text()
    assert "-156." in table
    assert "2 of 75 planned runs are finished" in table
    assert json.loads((study / INDEX).read_text())["layout"] == 1
    assert "python -m analysis table1 --runs" in capsys.readouterr().out


def test_a_study_without_a_whole_run_spoils_no_other(study: Path, tmp_path: Path, capsys) -> None:
    publish(make_runs(spread(0)), study)
    begun = study.with_name("begun")
    begun.mkdir()
    (begun / MANIFEST).write_text(yaml.safe_dump(MANIFEST_OF))
    publish(make_runs(spread(0, "macpf", state="short")), begun)
    assert main(["figures", "--results", str(study.parent), "--out", str(tmp_path / "figures")]) == 0
    assert f"{begun}: 0 of 4 runs of the manifest are finished\n" in capsys.readouterr().out
    assert (tmp_path / "figures" / "table1" / "table1.md").exists()
