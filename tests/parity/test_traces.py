"""No update of any algorithm has moved by a bit since its traces were written (benchmarks/traces.py)."""

import json

import pytest

from benchmarks.traces import ALGORITHMS, TRACES, kind, trace

KNOWN = json.loads(TRACES.read_text())


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_parameters_after_fifty_updates(algo):
    if kind() not in KNOWN:
        pytest.skip(f"no traces for {kind()}; where the code is trusted: python -m benchmarks.traces --write")
    assert trace(algo) == KNOWN[kind()][algo], f"an update of {algo} has changed; see benchmarks/traces.py"


def test_the_traces_tell_algorithms_apart():
    for traces in KNOWN.values():
        assert set(traces) == set(ALGORITHMS)
        assert len(set(traces.values())) == len(traces)
