from itertools import product

import numpy as np
import pytest
from scipy import stats as reference

from harness import stats

CHANCE = 0.125


class TestInterval:
    @pytest.mark.parametrize("n", [5, 10, 30])
    def test_is_student_t_where_the_widening_lies_within(self, n):
        values = np.linspace(0.3, 0.7, n)
        low, high = stats.interval(values, 0.1)
        t = reference.t.interval(0.95, n - 1, values.mean(), reference.sem(values))
        if n == 30:  # so many that the widening can show beyond t
            assert low <= t[0]
            assert high >= t[1]
        else:
            assert (low, high) == pytest.approx(np.clip(t, 0, 1))

    def test_of_few_is_their_range(self):
        assert stats.interval([0.3, 0.7, 0.5], 0.1) == pytest.approx((0.3, 0.7))
        low, high = stats.interval([0.72, 0.91], 0.125)
        assert low == pytest.approx((0.72 + 0.91 + 0.125) / 3)  # where one at chance would draw the mean
        assert high == 0.91

    def test_is_never_of_zero_width_when_all_agree(self):
        for n, value in product((1, 2, 5, 10, 100), (CHANCE, 0.5, 1.0)):
            low, high = stats.interval([value] * n, CHANCE)
            assert low == pytest.approx((n * value + CHANCE) / (n + 1))
            assert high == pytest.approx((n * value + 1) / (n + 1))
            assert low < high

    def test_stays_within_0_and_1_and_holds_the_mean(self):
        values = np.random.Generator(np.random.PCG64(1)).random((500, 3))
        low, high = stats.interval(values, 0.5)
        assert low.shape == (500,)
        assert ((low >= 0) & (low <= values.mean(-1)) & (high >= values.mean(-1)) & (high <= 1)).all()

    def test_of_normalised_values_below_chance_holds_their_mean(self):
        low, high = stats.interval([-0.02, -0.01], 0.0)
        assert low == pytest.approx(-0.015)
        assert high > 0

    def test_covers_the_true_mean_at_ten_repetitions(self, capsys):
        random = np.random.Generator(np.random.PCG64(20))
        shape = (20_000, 10)
        some = random.random(shape)
        truths = {
            "normal": (random.normal(0.6, 0.05, shape), 0.6),
            "beta": (random.beta(8, 2, shape), 0.8),
            "all solved": (np.ones(shape), 1.0),
            "half solved": (np.where(some < 0.5, 1.0, CHANCE), (1 + CHANCE) / 2),
        }
        wanted = set(truths)
        for share in (0.05, 0.1, 0.2, 0.8, 0.9, 0.95):
            mean = share + (1 - share) * CHANCE
            truths[f"{share:.0%} solved"] = (np.where(some < share, 1.0, CHANCE), mean)
        coverage = {}
        for truth, (values, mean) in truths.items():
            low, high = stats.interval(values, CHANCE)
            coverage[truth] = float(((low <= mean) & (mean <= high)).mean())
        with capsys.disabled():
            print("\ncoverage of the 95 % interval at n = 10:")
            print(*(f"  {truth:12} {share:.3f}" for truth, share in coverage.items()), sep="\n")
        assert min(coverage[truth] for truth in wanted) >= 0.92


class TestGapAuc:
    def test_is_the_integral_over_log_gap(self):
        random = np.random.Generator(np.random.PCG64(2))
        gaps = np.array([2, 5, 8, 16, 100, 256])
        values = random.random(6)
        fine = np.linspace(1, 8, 700_001)  # log2 of the gaps
        curve = np.interp(fine, np.log2(gaps), stats.normalised(values, CHANCE))
        assert stats.gap_auc(gaps, values, CHANCE) == pytest.approx(curve.mean(), abs=1e-5)

    def test_bounds(self):
        assert stats.gap_auc([2, 4, 64], [1, 1, 1], CHANCE) == 1
        assert stats.gap_auc([2, 4, 64], [0.5, 0.25, 0.1], [0.5, 0.25, 0.1]) == 0

    def test_leaves_out_gaps_below_1_and_takes_any_order(self):
        assert stats.gap_auc([8, 0, 2, 4], [0.3, 0.9, 0.7, 0.5], 0.1) == stats.gap_auc(
            [2, 4, 8], [0.7, 0.5, 0.3], 0.1
        )

    def test_of_one_gap_is_the_normalised_accuracy(self):
        assert stats.gap_auc([16], [0.5625], CHANCE) == 0.5
        assert np.isnan(stats.gap_auc([0], [1.0], CHANCE))

    def test_of_several_repetitions_at_once(self):
        values = np.array([[1.0, 0.5], [0.5, 0.5], [0.2, 0.1]])
        at_once = stats.gap_auc([2, 4], values, 0.1)
        assert at_once.tolist() == [float(stats.gap_auc([2, 4], v, 0.1)) for v in values]
