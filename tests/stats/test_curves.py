import json

import numpy as np
import pandas as pd
import pytest

from harness import stats

CHANCE = 0.125
ENTRY = {"cell": "gru", "task": "gap-copy@1", "protocol": "quick@1", "division": "closed", "hidden_size": 40}


def row(gap, repetition, lr, accuracy, split, *, mixed=False, beyond=64, chance=CHANCE, **entry):
    """One row of scores; an accuracy of None is a failed run."""
    return {
        **ENTRY,
        **entry,
        "repetition": repetition,
        "lr": lr,
        "trained_gap": np.nan if mixed else float(gap),
        "split": split,
        "gap": gap,
        "n": 1000,
        "n_correct": np.nan if accuracy is None else round(accuracy * 1000),
        "chance": chance,
        "extrapolated": mixed and gap > beyond,
        "outcome": "finished" if accuracy is not None else "diverged",
    }


def scores(rows):
    columns = list(row(2, 0, 0.01, 1.0, "test"))
    return pd.DataFrame(rows, columns=columns)


def table(accuracies, **options):
    """Scores from {(gap, lr): (accuracy of each repetition)}, the same on both splits."""
    return scores(
        row(gap, repetition, lr, accuracy, split, **options)
        for (gap, lr), values in accuracies.items()
        for repetition, accuracy in enumerate(values)
        for split in ("validation", "test")
    )


def runs_of(frame):
    """A row per run, as the store has it beside these scores."""
    one = frame.drop_duplicates([*ENTRY, "trained_gap", "lr", "repetition"]).rename(
        columns={"trained_gap": "was"}
    )
    made = {"gap": one["was"], "seconds": 1.5, "cell_parameters": 7900, "state_floats": 40}
    made["reported"] = one["repetition"] == 1
    return one.drop(columns="gap").assign(run=range(len(one)), **made)


class TestSelection:
    def test_takes_the_best_mean_over_repetitions_for_every_trained_gap(self):
        frame = table(
            {(2, 0.003): (0.9, 0.9), (2, 0.01): (1.0, 0.7), (4, 0.003): (0.5, 0.4), (4, 0.01): (0.9, 0.2)}
        )
        chosen = stats.select(frame).set_index("trained_gap")["lr"]
        assert chosen.to_dict() == {2.0: 0.003, 4.0: 0.01}

    def test_ties_go_to_the_smaller_rate_however_the_sum_is_ordered(self):
        frame = table({(2, 0.01): (0.1, 0.2, 0.3), (2, 0.003): (0.3, 0.2, 0.1)})
        assert stats.select(frame)["lr"].tolist() == [0.003]

    def test_of_a_mixed_protocol_is_one_and_sees_trained_gaps_only(self):
        frame = table(
            {(2, 0.003): (0.9,), (64, 0.003): (0.8,), (128, 0.003): (0.1,), (256, 0.003): (0.1,)}
            | {(2, 0.01): (0.9,), (64, 0.01): (0.7,), (128, 0.01): (1.0,), (256, 0.01): (1.0,)},
            mixed=True,
        )
        chosen = stats.select(frame)
        assert chosen["lr"].tolist() == [0.003]
        assert chosen["trained_gap"].isna().all()

    def test_a_failed_run_counts_as_chance(self):
        frame = table({(2, 0.003): (0.2, 0.2), (2, 0.01): (None, 1.0)})
        assert stats.select(frame)["lr"].tolist() == [0.01]
        frame = table({(2, 0.003): (0.6, 0.6), (2, 0.01): (None, 1.0)})
        assert stats.select(frame)["lr"].tolist() == [0.003]

    def test_compares_rates_on_the_repetitions_that_all_have(self):
        frame = table({(2, 0.003): (0.8, 0.1), (2, 0.01): (0.7,)})
        assert stats.select(frame)["lr"].tolist() == [0.003]

    def test_where_no_repetition_is_shared_takes_what_there_is(self):
        frame = scores(
            row(2, repetition, lr, accuracy, split)
            for repetition, lr, accuracy in [(0, 0.003, 0.5), (1, 0.01, 0.6)]
            for split in ("validation", "test")
        )
        assert stats.select(frame)["lr"].tolist() == [0.01]

    def test_sees_nothing_of_test(self):
        frame = table({(2, 0.003): (0.9, 0.9), (2, 0.01): (0.8, 0.8)})
        before = stats.select(frame)
        frame.loc[frame["split"] == "test", "n_correct"] = [0, 0, 1000, 1000]
        pd.testing.assert_frame_equal(stats.select(frame), before)

    def test_counts_of_rates_not_selected_change_nothing(self):
        frame = table(
            {(2, 0.003): (0.9, 0.9), (2, 0.01): (0.8, 0.8), (4, 0.003): (0.9, 0.8), (4, 0.01): (0.1, 0.1)}
        )
        other = frame.copy()
        other.loc[(other["split"] == "test") & (other["lr"] == 0.01), "n_correct"] = 1000
        pd.testing.assert_frame_equal(stats.curves(other), stats.curves(frame))
        pd.testing.assert_frame_equal(
            stats.summary(other, runs_of(other)), stats.summary(frame, runs_of(frame))
        )

    def test_entries_do_not_meet(self):
        both = pd.concat(
            [
                table({(2, 0.003): (0.9,), (2, 0.01): (0.5,)}, cell="a"),
                table({(2, 0.003): (0.4,), (2, 0.01): (0.5,)}, cell="b"),
            ]
        )
        assert stats.select(both).set_index("cell")["lr"].to_dict() == {"a": 0.003, "b": 0.01}


