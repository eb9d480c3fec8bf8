"""The tables of what a GPU is worth come out, here on the CPU in small."""

import re

from benchmarks import conftest, cuda


def test_the_table_of_updates(monkeypatch):
    monkeypatch.setitem(conftest.SHAPES, "tiny", conftest.Shape(4, 8, 2, 5, 6, 4, 2))
    header, _, *lines = cuda.updates("cpu", ["macpf", "qmix"], ["tiny"], rounds=1)
    assert header.split("|")[3:6] == [" eager ", " graph ", " graph, batches from the CPU "]
    assert len(lines) == 2
    for line, algo in zip(lines, ("macpf", "qmix"), strict=True):
        assert re.fullmatch(rf"\| {algo} \| tiny(?: \| \d+\.\d){{3}} \| no GPU \|", line)


def test_the_pace_of_a_run():
    assert cuda.pace("qmix", "cpu", "auto", 1, cuda.SHORT) > 0
