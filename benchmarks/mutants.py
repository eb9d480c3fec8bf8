"""`make test-mutants`: change one operator or number of the code at a time, and see whether a test fails.

Each mutant is one change in one file of a copy of the tree: a sum becomes a difference, a product a quotient, `<`
becomes `<=`, a minus sign or a `not` is removed, a number grows by one, `.detach()` is removed, `min` becomes `max`.
Mutants are drawn at random with a fixed seed, the same number from each file. One that survives its tests either shows
a gap in them or changes nothing that matters (then EQUIVALENT lists it with the reason). The exit code is 1 if fewer
than 95 % of the others are killed.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENOUGH = 0.95
COPIED = ("macpf", "baselines", "analysis", "conf", "tests", "benchmarks", "hydra_plugins", "run.py", "pyproject.toml")

#: Files, each with the tests that must notice an error in it.
TARGETS = {
    "macpf/method/conditional.py": ["tests/method"],
    "macpf/method/learner.py": ["tests/method", "tests/parity/test_golden.py"],
    "macpf/method/losses.py": ["tests/method"],
    "macpf/method/mixer.py": ["tests/method"],
    "macpf/method/policy.py": ["tests/method"],
    "macpf/learning/returns.py": [
        *("tests/learning/test_returns.py", "tests/learning/test_gae.py"),
        "tests/accelerator/test_padding.py",
    ],
    "macpf/learning/central_inputs.py": ["tests/learning/test_central.py"],
    "macpf/learning/schedules.py": ["tests/learning/test_schedules.py"],
    "macpf/learning/value_based.py": ["tests/baselines", "tests/parity/test_golden.py"],
    "baselines/fop.py": ["tests/baselines/test_fop.py", "tests/parity/test_golden.py"],
    "baselines/mappo.py": [
        *("tests/baselines/test_mappo.py", "tests/baselines/test_mappo_losses.py"),
        "tests/parity/test_golden.py",
    ],
    "baselines/qmix.py": ["tests/baselines", "tests/parity/test_golden.py"],
    "baselines/qplex.py": ["tests/baselines", "tests/parity/test_golden.py"],
    "baselines/qtran.py": ["tests/baselines", "tests/parity/test_golden.py"],
    "macpf/runs/checkpoint.py": ["tests/runs/test_checkpoint.py", "tests/runs/test_episodes_on_disk.py"],
    "analysis/bootstrap.py": ["tests/analysis/test_bootstrap.py"],
}

#: Changes of a line that change nothing a user could see, each with its reason.
EQUIVALENT = {
    ("(b1 * w2).sum(dim=-1) + v)", "-1", "1"): "the last of two axes",
    ("encoded.sum(dim=-2)], dim=-1)).squeeze(-1)", "-1", "1"): "the last of two axes",
    ("uniform = self.share * available /", "self.share * available", "self.share / available"): (
        "differs only for unavailable actions, whose probability is set afterwards"
    ),
    ("< self.uniform_share), uniform, -1)", "1", "2"): "any negative number says that nothing is forced",
}

SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult},
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq},
    **{ast.And: ast.Or, ast.Or: ast.And, ast.Is: ast.IsNot, ast.IsNot: ast.Is},
}
RENAMED = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "any": "all", "all": "any"}


@dataclass(frozen=True)
class Mutant:
    """One change.

    Attributes:
        path: the file, relative to the repository.
        line: where it is.
        before, after: the changed expression.
        source: the whole changed file.
    """

    path: str
    line: int
    before: str
    after: str
    source: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}  {self.before}  ->  {self.after}"

    @property
    def is_equivalent(self) -> bool:
        """Whether EQUIVALENT lists it."""
        line = (ROOT / self.path).read_text(encoding="utf-8").splitlines()[self.line - 1]
        return any(text in line and (before, after) == (self.before, self.after) for text, before, after in EQUIVALENT)

    def is_killed(self, tree: Path) -> bool:
        """Whether a test of a copy of the tree fails, or never ends, with this change, which is then undone."""
        changed = tree / self.path
        original = changed.read_bytes()
        changed.write_text(self.source, encoding="utf-8")
        try:
            return not passes(tree, TARGETS[self.path])
        finally:
            changed.write_bytes(original)


def copy_into(folder: Path) -> None:
    """Copy what the tests need."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder)


