"""Estimators against scipy and by hand; intervals that cover, that repeat, and that know how many runs there are."""

import numpy as np
import pytest
from scipy import stats

from analysis.bootstrap import (
    Sample,
    curve,
    estimate,
    improvement,
    iqm,
    mean,
    median,
    optimality_gap,
    profile,
)
from analysis.claims.calibrated import Cells, combined, paired

RANDOM = np.random.default_rng(3)
STATISTICS = (mean, median, iqm, optimality_gap)


def point(statistic, sample):
    return float(statistic(sample, sample.weights))


@pytest.mark.parametrize("shape", [(18, 5), (3, 5), (4, 4), (1, 3), (7, 2)])
def test_with_equal_numbers_of_runs_they_are_the_published_estimators(shape):
    x = RANDOM.normal(0.7, 0.4, shape)
    sample = Sample.of(*x)
    assert point(mean, sample) == pytest.approx(x.mean(axis=1).mean())
    assert point(median, sample) == pytest.approx(np.median(x.mean(axis=1)))
    assert point(iqm, sample) == pytest.approx(stats.trim_mean(x, 0.25, axis=None))
    assert point(optimality_gap, sample) == pytest.approx(1 - np.minimum(x, 1).mean())


def test_with_unequal_numbers_every_map_weighs_the_same():
    sample = Sample.of([0.0, 0.4], [0.8], [1.0, 1.0, 1.0, 1.2])
    assert point(mean, sample) == pytest.approx((0.2 + 0.8 + 1.05) / 3)
    assert point(median, sample) == pytest.approx(0.8)
    assert point(optimality_gap, sample) == pytest.approx(1 - (0.2 + 0.8 + 1.0) / 3)
    # Of seven runs scipy would cut one at each end; we cut a seventh of the weight. In units of 1/84 of it the runs
    # weigh 14 (0.0), 14 (0.4), 28 (0.8), 7, 7, 7 (1.0) and 7 (1.2), and 12 go at each end.
    kept = {0.0: 2, 0.4: 14, 0.8: 28, 1.0: 16, 1.2: 0}
    assert point(iqm, sample) == pytest.approx(sum(score * weight for score, weight in kept.items()) / 60)


def test_a_replicate_is_the_statistic_of_the_runs_that_were_drawn():
    sample = Sample.of(*RANDOM.random((3, 6)))
    for weights in sample.resampled(np.random.default_rng(1), 20):
        counts = np.rint(weights / sample.weights).astype(int)
        assert np.add.reduceat(counts, [0, 6, 12]).tolist() == [6, 6, 6]
        drawn = np.repeat(sample.values, counts)
        assert iqm(sample, weights) == pytest.approx(stats.trim_mean(drawn, 0.25))
        assert median(sample, weights) == pytest.approx(np.median(drawn.reshape(3, 6).mean(axis=1)))


def test_the_interval_is_that_of_a_slow_bootstrap():
    sample = Sample.of(*RANDOM.random((4, 5)))
    maps, random = np.split(sample.values, 4), np.random.default_rng(5)
    slow = [stats.trim_mean(np.concatenate([random.choice(m, 5) for m in maps]), 0.25) for _ in range(4000)]
    fast = estimate(iqm, sample)
    assert (fast.low, fast.high) == (
        pytest.approx(np.percentile(slow, 2.5), abs=0.01),
        pytest.approx(np.percentile(slow, 97.5), abs=0.01),
    )


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    sample = Sample.of(*RANDOM.random((3, 5)))
    for statistic in STATISTICS:
        assert estimate(statistic, sample) == estimate(statistic, sample)
    assert estimate(iqm, sample, seed=1).low != estimate(iqm, sample, seed=2).low
    assert improvement(sample, sample, seed=1) == improvement(sample, sample, seed=1)


def test_the_interval_shrinks_with_the_runs_there_are():
    draw = np.random.default_rng(0).normal(0.5, 0.1, (4, 45))
    widths = [e.high - e.low for n in (5, 45) for e in [estimate(mean, Sample.of(*draw[:, :n]))]]
    assert widths[1] == pytest.approx(widths[0] / 3, rel=0.35)


@pytest.mark.parametrize("sizes", [[5] * 6, [10] * 6, [4, 12] * 3])
@pytest.mark.parametrize("statistic", STATISTICS)
def test_intervals_cover(statistic, sizes):
    """Of 300 experiments; a bootstrap of few runs is known to be a little short of its 95 %."""
    shapes = [(8 * m, 8 * (1 - m)) for m in np.linspace(0.15, 0.85, len(sizes))]
    random = np.random.default_rng(0)
    everybody = Sample.of(*(random.beta(*shape, 50_000) for shape in shapes))
    truth, hits = point(statistic, everybody), 0
    for repeat in range(300):
        sample = Sample.of(*(random.beta(*shape, n) for shape, n in zip(shapes, sizes, strict=True)))
        ends = estimate(statistic, sample, replicates=500, seed=repeat)
        hits += bool(ends.low <= truth <= ends.high)
    assert 0.85 <= hits / 300 <= 0.99


