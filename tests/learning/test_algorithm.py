"""What every algorithm says of itself."""

from macpf.configuration import compose
from macpf.runs.build import build


def test_parameter_counts_name_every_trained_number_and_no_target():
    algorithm = build(compose("algo=macpf", "tracking=disabled", "device=cpu")).algorithm
    counts = algorithm.parameter_counts()
    assert sum(counts.values()) == sum(p.numel() for p in algorithm.parameters() if p.requires_grad)
    assert counts["actor.independent"] == 64 * 4 + 4
    assert not any(name.startswith("target") for name in counts)
