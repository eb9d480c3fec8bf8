"""One table of faults: what lies in a run folder x what happens to it x when, with one oracle for all.

Whatever is damaged, the same command ends with the same result, or refuses in one line; and no reader takes what is
left for a finished run unless it is the same result. ``make test`` plays every seventh case, so each damage and both
moments, ``make test-faults`` all.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from rich.console import Console

from analysis import AnalysisError
from analysis.runs import load_runs
from analysis.status import status
from macpf.configuration import compose
from macpf.records.ledger import Ledger
from macpf.records.owner import Owner
from macpf.records.run_state import FINISHED, PLANS, run_state, write_plan
from macpf.runs import checkpoint
from macpf.runs.errors import ConfigError, Interrupted, RunRefused
from macpf.runs.identity import Identity
from macpf.runs.job import run
from macpf.runs.preemption import StopRequests

Damage = Callable[[Path, Path, Path], None]


def truncated(path: Path, stranger: Path, earlier: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def one_bit_flipped(path: Path, stranger: Path, earlier: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    path.write_bytes(content)


def zeroed(path: Path, stranger: Path, earlier: Path) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    stretch = content[middle : middle + 4096]
    content[middle : middle + len(stretch)] = bytes(len(stretch))
    path.write_bytes(content)


def deleted(path: Path, stranger: Path, earlier: Path) -> None:
    path.unlink()


def a_directory_in_its_place(path: Path, stranger: Path, earlier: Path) -> None:
    path.unlink()
    path.mkdir()


def of_the_wrong_type(path: Path, stranger: Path, earlier: Path) -> None:
    path.write_text('{"state": 7, "pid": "words", "kind": ["end"]}\n')


def from_another_run(path: Path, stranger: Path, earlier: Path) -> None:
    shutil.copy(stranger, path)


def stale(path: Path, stranger: Path, earlier: Path) -> None:
    if earlier.exists():
        shutil.copy(earlier, path)


DAMAGES: list[Damage] = [
    *(truncated, one_bit_flipped, zeroed, deleted, a_directory_in_its_place),
    *(of_the_wrong_type, from_another_run, stale),
]
ARTEFACTS = [
    *("ledger.jsonl", "checkpoint.pt", "checkpoint.previous.pt", "episodes/000000000000.bin", "status.json"),
    *("config.yaml", "wandb log"),
]
WHEN = ["interrupted", "finished"]
CASES = list(itertools.product(ARTEFACTS, DAMAGES, WHEN))


def configuration(root: Path, seed: int):
    return compose(
        *("algo=qmix", "budget=smoke", "tracking=offline", f"seed={seed}", f"outputs={root}"),
        *("checkpoint.every_seconds=0", "budget.eval_interval=100"),
    )


def play(root: Path, seed: int = 2, safe_points: int = 10**9) -> Path:
    """Train until a safe point, or to the end; the run's folder."""
    left = iter([False] * safe_points) if safe_points < 10**9 else itertools.repeat(False)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(StopRequests, "pending", lambda self: next(left, True))
        patched.setattr(StopRequests, "stop", lambda self: (_ for _ in ()).throw(Interrupted(15)))
        cfg = configuration(root, seed)
        with contextlib.suppress(Interrupted), contextlib.redirect_stdout(io.StringIO()):
            run(cfg)
    return Identity.of(cfg).folder


@pytest.fixture(scope="module")
def stages(tmp_path_factory) -> dict[str, Path]:
    """Roots with one run each: stopped early, stopped late, finished; and another seed's, stopped late and finished."""
    root = tmp_path_factory.mktemp("stages")
    play(root / "interrupted", safe_points=20)
    shutil.copytree(root / "interrupted", root / "earlier")
    play(root / "interrupted", safe_points=18)
    shutil.copytree(root / "interrupted", root / "finished", symlinks=True)
    play(root / "finished")
    play(root / "stranger interrupted", seed=3, safe_points=30)
    play(root / "stranger finished", seed=3)
    return {path.name: path for path in root.iterdir()}


def the_folder(root: Path) -> Path:
    (folder,) = root.glob("*/*/*/*/seed=*")
    return folder


def artefact_in(root: Path, artefact: str) -> Path:
    folder = the_folder(root)
    if artefact != "wandb log":
        return folder / artefact
    logs = sorted(path for path in folder.glob("wandb/*run-*/*.wandb") if "latest" not in str(path))
    return logs[-1] if logs else folder / "none.wandb"


def results(folder: Path) -> tuple:
    """All that a run ends with, without the wall clock."""
    ledger = Ledger.read(folder / "ledger.jsonl")
    rows = [{key: v for key, v in row.values.items() if not key.startswith("time/")} for row in ledger.rows]
    state = checkpoint.load(folder / "checkpoint.pt", None)
    assert state is not None
    parameters = {key: value for key, value in state["algorithm"].items() if isinstance(value, torch.Tensor)}
    return rows, parameters, state["clock"]


