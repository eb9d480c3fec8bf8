"""Crowds as bodies: what geometry asks of them, whoever wins (facts about rings, gaps and lines, not fitted)."""

import numpy as np
import pytest

from macpf.envs.smac.maps import EAST, FIRST_ATTACK, load_map
from macpf.envs.smac.skirmish import layout as L

SECOND = 16
UNHURT = 1e6


def fighting(field, first):
    return int((field.n[L.STANCE, first:] == L.FIGHTING).sum())


def until_contact(field, first):
    while fighting(field, first) == 0:
        field.run()


def block(unit, count, width, spacing, x, y):
    """Units in a block, its nearest column at x."""
    return [(unit, x + spacing * (k // width), y + spacing * (k % width - (width - 1) / 2)) for k in range(count)]


@pytest.mark.parametrize(
    ("target", "places"),
    [("colossus", {1.5: 7, 2.5: 9, 3.0: 10}), ("zealot", {1.5: 6, 2.5: 6})],
)
def test_a_single_target_is_surrounded(bare_field, target, places):
    """A colossus has room for 12 zerglings (8 after 1.5 and 11 after 3 seconds wanted), a zealot for 7 or 8."""
    for seed in range(3):
        field = bare_field(
            [(target, 10.0, 16.0)], block("zergling", 30, 6, 0.8, 20.0, 16.0), march=(10.0, 16.0), seed=seed
        )
        field.f[L.HEALTH, 0] = UNHURT
        until_contact(field, 1)
        gone = 0
        for seconds, least in places.items():
            loops = round(seconds * SECOND)
            field.run(loops - gone)
            gone = loops
            assert fighting(field, 1) >= least, seconds


def test_a_ball_becomes_a_firing_line(bare_field):
    """25 marines in a block meet a line of targets: those behind go around those who fire (0.6 and 0.8 wanted)."""
    line = [("marine", 8.0, 11.0 + k) for k in range(11)]
    field = bare_field(line, block("marine", 25, 5, 0.75, 20.0, 16.0), march=(6.0, 16.0))
    field.f[L.HEALTH, :11] = UNHURT
    until_contact(field, 11)
    shares = []
    for _ in range(6):
        field.run(SECOND)
        shares.append(fighting(field, 11) / 25)
    assert shares[1] >= 0.44
    assert shares[3] >= 0.64
    assert shares[5] >= 0.75


def through(bare_field, terrain, start, post, passed, count=24, seconds=30):
    """Seconds at which zerglings got past a line, the first and the last of the middle half, and how many did."""
    field = bare_field(
        [("colossus", 1.0, 1.0)], block("zergling", count, 6, 0.8, *start), march=post, terrain=terrain,
        march_spread=0.0,
    )  # fmt: skip
    field.f[L.HEALTH, 0] = UNHURT
    times = np.full(count, np.inf)
    for loop in range(SECOND * seconds):
        field.run()
        over = [passed(x, y) for x, y in zip(field.f[L.X, 1:], field.f[L.Y, 1:], strict=True)]
        times = np.where(over & np.isinf(times), loop / SECOND, times)
    return np.sort(times)


def test_a_ramp_of_three_cells_is_climbed_abreast(bare_field):
    """Single file would be 4 a second, three abreast 12 (6 wanted)."""
    terrain = load_map("2c_vs_64zg").terrain
    times = through(bare_field, terrain, (6.0, 8.5), (12.0, 16.0), lambda x, y: y > 13.5, count=48)
    assert np.isfinite(times).all()
    quarter = len(times) // 4
    assert 2 * quarter / (times[3 * quarter] - times[quarter]) >= 5


def test_corridors_passage_is_passed_by_all(bare_field):
    """24 zerglings, three abreast: within 3 seconds of the first."""
    terrain = load_map("corridor").terrain
    times = through(bare_field, terrain, (16.0, 18.0), (4.5, 4.3), lambda x, y: x + y < 19)
    assert np.isfinite(times).all()
    assert times[-1] - times[0] <= 3


def test_a_building_stays_where_it_is(bare_field):
    """A marine that shoots at the spine crawler it overlaps with is pushed away alone; another one walks by."""
    field = bare_field([("marine", 16.6, 16.0), ("marine", 4.0, 4.0)], [("spine_crawler", 16.0, 16.0)])
    field.f[L.HEALTH, :] = UNHURT
    field.order(FIRST_ATTACK, EAST)
    field.run(8)
    assert field.n[L.STANCE, 0] == L.FIGHTING
    assert tuple(field.f[[L.X, L.Y], 2]) == (16.0, 16.0)
    assert field.f[L.X, 0] > 16.7
