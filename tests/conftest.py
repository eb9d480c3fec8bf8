"""What the tests of several folders build on: sizes, random ragged batches, slow returns, noise that stays the same."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.core.hydra_config import HydraConfig
from hypothesis import HealthCheck, settings
from torch import Tensor

from macpf.envs.base import EnvSpec
from macpf.experience.batch import EpisodeBatch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # kernels run on the CPU; read when Triton is first imported

settings.register_profile(
    "quick",
    deadline=None,
    database=None,
    derandomize=True,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],  # a busy machine is no fault
)
settings.load_profile("quick")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a CUDA device where there is none."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("cuda"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device is here"))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Networks this small are slower with several threads."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _own_environment() -> Iterator[None]:
    """What a test's sweep or W&B service says to its processes is not said to those of the next test.

    Nor is a run that a test trains taken for one of an earlier test's sweep, which Hydra remembers.
    """
    os.environ.pop("WANDB_SERVICE", None)
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
    HydraConfig.instance().cfg = None


HOLDER = """
import sys, time
from pathlib import Path
from macpf.runs.folder import RunFolder
from macpf.records.run_state import RUNNING
folder = RunFolder(Path(sys.argv[1]))
with folder.lock():
    folder.write_status(RUNNING)
    print("holding", flush=True)
    time.sleep(120)
"""


@pytest.fixture
def hold() -> Iterator[Callable[[Path], subprocess.Popen[str]]]:
    """Start a process that holds a run folder until it is killed, at the latest with the test."""
    with contextlib.ExitStack() as holders:

        def start(folder: Path) -> subprocess.Popen[str]:
            command = [sys.executable, "-c", HOLDER, str(folder)]
            holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
            holders.callback(holder.communicate)
            holders.callback(holder.kill)
            assert holder.stdout is not None
            assert holder.stdout.readline() == "holding\n"
            return holder

        yield start


@pytest.fixture
def command_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``python run.py`` with the given arguments in another folder, but in this process.

    It is for tests of what a command does, not of its process, which would take seconds to load everything.
    """
    from macpf.runs import launch

    def called(*arguments: str) -> subprocess.CompletedProcess[str]:
        said, error = io.StringIO(), io.StringIO()
        monkeypatch.setattr(sys, "argv", ["run.py", *arguments])
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.chdir(tmp_path)
        code: object = 0
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(error):
            try:
                launch.main()
            except SystemExit as end:
                code = end.code
        return subprocess.CompletedProcess(arguments, int(code or 0), said.getvalue(), error.getvalue())

    return called


@pytest.fixture(scope="session")
def sizes() -> EnvSpec:
    """Three agents with four actions each."""
    return EnvSpec(n_agents=3, n_actions=4, obs_dim=5, state_dim=6, episode_limit=9, score="return")


@pytest.fixture(scope="session")
def random_available() -> Callable[..., Tensor]:
    """Random availability of actions, at least one for each agent."""

    def make(*shape: int, generator: torch.Generator) -> Tensor:
        available = torch.rand(shape, generator=generator) < 0.5
        sure = torch.randint(shape[-1], shape[:-1], generator=generator)
        return available.scatter(-1, sure.unsqueeze(-1), True)

    return make