@pytest.mark.parametrize(("maps", "runs", "percent"), [(1, 3, 74), (1, 5, 84), (18, 3, 88), (18, 5, 92)])
def test_bootstrap_intervals_of_few_runs_cover_as_little_as_the_docs_say(maps, runs, percent):
    random, hits = np.random.default_rng(0), 0
    for repeat in range(1000):
        ends = estimate(mean, Sample.of(*random.normal(size=(maps, runs))), replicates=500, seed=repeat)
        hits += bool(ends.low <= 0 <= ends.high)
    assert hits / 10 == pytest.approx(percent, abs=2.5)


def test_equal_methods_on_two_maps_are_seldom_told_apart():
    random, above = np.random.default_rng(0), 0
    for repeat in range(1000):
        ours, theirs = (Sample.of(*random.normal(size=(2, 5))) for _ in range(2))
        above += bool(improvement(ours, theirs, replicates=500, seed=repeat).low > 0.5)
    assert 0.02 <= above / 1000 <= 0.04


#: Two methods' scores: alike in spread or not, and close to an end of the scale.
PAIRS = {
    "normal": (lambda r, n: r.normal(0.5, 0.05, n), lambda r, n: r.normal(0.3, 0.1, n), 0.2),
    "beta": (lambda r, n: r.beta(6.4, 1.6, n), lambda r, n: r.beta(3.2, 4.8, n), 0.4),
    "lost": (lambda r, n: r.beta(0.5, 9.5, n), lambda r, n: r.beta(7, 3, n), -0.65),
}


def difference(ours, theirs):
    """Of R pairs of samples [R, runs]."""
    samples = [np.atleast_2d(scores) for scores in (ours, theirs)]
    mean_, std = (np.stack([getattr(s, what)(axis=1) for s in samples], axis=1)[:, None] for what in ("mean", "std"))
    sizes = np.array([[s.shape[1] for s in samples]])
    return combined(Cells(("m",), ("a", "b"), mean_, std, sizes), [(1, "m", "a"), (-1, "m", "b")])


@pytest.mark.parametrize("runs", [3, 5])
@pytest.mark.parametrize("pair", PAIRS)
def test_intervals_of_differences_on_one_map_cover(pair, runs):
    first, second, truth = PAIRS[pair]
    random = np.random.default_rng(0)
    ours, theirs = first(random, (2000, runs)), second(random, (2000, runs))
    gaps = [paired(own - other) for own, other in zip(ours, theirs, strict=True)]
    low, high = difference(ours, theirs).interval()
    assert ((low <= truth) & (truth <= high)).mean() > 0.86  # of 90 %
    assert np.mean([gap.interval()[0][0] <= truth <= gap.interval()[1][0] for gap in gaps]) > 0.86


def test_intervals_of_differences_are_scipys():
    ours, theirs = RANDOM.random(5), RANDOM.random(4)
    welch = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.9)
    assert np.ravel(difference(ours, theirs).interval()) == pytest.approx((welch.low, welch.high))
    student = stats.ttest_rel(ours[:4], theirs).confidence_interval(0.9)
    assert np.ravel(paired(ours[:4] - theirs).interval()) == pytest.approx((student.low, student.high))
    assert np.ravel(difference(np.zeros(5), np.zeros(5)).interval()).tolist() == [0, 0]


def test_fewer_than_three_runs_of_a_map_have_no_interval():
    few = Sample.of([0.3, 0.4, 0.35], [0.5, 0.5])
    assert np.isnan([estimate(iqm, few).low, improvement(few, few).high]).all()
    assert estimate(mean, few).point == pytest.approx(0.425)


def test_nan_is_never_trimmed_away():
    sample = Sample.of([0.3, 0.4, np.nan, 0.1], [0.5, 0.6, 0.1, 0.2])
    for statistic in (*STATISTICS, profile(np.array([0.5]))):
        assert np.isnan(statistic(sample, sample.weights)).all()
    assert np.isnan(improvement(sample, Sample.of([0.1], [0.2])).point)


def test_the_probability_of_improvement_is_mann_and_whitneys():
    ours, theirs = RANDOM.integers(5, size=(3, 4)) / 4, [RANDOM.integers(5, size=n) / 4 for n in (5, 3, 6)]
    by_map = [stats.mannwhitneyu(a, b).statistic / (len(a) * len(b)) for a, b in zip(ours, theirs, strict=True)]
    result = improvement(Sample.of(*ours), Sample.of(*theirs))
    assert result.point == pytest.approx(np.mean(by_map))
    assert result.low < result.point < result.high
    assert improvement(Sample.of(*theirs), Sample.of(*ours)).point == pytest.approx(1 - np.mean(by_map))


def test_a_profile_counts_runs_above_each_level():
    sample = Sample.of([0.2, 0.6, 0.6], [0.5, 0.5, 0.9, 1.0])
    result = estimate(profile(np.array([0.0, 0.5, 0.6, 1.0])), sample)
    np.testing.assert_allclose(result.point, [1, (2 / 3 + 2 / 4) / 2, (0 + 2 / 4) / 2, 0])
    assert ((result.low <= result.point) & (result.point <= result.high)).all()


def test_a_curve_is_the_iqm_of_every_step_and_holes_stay():
    values = RANDOM.random((8, 3))
    values[2, 1] = np.nan
    result = curve(Sample(values, np.array([4, 4])))
    assert result.point[0] == pytest.approx(stats.trim_mean(values[:, 0], 0.25))
    assert np.isnan(result.point).tolist() == [False, True, False]
    assert result.low[2] < result.point[2] < result.high[2]
