"""Parameter traces: a hash of the parameters of each algorithm after 50 updates.

A published number is one of the code that made it. Whatever changes an update by one bit changes the trace, so results
cannot change unnoticed. An intended change is declared (``python -m benchmarks.traces --write``) and described in
CHANGELOG.md. The last bits depend on processor and PyTorch, so each combination that was seen has its own traces.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
from pathlib import Path

import torch

from benchmarks.conftest import Shape, make_algorithm
from macpf.choices import choices
from macpf.learning.schedules import Clock

TRACES = Path(__file__).with_name("traces.json")
UPDATES = 50
#: Small, but with several agents, episodes of different lengths and agent features.
SHAPE = Shape(B=4, T=6, N=3, O=5, S=7, A=4, F=2)
ALGORITHMS = [algo for algo in choices("algo") if algo != "central"]


def kind() -> str:
    """What the last bits depend on: the processor's model and vector instructions, and PyTorch."""
    about = Path("/proc/cpuinfo")
    processor = about.read_text().split("\n\n")[0] if about.exists() else platform.processor()
    kept = [line for line in processor.splitlines() if line.startswith(("vendor_id", "cpu family", "model", "flags"))]
    digest = hashlib.blake2b("".join(kept or [processor]).encode(), digest_size=4).hexdigest()
    capability = torch.backends.cpu.get_cpu_capability()
    return f"processor {digest}, {capability}, torch {torch.__version__.split('+')[0]}"


def trace(algo: str) -> str:
    """The hash of an algorithm's parameters after `UPDATES` updates on one random batch."""
    algorithm = make_algorithm(algo, SHAPE, True)
    batch = SHAPE.batch([6, 5, 3, 2])
    clock = Clock()
    for _ in range(UPDATES):
        algorithm.learn(batch, clock)
        clock.updates += 1
        clock.env_steps += SHAPE.B * SHAPE.T
    digest = hashlib.blake2b(digest_size=8)
    for name, tensor in sorted(tensors(algorithm.state_dict(), "")):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def tensors(node: object, path: str) -> list[tuple[str, torch.Tensor]]:
    """Every floating-point tensor of nested dictionaries and lists, by its path."""
    if isinstance(node, torch.Tensor):
        return [(path, node)] if node.is_floating_point() else []
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list | tuple) else ()
    return [found for key, value in items for found in tensors(value, f"{path}/{key}")]


def main() -> None:
    """Compare with the stored traces, and store the new ones with ``--write``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="declare today's traces to be right")
    torch.set_num_threads(1)
    known = json.loads(TRACES.read_text()) if TRACES.exists() else {}
    now = {algo: trace(algo) for algo in ALGORITHMS}
    before = known.get(kind(), {})
    for algo, digest in now.items():
        print(
            f"{algo:16} {digest}  {'same' if before.get(algo) == digest else 'new' if algo not in before else 'MOVED'}"
        )
    if parser.parse_args().write:
        TRACES.write_text(json.dumps({**known, kind(): now}, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
