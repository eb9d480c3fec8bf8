"""A replay that cannot fit is refused with what would, and one that is large is announced."""

from __future__ import annotations

import psutil
import pytest

from macpf.runs.build import build
from macpf.runs.errors import ConfigError
from macpf.runs.memory import free_memory, replay_estimate

#: A step of the matrix game: two observations, a state, availability for four actions each, reward, actions, ending.
STEP = 2 * 4 + 4 + 8 + 4 + 4 + 4


def parts_with(configured, capacity):
    return build(configured("algo=qmix", f"algo.replay.capacity={capacity}"))


def test_a_small_replay_is_not_worth_a_line(configured):
    assert replay_estimate(parts_with(configured, 5000), free=10**9) is None


def test_a_large_replay_is_announced_and_nothing_is_taken_yet(configured):
    parts = parts_with(configured, 10_000_000)
    gigabytes = 10_000_000 * 2 * STEP / 1e9
    expected = f"replay: up to {gigabytes:.1f} GB for 10,000,000 episodes of at most 1 steps"
    assert replay_estimate(parts, free=10**10) == expected
    assert parts.replay.nbytes == 0


def test_what_cannot_fit_is_refused_with_a_capacity_that_does(configured):
    with pytest.raises(ConfigError, match=r"algo\.replay\.capacity=10000000 may need 0\.6 GB") as caught:
        replay_estimate(parts_with(configured, 10_000_000), free=10**8)
    advised = int(str(caught.value).rpartition("=")[2])
    assert 0.9e8 < advised * 2 * STEP <= 1e8
    replay_estimate(parts_with(configured, advised), free=10**8)


def test_no_capacity_is_advised_where_no_batch_would_fit(configured):
    with pytest.raises(ConfigError, match="too little for one batch"):
        replay_estimate(parts_with(configured, 5000), free=4000)


def test_environments_side_by_side_are_counted_too(configured):
    parts = build(configured("algo=qmix", "env.parallel=10000"))
    with pytest.raises(ConfigError, match=r"env\.parallel=10000 may need 0\.0 GB \(10,000 episodes") as caught:
        replay_estimate(parts, free=10**5)
    assert str(caught.value).endswith(f"; type env.parallel={10**5 // (2 * STEP) // 100 * 100}")
    evaluated = build(configured("algo=qmix", "env.eval_parallel=10000", "budget.eval_episodes=10000"))
    with pytest.raises(ConfigError, match=r"env\.eval_parallel=10000 may need"):
        replay_estimate(evaluated, free=10**5)


def test_so_is_what_an_on_policy_algorithm_collects(configured):
    parts = build(configured("algo=mappo", "algo.rollout.env_steps=3000", "budget.env_steps=5000"))
    assert replay_estimate(parts, free=10**6) is None
    with pytest.raises(ConfigError, match=r"algo\.rollout\.env_steps=3000 may need .* type algo\.rollout\.env_steps="):
        replay_estimate(parts, free=3000 * STEP)
    least = next(free for free in range(0, 10**6, STEP // 2) if "rollout" in refusal(parts, free))
    assert refusal(parts, least).endswith("; run it where more memory is free")


def refusal(parts, free):
    with pytest.raises(ConfigError) as caught:
        replay_estimate(parts, free)
    return str(caught.value)


def test_too_large_a_replay_ends_the_command_before_anything_is_written(command_here, tmp_path):
    done = command_here("algo=qmix", "algo.replay.capacity=1000000000000", "outputs=o")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: algo.replay.capacity=1000000000000 may need")
    assert "type algo.replay.capacity=" in line
    assert not list(tmp_path.rglob("status.json"))


def group(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content)


def test_the_tightest_limit_of_the_groups_above_counts_and_cached_files_are_free(tmp_path):
    (tmp_path / "own").write_text("0::/slurm/job_7/step_0\n")
    stat = "anon 300\nactive_file 100\ninactive_file 200\n"
    group(tmp_path / "slurm/job_7/step_0", memory__max="max\n", memory__current="600\n", memory__stat=stat)
    group(tmp_path / "slurm/job_7", memory__max="5000\n", memory__current="600\n", memory__stat=stat)
    group(tmp_path / "slurm", memory__max="9000\n", memory__current="600\n", memory__stat=stat)
    assert free_memory(tmp_path, tmp_path / "own") == 5000 - 600 + 300


def test_version_1_groups_are_read_too(tmp_path):
    (tmp_path / "own").write_text("4:memory:/job_7\n3:cpu:/job_7\n0::/\n")
    limit = {
        "memory__limit_in_bytes": "4000\n",
        "memory__usage_in_bytes": "1000\n",
        "memory__stat": "inactive_file 9\n",
    }
    group(tmp_path / "memory/job_7", **limit)
    assert free_memory(tmp_path, tmp_path / "own") == 3009


def test_without_groups_the_machine_decides(tmp_path):
    assert free_memory(tmp_path, tmp_path / "none") == pytest.approx(psutil.virtual_memory().available, rel=0.2)
