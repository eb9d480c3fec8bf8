"""Nothing of another run, or of another person's run of the same settings, is gone on with or believed."""

from __future__ import annotations

import json
import shutil

import pytest

from macpf.records.ledger import Ledger
from macpf.records.run_state import DAMAGED, FINISHED, run_state
from macpf.runs.errors import Interrupted, RunRefused
from macpf.runs.identity import Identity
from macpf.runs.job import run
from macpf.runs.preemption import StopRequests


@pytest.fixture
def begun(configured, monkeypatch):
    """Begin a run and stop it at a safe point; returns its folder."""

    def begin(*overrides, safe_points=30):
        left = iter([False] * safe_points)
        monkeypatch.setattr(StopRequests, "pending", lambda self: next(left, True))
        monkeypatch.setattr(StopRequests, "stop", lambda self: (_ for _ in ()).throw(Interrupted(15)))
        cfg = configured("algo=qmix", *overrides)
        with pytest.raises(Interrupted):
            run(cfg)
        monkeypatch.undo()
        return Identity.of(cfg).folder

    return begin


def test_checkpoint_and_episodes_of_another_seed_are_refused(configured, begun):
    mine, other = begun("seed=2"), begun("seed=3")
    for name in ("checkpoint.pt", "checkpoint.previous.pt", "episodes"):
        place = mine / name
        (shutil.rmtree if place.is_dir() else lambda path: path.unlink(missing_ok=True))(place)
        if (other / name).is_dir():
            shutil.copytree(other / name, place)
        elif (other / name).exists():
            shutil.copy(other / name, place)
    with pytest.raises(RunRefused, match=r"checkpoint\.pt belongs to the run qmix-.*-s3@.*, not to qmix-.*-s2@"):
        run(configured("algo=qmix", "seed=2"))


def test_files_of_another_learning_rate_are_refused(configured, begun):
    mine, other = begun(), begun("algo.learner.lr=0.01")
    shutil.copy(other / "checkpoint.pt", mine / "checkpoint.pt")
    with pytest.raises(RunRefused, match=r"belongs to the run .*, not to"):
        run(configured("algo=qmix"))


def test_episodes_of_another_origin_are_refused(configured, begun, tmp_path):
    mine = begun()
    kept = shutil.copytree(mine, tmp_path / "kept")
    shutil.rmtree(mine)
    again = begun()
    shutil.rmtree(again / "episodes")
    shutil.copytree(kept / "episodes", again / "episodes")
    with pytest.raises(RunRefused, match=r"000\.bin belongs to the run (\S+)@\w+, not to \1@\w+; put it back"):
        run(configured("algo=qmix"))


@pytest.mark.parametrize("artefact", ["ledger.jsonl", "checkpoint.pt", "status.json"])
def test_a_file_of_another_origin_is_refused(configured, begun, tmp_path, artefact):
    mine = begun()
    kept = shutil.copytree(mine, tmp_path / "kept")
    shutil.rmtree(mine)
    again = begun()
    shutil.copy(kept / artefact, again / artefact)
    before = {path: path.read_bytes() for path in again.iterdir() if path.is_file()}
    for _ in range(2):  # it does not forget by refusing
        with pytest.raises(RunRefused, match=r"belongs to the run (\S+)@\w+, not to \1@\w+"):
            run(configured("algo=qmix"))
    assert {path: path.read_bytes() for path in again.iterdir() if path.is_file()} == before


def test_a_foreign_status_finishes_nothing(configured, begun):
    mine = begun("seed=2")
    finished = configured("algo=qmix", "seed=3")
    run(finished)
    shutil.copy(Identity.of(finished).folder / "status.json", mine / "status.json")
    now = run_state(mine)
    assert now.state == DAMAGED
    assert "belongs to the run" in now.why
    with pytest.raises(RunRefused, match=r"status\.json belongs to the run .*s3, not to .*s2"):
        run(configured("algo=qmix", "seed=2"))


def test_status_and_ledger_of_another_seed_finish_nothing(configured, begun):
    mine = begun("seed=2")
    finished = configured("algo=qmix", "seed=3")
    run(finished)
    for name in ("status.json", "ledger.jsonl"):
        shutil.copy(Identity.of(finished).folder / name, mine / name)
    assert run_state(mine).state == DAMAGED
    with pytest.raises(RunRefused, match="belongs to the run"):
        run(configured("algo=qmix", "seed=2"))


def test_a_status_without_its_ledger_finishes_nothing(configured, tmp_path):
    cfg = configured("algo=qmix")
    run(cfg)
    folder = Identity.of(cfg).folder
    status = json.loads((folder / "status.json").read_text())
    (folder / "ledger.jsonl").unlink()
    assert run_state(folder).state == DAMAGED
    assert "is gone" in run_state(folder).why
    run(cfg)  # its final checkpoint has the rows
    assert run_state(folder).state == FINISHED
    assert Ledger.read(folder / "ledger.jsonl").manifest.origin == status["origin"]
    assert Ledger.read(folder / "ledger.jsonl").missing == 0


def test_a_finished_run_says_that_it_is_of_an_older_commit(configured, capsys, monkeypatch):
    cfg = configured("algo=qmix")
    run(cfg)
    monkeypatch.setattr("macpf.runs.job.commit", lambda: "fedcba987654")
    run(cfg)
    said = " ".join(capsys.readouterr().out.split())
    assert "finished already, nothing to do" in said
    assert "this is fedcba987654" in said
