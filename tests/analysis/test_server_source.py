"""Runs read through a W&B server by the real client are the runs in the folder."""

from __future__ import annotations

import json
import math
import socket
from hashlib import sha256

import pytest
import wandb
from pandas.testing import assert_frame_equal

from analysis import AnalysisError, server_source
from analysis.__main__ import main
from analysis.runs import load_runs
from macpf.records.sampled import packed
from macpf.records.wandb_file import read_wandb_file
from tests.analysis.synthetic import numbered
from tests.analysis.wandb_server import KEY, StoredRun, serving

PROJECT = "team/macpf"


@pytest.fixture
def server(tmp_path, monkeypatch):
    with serving() as fake:
        settings = {"WANDB_BASE_URL": fake.url, "WANDB_API_KEY": KEY, "WANDB_ERROR_REPORTING": "false"}
        settings |= {"XDG_CACHE_HOME": str(tmp_path / "xdg"), "WANDB_CACHE_DIR": str(tmp_path / "theirs")}
        settings |= {"WANDB_DIR": str(tmp_path), "HOME": str(tmp_path), "NETRC": str(tmp_path / "netrc")}
        for key, value in settings.items():
            monkeypatch.setenv(key, value)
        monkeypatch.setattr(server_source, "TIMEOUT", 5)
        wandb.teardown()  # it reads the settings once
        yield fake
        wandb.teardown()


@pytest.fixture
def both(server, tmp_path, write_run, make_row):
    """The same five runs in a folder and on the server; the last one still goes on."""
    histories = {
        # Three attempts, each of which logs again what came after its checkpoint.
        0: [range(0, 150, 10), range(120, 220, 10), range(200, 301, 10)],
        1: [range(0, 301, 10)],
        2: [range(0, 301, 10)],
        3: [[]],
        4: [range(0, 100, 10)],
    }
    server.projects[PROJECT] = []
    for seed, attempts in histories.items():
        joined = []
        for number, steps in enumerate(attempts, start=1):
            rows = numbered(
                [make_row(s, number + s / 7, dependent=-s / 3) for s in steps], steps[0] // 10 if steps else 0
            )
            if seed == 1:
                rows[5] |= {"train/loss": math.nan, "train/up": math.inf, "train/down": -math.inf}
            last, going = number == len(attempts), seed == 4
            path = write_run(
                tmp_path / "runs", rows, algo="macpf", seed=seed, attempt=number, done=last and not going,
                exit_code=0 if last else 143, evaluations=31,
            )  # fmt: skip
            if going:
                path.write_bytes(path.read_bytes()[:-3])  # its last record is the exit
            joined += rows
        config = read_wandb_file(path).config
        state, summary = ("running", {}) if going else ("finished", {"end": "finished"})
        server.projects[PROJECT].append(
            StoredRun(config["run_key"], config, joined, state, summary, exported=12 if seed == 2 else 0)
        )
    return server, tmp_path / "runs"


def pages(server, query="HistoryPage"):
    return [variables for name, variables in server.asked if name == query]