class TestCurves:
    def test_mean_and_interval_of_test_at_the_selected_rate(self):
        frame = table(
            {
                (2, 0.003): (1.0, 0.9, 0.95, 1.0, 0.9),
                (2, 0.01): (0.2,) * 5,
                (4, 0.003): (0.5,) * 5,
                (4, 0.01): (0.6,) * 5,
            }
        )
        points = stats.curves(frame)
        assert points["gap"].tolist() == [2, 4]
        assert points["accuracy"].tolist() == pytest.approx([0.95, 0.6])
        assert points["lr"].tolist() == [0.003, 0.01]
        assert points["repetitions"].tolist() == [5, 5]
        assert (points["low"][0], points["high"][0]) == pytest.approx(
            stats.interval([1.0, 0.9, 0.95, 1.0, 0.9], CHANCE)
        )
        assert list(points.columns) == [
            *("cell", "task", "protocol", "division", "hidden_size", "gap", "accuracy", "low", "high"),
            *("chance", "repetitions", "failed", "lr", "extrapolated", "train"),
        ]  # fmt: skip

    def test_failed_runs_are_chance_and_counted(self):
        point = stats.curves(table({(2, 0.003): (None, 1.0)})).iloc[0]
        assert point["accuracy"] == (CHANCE + 1) / 2
        assert point["failed"] == 1

    def test_marks_extrapolated_gaps(self):
        points = stats.curves(table({(g, 0.01): (0.5,) for g in (2, 64, 128)}, mixed=True))
        assert points["extrapolated"].tolist() == [False, False, True]
        assert points["train"].unique().tolist() == ["mixed"]
        assert stats.curves(table({(2, 0.01): (0.5,)}))["train"].tolist() == ["fixed"]

    def test_of_nothing_is_empty_and_has_its_columns(self):
        points = stats.curves(scores([]))
        assert points.empty
        assert "accuracy" in points
        assert stats.summary(scores([]), runs_of(scores([]))).empty
        assert stats.entries(scores([]), runs_of(scores([]))) == []


def horizon(accuracies, **options):
    frame = table(accuracies, **options)
    line = stats.summary(frame, runs_of(frame)).iloc[0]
    gap, censored = line["horizon_gap"], line["horizon_censored"]
    return (None if pd.isna(gap) else int(gap)), (None if pd.isna(censored) else bool(censored))


class TestHorizon:
    def test_is_the_last_gap_before_the_first_that_fails(self):
        solved, failed = (1.0,) * 5, (CHANCE,) * 5
        assert horizon({(2, 0.01): solved, (4, 0.01): solved, (8, 0.01): failed, (16, 0.01): solved}) == (
            4,
            False,
        )

    def test_is_censored_when_the_sweep_ended_first(self):
        assert horizon({(g, 0.01): (1.0,) * 5 for g in (2, 4, 64)}) == (64, True)

    def test_is_null_when_the_smallest_gap_fails(self):
        assert horizon({(2, 0.01): (0.3,) * 5, (4, 0.01): (1.0,) * 5}) == (None, False)

    def test_wants_the_lower_bound_above_halfway(self):
        # The mean is far above (1 + 1/8) / 2 = 0.5625, the lower bound of so scattered values is not.
        assert horizon({(2, 0.01): (1.0,) * 5, (4, 0.01): (1.0, 1.0, 1.0, 0.2, 0.2)}) == (2, False)

    def test_of_one_repetition_is_not_known(self):
        assert horizon({(2, 0.01): (1.0,), (4, 0.01): (0.2,)}) == (None, None)
        assert stats.horizon_text(None, None, [2]) == "–"