def same(one: tuple, other: tuple) -> bool:
    (rows, parameters, clock), (other_rows, other_parameters, other_clock) = one, other
    equal = all(torch.equal(parameters[key], other_parameters[key]) for key in parameters)
    return rows == other_rows and clock == other_clock and equal


def assert_readers_are_honest(root: Path, reference: tuple) -> None:
    """No reader breaks, and none shows a finished run that is not the reference."""
    said = ""
    with contextlib.redirect_stderr(io.StringIO()) as errors:
        status(root, None, live=False, console=Console(file=io.StringIO()))
        try:
            report = load_runs(root)
        except AnalysisError as error:  # its only log is gone
            said = str(error)
    assert "Traceback" not in errors.getvalue()
    if said:
        assert re.fullmatch(r"no runs in [^\n]+", said)
        return
    final = {row["env_step"]: row["eval/independent/return"] for row in reference[0]}
    for line in report.report[report.report["counts"]].itertuples():
        scores = report.frame[(report.frame["run"] == line.run)]
        scores = scores[scores["metric"] == "eval/independent/return"]
        assert line.found == line.expected == len(final)
        if line.seed == 2:
            assert dict(zip(scores["env_step"], scores["value"], strict=True)) == final


def play_case(root: Path, stages: dict[str, Path], artefact: str, damage: Damage, when: str) -> str:
    shutil.copytree(stages[when], root, symlinks=True)
    path = artefact_in(root, artefact)
    if not path.exists():
        return "nothing there"
    reference = results(the_folder(stages["finished"]))
    stranger = artefact_in(stages[f"stranger {when}"], artefact)
    damage(path, stranger, artefact_in(stages["earlier"], artefact))
    assert_readers_are_honest(root, reference)
    refusal = ""
    try:
        folder = play(root)
    except (RunRefused, ConfigError) as refused:
        refusal = str(refused)
    if refusal:
        assert re.fullmatch(r"[^\n]{20,}", refusal)
        assert run_state(the_folder(root)).state != FINISHED or damage is stale
        ended = "refused in one line"
    else:
        assert run_state(folder).state == FINISHED
        if when == "interrupted" or not artefact.startswith("checkpoint"):  # nobody goes on from a finished run's
            assert same(results(folder), reference)
        ended = "same result"
    assert_readers_are_honest(root, reference)
    return ended


@pytest.mark.parametrize("k", range(0, len(CASES), 7))
def test_whatever_is_damaged_the_result_is_the_same_or_refused(stages, tmp_path, k):
    assert play_case(tmp_path / "case", stages, *CASES[k]) in ("same result", "refused in one line", "nothing there")


@pytest.mark.faults
def test_the_whole_table(stages, tmp_path):
    counts: Counter[tuple[str, str]] = Counter()
    for k, (artefact, damage, when) in enumerate(CASES):
        counts[when, play_case(tmp_path / str(k), stages, artefact, damage, when)] += 1
        shutil.rmtree(tmp_path / str(k))
    print(f"{len(CASES)} faults: {dict(counts)}")
    assert counts["finished", "same result"] >= 24


@pytest.mark.parametrize("content", ["", "{", "7", '{"a": 1}', '["a", 3]', "\x00" * 100])
def test_a_broken_plan_is_named_and_the_rest_goes_on(stages, tmp_path, content, capsys):
    root = shutil.copytree(stages["finished"], tmp_path / "case", symlinks=True)
    write_plan(root, "figure4-paper", [the_folder(root)])
    (root / PLANS / "table2-paper.json").write_text(content)
    out = io.StringIO()
    status(root, None, live=False, console=Console(file=out, width=200))
    assert "1 runs: 1 finished" in out.getvalue()
    said = capsys.readouterr().err
    assert "table2-paper.json is damaged" in said
    assert "delete it" in said
    assert len(said.splitlines()) == 1


def test_two_peoples_runs_in_one_folder_are_never_merged(stages, tmp_path):
    root = shutil.copytree(stages["finished"], tmp_path / "mine", symlinks=True)
    play(tmp_path / "theirs")
    for log in the_folder(tmp_path / "theirs").glob("wandb/*run-*"):
        shutil.copytree(log, the_folder(root) / "wandb" / log.name, symlinks=True, dirs_exist_ok=True)
    runs = load_runs(root)
    assert len(runs.report) == 2
    assert list(runs.report["state"]) == ["finished"] * 2
    assert runs.report["run"].str.contains("@").all()
    assert runs.report["note"].str.contains("origin").all()
    origin = json.loads((the_folder(root) / "status.json").read_text())["origin"]
    assert Owner(key="k", origin=origin)
    assert len(runs.without([f"@{origin[:8]}"]).report) == 1
