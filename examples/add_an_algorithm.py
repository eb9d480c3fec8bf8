"""Add an algorithm: VDN whose joint value also has a learnt term V(s). Train it on the matrix game.

Usage: python examples/add_an_algorithm.py [MORE SETTINGS, e.g. seed=1]

Its settings are in examples/conf/algo/vdn_with_value.yaml. docs/add_an_algorithm.md explains the interface.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from macpf.configuration import compose
from macpf.learning.algorithm import Sizes
from macpf.learning.networks import pick
from macpf.learning.value_based import ValueBased
from macpf.runs.job import run

if TYPE_CHECKING:
    from macpf.experience.batch import EpisodeBatch


class VDNWithValue(ValueBased):
    """Q_tot(s, a) = sum_i Q_i(a_i) + V(s); everything else is VDN's."""

    def __init__(self, sizes: Sizes, device: str, seed: int, **settings: Any) -> None:
        super().__init__(sizes, device, seed, mixer=nn.Linear(sizes.state_dim, 1), **settings)

    def joint_value(
        self, mixer: nn.Module, q: Tensor, actions: Tensor, batch: EpisodeBatch
    ) -> tuple[Tensor, Tensor | None]:
        """The joint value of each row; this algorithm adds nothing to the loss."""
        return pick(q, actions).sum(dim=-1) + mixer(batch.state).squeeze(-1), None


if __name__ == "__main__":
    conf = f"hydra.searchpath=[file://{Path(__file__).resolve().parent / 'conf'}]"
    print("final return:", run(compose("algo=vdn_with_value", conf, "budget=smoke", *sys.argv[1:])))