def passes(folder: Path, tests: list[str]) -> bool:
    """Whether the tests of a tree pass."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-m",
        "not learning and not long and not faults and not slurm",
        *tests,
    ]
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=600).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def mutants(path: str) -> list[Mutant]:
    """All changes of a file."""
    source = (ROOT / path).read_text(encoding="utf-8")
    tree = ast.parse(source)
    silent = {id(node) for node in _not_run(tree)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.expr) and id(node) not in silent:
            for changed in _changes(node):
                found.append(_applied(path, source, node, changed))
    return found


def _not_run(tree: ast.AST) -> Iterator[ast.AST]:
    """Nodes that are never computed or only make a message: annotations, and what is raised or asserted."""
    for node in ast.walk(tree):
        annotations = [getattr(node, name, None) for name in ("annotation", "returns")]
        for part in (*annotations, node if isinstance(node, ast.Raise | ast.Assert) else None):
            yield from ast.walk(part) if part is not None else ()


def _changes(node: ast.expr) -> Iterator[ast.expr]:
    changed = copy.deepcopy(node)
    match changed:
        case ast.BinOp(op=op) | ast.BoolOp(op=op) if type(op) in SWAPPED:
            changed.op = SWAPPED[type(op)]()
        case ast.Compare(ops=[op]) if type(op) in SWAPPED:
            changed.ops = [SWAPPED[type(op)]()]
        case ast.UnaryOp(op=ast.USub() | ast.Not()):
            changed = changed.operand
        case ast.Constant(value=bool(value)):
            changed.value = not value
        case ast.Constant(value=int(value) | float(value)):
            changed.value = value + 1
        case ast.IfExp():
            changed.body, changed.orelse = changed.orelse, changed.body
        case ast.Call(func=ast.Attribute(attr="detach", value=value)):
            changed = value
        case ast.Call(func=ast.Attribute(attr=name) as called) if name in RENAMED:
            called.attr = RENAMED[name]
        case ast.Call(func=ast.Name(id=name) as called) if name in RENAMED:
            called.id = RENAMED[name]
        case _:
            return
    yield changed


def _applied(path: str, source: str, node: ast.expr, changed: ast.expr) -> Mutant:
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    lines = source.encode().splitlines(keepends=True)  # columns count bytes
    begin = sum(map(len, lines[: node.lineno - 1])) + node.col_offset
    end = sum(map(len, lines[: node.end_lineno - 1])) + node.end_col_offset
    text, whole = ast.unparse(changed), source.encode()
    after = whole[:begin] + f"({text})".encode() + whole[end:]
    before = " ".join(whole[begin:end].decode().split())
    return Mutant(path, node.lineno, before, text, after.decode())


def drawn(each: int, seed: int) -> list[Mutant]:
    """The same number of mutants of every file; the same seed draws the same ones."""
    chosen = []
    for path in TARGETS:
        found = [one for one in mutants(path) if not one.is_equivalent]
        chosen += random.Random(f"{seed} {path}").sample(found, min(each, len(found)))
    return chosen


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutants", description=__doc__)
    parser.add_argument("--each", type=int, default=3, help="mutants of each file, default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="which ones are drawn, default: %(default)s")
    parser.add_argument("--file", choices=TARGETS, help="only those of this file")
    chosen = parser.parse_args()
    tried = [one for one in drawn(chosen.each, chosen.seed) if chosen.file in (None, one.path)]
    survivors = []
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        copy_into(tree)
        if not passes(tree, sorted({test for one in tried for test in TARGETS[one.path]})):
            sys.exit("the tests do not pass as the code is; mend that first")
        for number, mutant in enumerate(tried, 1):
            killed = mutant.is_killed(tree)
            survivors += [] if killed else [mutant]
            print(f"{number:3d}/{len(tried)}  {'killed  ' if killed else 'SURVIVES'}  {mutant}", flush=True)
    share = 1 - len(survivors) / len(tried)
    print(f"{len(tried) - len(survivors)} of {len(tried)} mutants killed ({share:.0%}); wanted: {ENOUGH:.0%}")
    sys.exit(share < ENOUGH)


if __name__ == "__main__":
    main()
