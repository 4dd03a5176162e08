import numpy as np
import pandas as pd
import pytest
import synthetic

from harness import board, stats
from harness.protocol import QUICK, QUICK_MIXED
from harness.store import Store

TASKS = {"gap-copy@1": 0, "nl-birthplace@2": 12}
SHORT = QUICK.vary(gaps=(2, 4, 8))
"""As `quick`, with fewer runs to record."""


@pytest.fixture
def store(tmp_path):
    return Store.open(str(tmp_path / "results.db"))


def record(store, cell, repetitions, protocol=QUICK, tasks=TASKS, **options):
    for task in tasks:
        chance = 0.125 if task == "gap-copy@1" else 0.05
        synthetic.record(
            store,
            cell,
            task,
            protocol,
            repetitions=repetitions,
            chance=chance,
            min_gap=TASKS[task],
            **options,
        )


def read(store, protocol=QUICK):
    """The board of the two tasks, whatever the suite is."""
    terms = stats.Terms("core@1", protocol, TASKS)
    trials = store.trials(tasks=list(TASKS), protocol=protocol.id)
    chosen = stats.choose(trials, terms)
    standings = stats.measure(chosen, store.tested(chosen.runs[chosen.runs >= 0].tolist()), terms)
    return board.Board(terms, stats.board(standings, trials, terms, np.random.default_rng(0)), standings)


class TestNumbers:
    @pytest.mark.parametrize("protocol", [QUICK, QUICK_MIXED])
    def test_are_those_of_the_curves(self, store, protocol):
        """Of whole entries the board has the areas and horizons of `summary`, found another way."""
        for cell in ("gru", "rnn"):
            record(store, cell, range(3), protocol, diverged=[(None, 0.01, 1), (64, 0.003, 2), (64, 0.01, 2)])
        scores, runs = store.scores(), store.runs()
        summary, rows = stats.summary(scores, runs), read(store, protocol).rows.set_index("cell")
        for cell, part in summary.groupby("cell"):
            row = rows.loc[cell]
            assert row["score"] == pytest.approx(part["gap_auc"].mean())
            assert row["gap_auc"] == pytest.approx(part.set_index("task")["gap_auc"].to_dict())
            assert (row["runs"], row["failed"]) == (part["runs"].sum(), part["failed"].sum())
            assert row["seconds"] == pytest.approx(part["seconds"].sum())
            lower = part["horizon_gap"].fillna(0).min()
            assert (0 if pd.isna(row["horizon_gap"]) else row["horizon_gap"]) == lower
            for name in ("trained", "extrapolated"):
                assert row[name] == pytest.approx(part[f"gap_auc_{name}"].mean(), nan_ok=True)
        points = stats.curves(scores).query("cell == 'gru'")
        reached = points.assign(a=stats.normalised(points["accuracy"], points["chance"])).groupby("gap")["a"]
        assert rows.loc["gru", "curve"] == pytest.approx(
            {gap: a for gap, a in reached.mean().items() if gap in protocol.gaps}
        )

    def test_the_interval_is_that_of_the_repetitions_scores(self, store):
        record(store, "gru", range(6))
        made = read(store)
        scores = made.standings.areas[0].mean(0)
        row = made.rows.iloc[0]
        assert (row["low"], row["high"]) == pytest.approx(stats.interval(scores, 0.0))
        assert row["score"] == pytest.approx(scores.mean())

    def test_the_rate_is_the_one_that_the_curves_select(self, store):
        record(store, "gru", range(3))
        made = read(store)
        runs = store.runs().set_index("run")
        chosen = {(r.task, r.gap): r.lr for r in stats.select(store.scores()).rename(
            columns={"trained_gap": "gap"}).itertuples()}  # fmt: skip
        numbers = made.standings.chosen.runs
        for run in numbers[numbers >= 0]:
            assert runs.loc[run, "lr"] == chosen[runs.loc[run, "task"], runs.loc[run, "gap"]]

    def test_updates_to_solve_are_known_where_most_solved(self, store, monkeypatch):
        real = synthetic.RunResult
        for cell, solved in {"gru": 100, "rnn": None}.items():
            changed = {"updates_to_solve": solved}
            monkeypatch.setattr(synthetic, "RunResult", lambda **fields: real(**fields | changed))  # noqa: B023
            record(store, cell, range(1))
        rows = read(store).rows.set_index("cell")
        assert rows.loc["gru", "updates_to_solve"] == 100
        assert np.isnan(rows.loc["rnn", "updates_to_solve"])