class TestSummary:
    def test_areas_of_a_mixed_curve_and_its_parts_add_up(self):
        values = {2: (1.0, 0.9), 16: (0.8, 0.7), 64: (0.6, 0.5), 128: (0.3, 0.2), 256: (0.2, 0.1)}
        frame = table({(g, 0.01): v for g, v in values.items()}, mixed=True)
        line = stats.summary(frame, runs_of(frame)).iloc[0]
        each = [stats.gap_auc(list(values), [v[r] for v in values.values()], CHANCE) for r in (0, 1)]
        assert line["gap_auc"] == pytest.approx(np.mean(each))
        assert (line["gap_auc_low"], line["gap_auc_high"]) == pytest.approx(stats.interval(each, 0.0))
        assert line["gap_auc"] == pytest.approx(
            (5 * line["gap_auc_trained"] + 2 * line["gap_auc_extrapolated"]) / 7
        )
        assert line["lr"] == 0.01

    def test_of_a_fixed_curve_has_a_rate_for_every_gap_and_no_parts(self):
        frame = table({(2, 0.003): (1.0,), (2, 0.01): (0.5,), (4, 0.003): (0.1,), (4, 0.01): (0.5,)})
        line = stats.summary(frame, runs_of(frame)).iloc[0]
        assert line["lr"] == {2: 0.003, 4: 0.01}
        assert np.isnan(line["gap_auc_trained"])
        assert (line["runs"], line["failed"], line["seconds"], line["cell_parameters"]) == (4, 0, 6.0, 7900)

    def test_area_is_of_repetitions_that_have_every_gap(self):
        frame = table({(2, 0.01): (1.0, 1.0, 0.3), (4, 0.01): (1.0, 1.0)})
        line = stats.summary(frame, runs_of(frame)).iloc[0]
        assert (line["repetitions"], line["gap_auc"]) == (2, 1.0)
        assert stats.curves(frame)["repetitions"].tolist() == [3, 2]

    def test_failed_runs_of_every_rate_are_counted(self):
        frame = table({(2, 0.003): (1.0, 1.0), (2, 0.01): (None, 1.0)})
        line = stats.summary(frame, runs_of(frame)).iloc[0]
        assert (line["runs"], line["failed"]) == (4, 1)
        assert stats.curves(frame)["failed"].tolist() == [0]

    def test_the_stored_area_of_a_single_run_is_that_of_the_board(self):
        values = {2: 1.0, 8: 0.75, 64: 0.5}
        frame = table({(g, 0.01): (v,) for g, v in values.items()}, mixed=True)
        line = stats.summary(frame, runs_of(frame)).iloc[0]
        assert line["gap_auc"] == float(stats.gap_auc(list(values), list(values.values()), [CHANCE] * 3))


class TestEntries:
    def test_are_plain_data_in_the_documented_shape(self):
        frame = table(
            {(2, 0.003): (1.0, 1.0), (2, 0.01): (0.5, 0.5), (4, 0.003): (0.1, 0.1), (4, 0.01): (0.2, 0.1)}
        )
        (entry,) = stats.entries(frame, runs_of(frame))
        assert json.loads(json.dumps(entry, allow_nan=False)) == entry
        assert entry | {"gap_auc": 0, "curve": 0} == ENTRY | {
            "cell_parameters": 7900, "state_floats": 40, "lr": {"2": 0.003, "4": 0.01},
            "repetitions": 2, "runs": 8, "failed": 0, "reported": 4, "seconds": 12.0, "gap_auc": 0,
            "horizon": {"gap": 2, "censored": False}, "curve": 0,
            "command": "harness run --cell gru --task gap-copy@1 --protocol quick --repetitions 2",
        }  # fmt: skip
        assert set(entry["gap_auc"]) == {"value", "low", "high"}
        assert [point["gap"] for point in entry["curve"]] == [2, 4]
        assert set(entry["curve"][0]) == {"gap", "accuracy", "low", "high", "chance", "extrapolated"}

    def test_of_a_mixed_entry_without_a_whole_repetition(self):
        frame = table({(2, 0.01): (1.0,), (4, 0.01): (1.0,)}, mixed=True)
        frame = frame[(frame["gap"] == 2) | (frame["split"] == "validation")]
        (entry,) = stats.entries(frame, runs_of(frame))
        assert entry["lr"] == 0.01
        (entry,) = stats.entries(table({(2, 0.01): (1.0,)}), runs_of(table({(2, 0.01): (1.0,)})))
        assert entry["horizon"] == {"gap": None, "censored": None}
        json.dumps(entry, allow_nan=False)