def test_server_and_folder_give_the_same_runs(both, monkeypatch):
    server, folder = both
    monkeypatch.setattr(server_source, "RUNS_A_PAGE", 2)
    monkeypatch.setattr(server_source, "STEPS_A_PAGE", 10)
    local, remote = load_runs(folder), load_runs(f"wandb:{PROJECT}")
    assert_frame_equal(local.frame, remote.frame)
    assert_frame_equal(local.report, remote.report)
    assert local.configs == remote.configs
    assert list(remote.report["state"]) == ["finished", "diverged", "finished", "no data", "crashed"]
    assert list(remote.report["attempts"]) == [3, 1, 1, 1, 1]
    assert list(remote.report["nan"]) == [0, 3, 0, 0, 0]
    assert len(pages(server, "Runs")) == 3
    longest = server.projects[PROJECT][0]
    assert len([page for page in pages(server) if page["run"] == longest.name]) == -(-len(longest.rows) // 10)


def test_only_runs_that_ended_are_kept_and_only_while_nothing_changed(both):
    server, _ = both
    first = load_runs(f"wandb:{PROJECT}")
    server.asked.clear()
    again = load_runs(f"wandb:{PROJECT}")
    assert_frame_equal(first.frame, again.frame)
    assert_frame_equal(first.report, again.report)
    *ended, going = server.projects[PROJECT]
    assert {page["run"] for page in pages(server)} == {going.name}
    # A run that was resumed, one whose rows were replaced by as many others, and the one that goes on.
    ended[1].rows = [*ended[1].rows, {"env_step": 310, "eval/independent/return": 5.0}]
    ended[2].rows = [{**row, "eval/independent/return": 99.0} for row in ended[2].rows]
    ended[2].summary = {"end": "finished", "eval/independent/return": 99.0}
    going.rows = [*going.rows, {"env_step": 110, "eval/independent/return": 6.0}]
    frame = load_runs(f"wandb:{PROJECT}").frame
    score = frame[frame["metric"] == "eval/independent/return"]
    last = score.groupby("run")[["env_step", "value"]].last()
    assert last.loc[ended[1].name].tolist() == [310, 5.0]
    assert last.loc[going.name].tolist() == [110, 6.0]
    assert (score["value"][score["run"] == ended[2].name] == 99.0).all()


def test_two_servers_share_no_cache(both):
    """Same project, same runs, same counts; W&B's own cache of exported rows would mix them up."""
    server, _ = both
    load_runs(f"wandb:{PROJECT}")
    with serving() as other, pytest.MonkeyPatch.context() as patch:
        changed = server.projects[PROJECT][2]
        rows = [{**row, "eval/independent/return": -1.0} for row in changed.rows]
        other.projects[PROJECT] = [StoredRun(changed.name, changed.config, rows, exported=changed.exported)]
        patch.setenv("WANDB_BASE_URL", other.url)
        wandb.teardown()
        frame = load_runs(f"wandb:{PROJECT}").frame
    assert (frame["value"][frame["metric"] == "eval/independent/return"] == -1.0).all()


def test_a_foreign_run_is_named_and_its_rows_stay_where_they_are(both):
    server, _ = both
    server.projects[PROJECT].append(StoredRun("abc123", {"lr": 0.1}, [{"loss": 1.0}] * 3))
    line = load_runs(f"wandb:{PROJECT}").report.set_index("run").loc["abc123"]
    assert (line["state"], line["note"]) == ("no data", "no run of this project: its config has no run_key")
    assert "abc123" not in {page["run"] for page in pages(server)}


def test_figure_4_is_drawn_from_a_server(both, tmp_path):
    out = tmp_path / "figures"
    assert main(["figure4", "--runs", f"wandb:{PROJECT}", "--out", str(out)]) == 0
    assert (out / "figure4.png").stat().st_size > 1000


@pytest.mark.parametrize("command", ["report", "outcomes", "claims"])
def test_what_is_written_from_a_server_is_what_is_written_from_the_folder(both, tmp_path, command):
    _, folder = both
    written = []
    for name, where in (("local", str(folder)), ("remote", f"wandb:{PROJECT}")):
        out = tmp_path / name
        out.mkdir()
        target = out / "report.html" if command == "report" else out
        assert main([command, "--runs", where, "--out", str(target)]) == 0
        # A page also says when it was made, and the folder it was made from.
        written.append(
            {
                path.name: [x for x in path.read_text().splitlines() if "lead" not in x and "Made 20" not in x]
                for path in out.iterdir()
            }
        )
    local, remote = written
    assert local
    assert local == remote


def refused(capsys, *arguments) -> str:
    assert main([*arguments]) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert captured.out == ""
    return line


def test_fewer_rows_than_the_server_counts(both, capsys):
    server, _ = both
    server.projects[PROJECT][1].lost = 2
    line = refused(capsys, "completeness", "--runs", f"wandb:{PROJECT}")
    assert f"{server.projects[PROJECT][1].name} gave 31 of the 33 rows that the server counts" in line


def test_a_run_whose_rows_are_refused(both, capsys):
    server, _ = both
    server.projects[PROJECT][1].refused = True
    assert f"{server.projects[PROJECT][1].name} cannot be read" in refused(
        capsys, "claims", "--runs", f"wandb:{PROJECT}"
    )


def test_no_such_project(server, capsys):
    assert "wandb:team/nothing" in refused(capsys, "completeness", "--runs", "wandb:team/nothing")


def test_a_project_without_runs(server, capsys):
    server.projects["team/empty"] = []
    assert "no runs in wandb:team/empty" in refused(capsys, "completeness", "--runs", "wandb:team/empty")


def test_no_key(server, capsys, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY")
    wandb.teardown()
    assert "wandb login" in refused(capsys, "completeness", "--runs", f"wandb:{PROJECT}")


def test_nobody_answers(server, capsys, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")
        wandb.teardown()
        assert "WANDB_BASE_URL" in refused(capsys, "completeness", "--runs", f"wandb:{PROJECT}")


@pytest.mark.parametrize("text", ["wandb:", "wandb:macpf", "wandb:a/b/c", "wandb:a b/c"])
def test_what_is_no_project(capsys, text):
    assert "wandb:entity/project" in refused(capsys, "completeness", "--runs", text)


def test_status_is_of_folders(capsys):
    assert "completeness" in refused(capsys, "status", "--runs", f"wandb:{PROJECT}")


def test_samples_come_back_from_the_table_that_the_server_keeps(both):
    """Also from a run made before there were tables, which has them in its rows."""
    server, _ = both
    samples = {f"sampled/0/{t}/{axis}": t / 3 for t in range(5) for axis in "xy"}
    old, new = server.projects[PROJECT][0], server.projects[PROJECT][1]
    content = json.dumps(packed(samples)[1]).encode()
    said = {"_type": "table-file", "path": "media/table/a.table.json", "sha256": sha256(content).hexdigest()}
    new.files["media/table/a.table.json"] = content
    old.rows[-1].update(samples)
    new.rows[-1].update({"sampled": said})
    frame = load_runs(f"wandb:{PROJECT}").frame
    frame = frame[frame["metric"].str.startswith("sampled")]
    for run in (old, new):
        mine = frame[frame["run"] == run.name]
        assert dict(zip(mine["metric"], mine["value"], strict=True)) == samples

    new.files["media/table/a.table.json"] = content.replace(b"0.3", b"0.4", 1)
    new.summary |= {"changed": 1}
    with pytest.raises(AnalysisError, match="not the one that was logged"):
        load_runs(f"wandb:{PROJECT}")