class TestStatus:
    @pytest.mark.parametrize(
        ("repetitions", "status", "completes"),
        [
            (1, "unranked", 5),
            (4, "unranked", 5),
            (5, "provisional", 10),
            (9, "provisional", 10),
            (10, "full", None),
        ],
    )
    def test_follows_the_repetitions(self, store, repetitions, status, completes):
        record(store, "lstm[layers=2]", range(repetitions), SHORT)
        row = read(store, SHORT).rows.iloc[0]
        assert (row["status"], row["repetitions"]) == (status, repetitions)
        assert pd.isna(row["best_rank"]) == (status == "unranked")
        base = "harness run --cell 'lstm[layers=2]' --task all --protocol quick --gaps 2,4,8 --repetitions"
        assert row["command"] == f"{base} {repetitions}"
        assert row["completes"] == (completes and f"{base} {completes}")

    def test_without_a_task_an_entry_is_incomplete_however_good_it_is(self, store):
        record(store, "gru", range(5), SHORT)
        record(store, "wonder", range(10), SHORT, tasks=["gap-copy@1"], reach=10_000.0)
        rows = read(store, SHORT).rows
        assert rows["cell"].tolist() == ["gru", "wonder"]
        assert rows["status"].tolist() == ["provisional", "incomplete"]
        row = rows.iloc[1]
        assert row["missing"] == ["nl-birthplace@2"]
        assert list(row["gap_auc"]) == ["gap-copy@1"]
        assert pd.isna(row["best_rank"])
        assert np.isnan(row["score"])
        assert "--task gap-copy@1 --protocol" in row["command"]
        assert row["completes"].endswith("--task all --protocol quick --gaps 2,4,8 --repetitions 10")

    def test_a_repetition_without_its_hardest_gap_does_not_count(self, store):
        record(store, "gru", range(5))
        record(store, "early", range(5), only=(2, 4, 8, 16, 32), tasks=["gap-copy@1"])
        record(store, "early", range(5), tasks=["nl-birthplace@2"])
        rows = read(store).rows.set_index("cell")
        assert rows["status"].to_dict() == {"gru": "provisional", "early": "incomplete"}
        assert rows.loc["early", "missing"] == ["gap-copy@1"]

    def test_repetitions_count_when_every_task_has_them(self, store):
        record(store, "gru", range(10), SHORT, tasks=["gap-copy@1"])
        record(store, "gru", range(6), SHORT, tasks=["nl-birthplace@2"])
        row = read(store, SHORT).rows.iloc[0]
        assert (row["status"], row["repetitions"]) == ("provisional", 6)

    def test_a_rate_that_is_still_to_come_is_waited_for(self, store):
        record(store, "gru", range(5), QUICK_MIXED)
        slow = QUICK_MIXED.vary(lr=(0.003,))
        assert read(store, QUICK_MIXED).rows["status"].tolist() == ["provisional"]
        record(store, "rnn", range(5), slow)
        assert read(store, QUICK_MIXED).rows["cell"].tolist() == ["gru"]
        assert read(store, slow).rows["status"].tolist() == ["provisional"]

    def test_failed_runs_score_as_chance(self, store):
        every = [(gap, lr, r) for gap in (2, 4, 8, 12) for lr in SHORT.lr for r in range(5)]
        record(store, "gru", range(5), SHORT, diverged=every)
        row = read(store, SHORT).rows.iloc[0]
        assert (row["score"], row["failed"], row["status"]) == (0.0, row["runs"], "provisional")

    def test_of_nothing_is_empty(self, store):
        made = read(store)
        assert made.rows.empty
        assert {"cell", "status", "score", "command"} <= set(made.rows)


class TestRanks:
    def test_cells_far_apart_are_ranked_and_equal_ones_share(self, store):
        for cell, reach in {"best": 300.0, "same": 300.0, "far": 3.0}.items():
            record(store, cell, range(10), reach=reach)
        rows = read(store).rows.set_index("cell")
        for cell in ("best", "same"):
            assert (rows.loc[cell, "best_rank"], rows.loc[cell, "worst_rank"], rows.loc[cell, "tie"]) == (
                1,
                2,
                1,
            )
        assert (rows.loc["far", "best_rank"], rows.loc["far", "worst_rank"], rows.loc["far", "tie"]) == (
            3,
            3,
            2,
        )
        assert rows.index[-1] == "far"


class TestPair:
    def test_is_the_difference_of_what_both_have(self, store):
        record(store, "gru", range(7), reach=60.0)
        record(store, "rnn", range(5), reach=4.0)
        made = read(store)
        table = made.compare("gru", "rnn")
        assert table["task"].tolist()[:2] == list(TASKS)
        assert pd.isna(table["task"].iloc[2])
        assert table["repetitions"].tolist() == [5, 5, 5]
        areas = dict(
            zip([cell for cell, _ in made.standings.chosen.cells], made.standings.areas, strict=True)
        )
        expected = (areas["gru"] - areas["rnn"])[:, :5].mean(1)
        assert table["difference"].tolist() == pytest.approx([*expected, expected.mean()])
        assert table["difference"].tolist() == pytest.approx((table["first"] - table["second"]).tolist())
        assert table["better"].tolist()[0] == "first"
        assert table["better"].tolist()[2] == "first"
        turned = made.compare("rnn", "gru")
        assert turned["difference"].tolist() == pytest.approx((-table["difference"]).tolist())
        assert turned["better"].tolist()[0] == "second"

    def test_of_few_repetitions_is_a_range_and_no_verdict(self, store):
        record(store, "gru", range(3), reach=60.0)
        record(store, "rnn", range(3), reach=4.0)
        made = read(store)
        table = made.compare("gru", "rnn")
        each = made.standings.areas[0, 0] - made.standings.areas[1, 0]
        assert (table["low"][0], table["high"][0]) == pytest.approx((each.min(), each.max()))
        assert table["better"].isna().all()

    def test_a_task_that_one_lacks_is_not_compared(self, store):
        record(store, "gru", range(5))
        record(store, "rnn", range(5), tasks=["gap-copy@1"])
        table = read(store).compare("gru", "rnn")
        assert table["repetitions"].tolist() == [5, 0, 0]
        assert table["difference"].isna().tolist() == [False, True, True]

    def test_cells_that_share_nothing(self, store):
        record(store, "gru", range(5), SHORT, tasks=["nl-birthplace@2"])
        record(store, "rnn", range(5), SHORT, tasks=["gap-copy@1"])
        table = read(store, SHORT).compare("gru", "rnn")
        assert table["repetitions"].tolist() == [0, 0, 0]
        assert table[["difference", "low", "better"]].isna().all(axis=None)