@pytest.fixture(scope="session")
def ragged_batch(random_available: Callable[..., Tensor]) -> Callable[..., EpisodeBatch]:
    """Random episodes of the given lengths; those named in `cut` end at a time limit. Longest first (cut: one more)."""

    def make(sizes: EnvSpec, lengths: Sequence[int], cut: Sequence[int] = (), seed: int = 0) -> EpisodeBatch:
        generator = torch.Generator().manual_seed(seed)
        N, A = sizes.n_agents, sizes.n_actions
        episodes = []
        for b, L in enumerate(lengths):
            rows = L + (b in cut)
            available = random_available(rows, N, A, generator=generator)
            scores = torch.rand(rows, N, A, generator=generator).masked_fill(~available, -1.0)
            steps = torch.arange(rows)
            visible = torch.rand(rows, N, N, generator=generator) < 0.6
            episodes.append(
                {
                    "obs": torch.randn(rows, N, sizes.obs_dim, generator=generator),
                    "state": torch.randn(rows, sizes.state_dim, generator=generator),
                    "available": available,
                    "actions": torch.where((steps < L)[:, None], scores.argmax(dim=-1), 0),
                    "reward": torch.where(steps < L, torch.randn(rows, generator=generator), 0.0),
                    "terminated": ((steps == L - 1) & (b not in cut)).float(),
                    "filled": (steps < L).float(),
                    "visible": visible & ~torch.eye(N, dtype=torch.bool),
                }
            )
        n_rows = [len(episode["filled"]) for episode in episodes]
        assert n_rows == sorted(n_rows, reverse=True), "name the longest episode first"
        rows = [(t, b) for t in range(n_rows[0]) for b in range(len(episodes)) if t < n_rows[b]]
        fields = {name: torch.stack([episodes[b][name][t] for t, b in rows]) for name in episodes[0]}
        return EpisodeBatch(sizes=tuple(sum(n > t for n in n_rows) for t in range(n_rows[0])), **fields)

    return make


@pytest.fixture(scope="session")
def padded() -> Callable[[EpisodeBatch, Tensor], Tensor]:
    """Rows of a batch [R, ...] as [B, T, ...], zeros where an episode has no row; and so for a batch's own rows."""

    def pad(batch: EpisodeBatch, rows: Tensor) -> Tensor:
        result = rows.new_zeros(batch.size, len(batch.sizes), *rows.shape[1:])
        for t, of_time in enumerate(rows.split(batch.sizes)):
            result[: len(of_time), t] = of_time
        return result

    return pad


@pytest.fixture(scope="session")
def lambda_returns() -> Callable[..., list[float]]:
    """Forward view: the weighted mean of all n-step returns of one episode (Sutton and Barto, 12.1)."""

    def returns(
        reward: Sequence[float], next_value: Sequence[float], ends: bool, gamma: float, lambda_: float
    ) -> list[float]:
        L = len(reward)
        values = [0.0 if ends and k == L - 1 else next_value[k] for k in range(L)]

        def n_step(t: int, n: int) -> float:
            rewards = sum(gamma**k * reward[t + k] for k in range(n))
            return rewards + gamma**n * values[t + n - 1]

        result = []
        for t in range(L):
            left = L - t
            shorter = sum((1 - lambda_) * lambda_ ** (n - 1) * n_step(t, n) for n in range(1, left))
            result.append(shorter + lambda_ ** (left - 1) * n_step(t, left))
        return result

    return returns


@pytest.fixture(scope="session")
def fixed_noise() -> Callable[..., Tensor]:
    """Stands in for `gumbel`: the same noise for the same shape."""

    def noise(shape: Sequence[int], generator: torch.Generator | None = None) -> Tensor:
        uniform = np.random.default_rng(7).uniform(1e-6, 1 - 1e-6, tuple(shape))
        return torch.from_numpy(-np.log(-np.log(uniform))).float()

    return noise


@pytest.fixture(scope="session")
def through_a_file() -> Callable[[dict], dict]:
    """Save and load as a checkpoint does."""

    def passed(state: dict) -> dict:
        file = io.BytesIO()
        torch.save(state, file)
        file.seek(0)
        return torch.load(file, weights_only=True)

    return passed


@pytest.fixture(scope="session")
def assert_same() -> Callable[..., None]:
    """Assert that two nested states are equal, bit for bit."""

    def compare(one: object, other: object) -> None:
        assert type(one) is type(other) or (isinstance(one, dict) and isinstance(other, dict))
        if isinstance(one, dict):
            assert isinstance(other, dict)
            assert one.keys() == other.keys()
            for key in one:
                compare(one[key], other[key])
        elif isinstance(one, list | tuple):
            assert isinstance(other, list | tuple)
            assert len(one) == len(other)
            for left, right in zip(one, other, strict=True):
                compare(left, right)
        elif isinstance(one, Tensor):
            assert isinstance(other, Tensor)
            assert torch.equal(one, other)
        else:
            assert one == other

    return compare
