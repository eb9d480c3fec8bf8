"""What exact returns of the real game say about its unit data; hand-worked sums of points."""

import json
from itertools import product
from pathlib import Path

import pytest

from macpf.envs.smac.maps import load_map
from macpf.envs.smac.units import UNIT_SETS

EPISODES = Path(__file__).parents[3] / "benchmarks" / "engine_vs_game" / "data" / "random_episodes.json"
#: A Zerg unit regrows 70 of these parts of a point in a loop.
PARTS, REGROWTH = 4096, 70
LOOPS_PER_STEP = 8


def rows(name):
    """Length and sum of points taken from the enemies, of random episodes with a logged return."""
    smac_map, episodes = load_map(name), json.loads(EPISODES.read_text())["maps"][name]
    return [(row[0], row[1] * smac_map.max_reward / 20) for row in episodes if row[1] is not None]


def explained(steps, total, hit):
    """Whether hits of one size and regrowth make up a sum of points.

    SMAC pays absolute differences, so regrowth adds to it, but not in an env step with a hit, where it takes away.
    """
    parts = round(total * PARTS)
    for hits in range(1, 1 + parts // (hit * PARTS) + 1):
        loops, rest = divmod(parts - hits * hit * PARTS, REGROWTH)
        most = min(LOOPS_PER_STEP * steps, hit * hits * PARTS // REGROWTH)
        if rest == 0 and -LOOPS_PER_STEP * hits <= loops <= most:
            return True
    return False


def hit_on_crawler(unit_set):
    stalker, crawler = UNIT_SETS[unit_set]["stalker"].weapon, UNIT_SETS[unit_set]["spine_crawler"]
    return stalker.damage + stalker.bonus["armored"] - crawler.armor


def test_a_stalker_hits_the_crawler_for_16():
    assert hit_on_crawler("multiplayer") == 16
    assert hit_on_crawler("liberty") == 12
    known = [(steps, total) for steps, total in rows("2s_vs_1sc") if total > 0]
    assert [sum(explained(*row, hit) for row in known) for hit in (16, 12)] == [18, 4]
    assert len(known) == 18


@pytest.mark.parametrize("name", ["3m", "8m", "5m_vs_6m", "8m_vs_9m"])
def test_a_marine_hits_for_6(name):
    assert UNIT_SETS["multiplayer"]["marine"].weapon.damage == 6
    sums = [total for _, total in rows(name) if abs(total - round(total)) < 1e-3]
    multiples = [round(total) % 6 == 0 for total in sums]
    assert sum(multiples) >= len(multiples) - 2, "two episodes of 3m come from a repository with another reward scale"


def test_wounded_zerglings_outlive_a_colossus():
    """Two hits of 10 + 5 leave a zergling of 35 alive to regrow, so sums are no whole numbers; 20 twice kills it."""
    assert all(abs(total - round(total)) > 1e-3 for _, total in rows("2c_vs_64zg"))
    for unit_set, survives in (("multiplayer", True), ("liberty", False)):
        weapon = UNIT_SETS[unit_set]["colossus"].weapon
        damage = weapon.hits * (weapon.damage + weapon.bonus.get("light", 0))
        assert (damage < UNIT_SETS[unit_set]["zergling"].health) == survives


def test_both_sets_agree_where_the_files_do():
    liberty, multiplayer = UNIT_SETS["liberty"], UNIT_SETS["multiplayer"]
    assert set(liberty) == set(multiplayer)
    assert all(liberty[name] == multiplayer[name] for name in ("zealot", "zergling", "baneling", "medivac"))
    for name, field in product(liberty, ("health", "shield", "armor", "speed", "radius", "separation")):
        assert getattr(liberty[name], field) == getattr(multiplayer[name], field)
