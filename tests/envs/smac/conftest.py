"""A bare battlefield with any units on it, played loop by loop."""

from dataclasses import dataclass

import numpy as np
import pytest

from macpf.envs.smac.maps import SmacMap
from macpf.envs.smac.skirmish import layout as L
from macpf.envs.smac.skirmish.battles import Skirmish
from macpf.envs.smac.skirmish.engine import advance
from macpf.envs.smac.skirmish.orders import give_orders


@dataclass
class BareField:
    """One battle on open ground; agents first, then enemies, each (unit, x, y)."""

    env: Skirmish
    loop: int = 0

    @property
    def f(self):
        return self.env.floats[0]

    @property
    def n(self):
        return self.env.ints[0]

    @property
    def w(self):
        return self.env.field

    def points(self):
        """Health and shield of all units."""
        return self.f[L.HEALTH] + self.f[L.SHIELD]

    def order(self, *actions):
        """Give the agents their orders."""
        give_orders(self.f, self.n, self.w, np.array(actions))

    def run(self, loops=1):
        """Game loops without new orders."""
        for _ in range(loops):
            advance(self.f, self.n, self.w, self.env.streams, 0, self.loop, self.env._around)
            self.loop += 1


@pytest.fixture
def bare_field():
    """Makes bare battlefields. Enemies stand idle unless `march` gives them a point to attack-move to."""

    def make(allies, enemies, march=None, seed=0, terrain="open", **parameters):
        order, points = ("march", (march, march)) if march else ("hold", ())
        smac_map = SmacMap(
            "bare", "easy", False, 10_000, "TT", "none", terrain, 9.0, True, tuple(allies), tuple(enemies),
            order, points,
        )  # fmt: skip
        env = Skirmish(smac_map, 1, seed, parameters)
        env.reset()
        if not march:
            env.ints[:, L.ORDER, len(allies) :] = L.IDLE
        return BareField(env)

    return make
