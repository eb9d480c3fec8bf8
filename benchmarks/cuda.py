"""What a GPU is worth: `python -m benchmarks.cuda` prints the tables of docs/speed.md.

Updates: milliseconds on batches of random length, one operation at a time (`eager`) and recorded (`graph`), with the
batch already on the GPU or copied from the CPU. Whole runs: env steps per second from the second evaluation to the
last, with evaluations and everything else, for one run and for several that share the GPU, and for as many on the
CPU's cores. `--smoke` does the same in a minute. Without a GPU, everything runs on the CPU.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from benchmarks.conftest import SHAPES, Shape, make_algorithm
from benchmarks.test_updates import random_lengths
from macpf import names
from macpf.learning.algorithm import Algorithm
from macpf.learning.schedules import Clock
from macpf.records.ledger import Evaluation, entries_of
from macpf.runs.allocation import keep_freed_memory
from macpf.runs.identity import commit
from macpf.runs.placement import Placement

ALGORITHMS = ("macpf", "fop", "qmix")
LARGE = [name for name in SHAPES if name != "matrix"]
ROOT = Path(__file__).parents[1]


def median_ms(what: Callable[[], object], rounds: int) -> float:
    """Median wall milliseconds of a call; the GPU is waited for after each."""
    times = []
    for _ in range(rounds):
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        started = time.perf_counter()
        what()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(1e3 * (time.perf_counter() - started))
    return sorted(times)[rounds // 2]


def in_a_row_ms(what: Callable[[], object], rounds: int) -> float:
    """Wall milliseconds per call of many in a row, with one wait for the GPU at the end, as in a round of updates."""
    return median_ms(lambda: [what() for _ in range(rounds)], 3) / rounds


def placed(algo: str, shape: Shape, device: str, accelerate: str) -> Placement:
    """An algorithm at its configured settings, where it would be in a run."""

    def make(on: str) -> Algorithm:
        return make_algorithm(algo, shape, True, device=on)

    return Placement(device, make, accelerate)  # type: ignore[arg-type]


def updates(device: str, algorithms: Sequence[str], shapes: Sequence[str], rounds: int) -> Iterator[str]:
    """Lines of the table of updates."""
    yield "| algorithm | shape | eager | graph | graph, batches from the CPU | recorded |"
    yield "|---|---|---|---|---|---|"
    for algo in algorithms:
        for name in shapes:
            shape = SHAPES[name]
            batch, clock = shape.batch(random_lengths(shape)), Clock()
            cells, played = [], "no GPU"
            for accelerate in ("eager", "auto"):
                placement = placed(algo, shape, device, accelerate)
                there = placement._sent(batch)
                learner = placement.recorder or placement.learner
                learner.learn(there, clock)
                cells.append(in_a_row_ms(lambda: learner.learn(there, clock), rounds))  # noqa: B023
            cells.append(in_a_row_ms(lambda: placement.learn(batch, clock), rounds))  # noqa: B023
            if placement.recorder is not None:
                played = "no" if placement.recorder.given_up else "yes"
            yield f"| {algo} | {name} | " + " | ".join(f"{ms:.1f}" for ms in cells) + f" | {played} |"


#: Settings of the table's runs, of those on the CPU, and of those of `--smoke`, which learn from the first episodes on.
LONG = ("map=MMM2", "budget.env_steps=30000", "budget.eval_interval=10000", "budget.eval_episodes=32")
ON_CPU = ("map=MMM2", "budget.env_steps=20000", *LONG[2:])
SHORT = (
    *("map=3m", "budget.env_steps=600", "budget.eval_interval=200", "budget.eval_episodes=4", "env.eval_parallel=4"),
    *("algo.replay.batch=4", "algo.replay.burn_in=4"),
)


def pace(algo: str, device: str, accelerate: str, count: int, task: Sequence[str]) -> float:
    """Env steps per second of `count` runs together, each a process of its own with one thread."""
    with tempfile.TemporaryDirectory() as outputs:
        settings = [
            *(f"algo={algo}", "env=smac", "env.backend=embedded", *task, "tracking=disabled"),
            *(f"device={device}", f"accelerate={accelerate}", f"outputs={outputs}"),
        ]
        command = [sys.executable, str(ROOT / "run.py"), *settings]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        started = [
            subprocess.Popen([*command, f"seed={seed}"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
            for seed in range(count)
        ]
        for process in started:
            said, _ = process.communicate()
            if process.returncode:
                raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}\n{said}")
        return sum(_pace_of(ledger) for ledger in Path(outputs).rglob("ledger.jsonl"))


def _pace_of(ledger: Path) -> float:
    """Env steps per second from the second evaluation, when the replay is filled and recordings exist, to the last."""
    rows = [entry.values for entry in entries_of(ledger) if isinstance(entry, Evaluation)]
    first, last = rows[1], rows[-1]
    return (last[names.ENV_STEP] - first[names.ENV_STEP]) / (last[names.WALL_SECONDS] - first[names.WALL_SECONDS])


def paces(device: str, many: int, smoke: bool) -> Iterator[str]:
    """Lines of the table of whole runs."""
    task, on_cpu = (SHORT, SHORT) if smoke else (LONG, ON_CPU)
    kinds = [(algo, device, "auto", count, task) for algo in ("macpf", "qmix") for count in (1, many)]
    if device == "cuda":
        kinds += [("macpf", device, "eager", 1, task), ("macpf", "cpu", "auto", os.cpu_count() or 1, on_cpu)]
    yield f"| {task[0]} | runs | env steps per second, together |"
    yield "|---|---|---|"
    for algo, where, accelerate, count, settings in kinds:
        what = f"{algo}, device={where}" + (", accelerate=eager" if accelerate == "eager" else "")
        yield f"| {what} | {count} | {pace(algo, where, accelerate, count, settings):,.0f} |"


def shared_by() -> str:
    """How processes share the GPU: at once, if NVIDIA's Multi-Process Service (MPS) runs, or in turns."""
    pipes = Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps"))
    return "with MPS" if (pipes / "control").exists() else "without MPS"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cuda", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="one small shape, short runs")
    parser.add_argument("--many", type=int, help="runs that share the GPU, default: 12, or 2 with --smoke")
    parser.add_argument("--only", choices=["updates", "runs"], help="one of the two tables")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    card = f"{torch.cuda.get_device_name()} {shared_by()}" if device == "cuda" else "no GPU"
    print(f"{card}, {os.cpu_count()} cores ({platform.machine()}), torch {torch.__version__}, commit {commit()}\n")
    if chosen.only != "runs":
        size = (ALGORITHMS[:1], LARGE[:1], 2) if chosen.smoke else (ALGORITHMS, LARGE, 30)
        for line in updates(device, *size):
            print(line, flush=True)
    if chosen.only != "updates":
        many = chosen.many or (2 if chosen.smoke else 12)
        print()
        for line in paces(device, many, chosen.smoke):
            print(line, flush=True)


if __name__ == "__main__":
    main()
