import itertools

import numpy as np
import pandas as pd
import pytest

from harness import charts
from harness.colours import _COLOURS, _PUBLISHED, look

PAGES = ("#ffffff", "#0e1117")
# Machado, Oliveira & Fernandes 2009, severity 1: how linear RGB is seen without one kind of cone.
VISION = {
    "full": np.eye(3),
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940,
    0.968881]], "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882,
    -0.048116, 1.051998]],
}  # fmt: skip


def linear(colour):
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def contrast(a, b):
    """WCAG's contrast ratio."""
    dark, light = sorted(float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (a, b))
    return (light + 0.05) / (dark + 0.05)


def oklab(rgb):
    cones = np.cbrt(
        np.array([[0.41222, 0.53633, 0.05145], [0.21190, 0.68070, 0.10740], [0.08830, 0.28172, 0.62998]])
        @ np.clip(rgb, 0, 1)
    )
    return (
        np.array([[0.21045, 0.79362, -0.00407], [1.97800, -2.42859, 0.45059], [0.02590, 0.78277, -0.80868]])
        @ cones
    )


class TestColours:
    @pytest.mark.parametrize("colour", [*_COLOURS, *(colour for colour, _ in _PUBLISHED.values())])
    @pytest.mark.parametrize("page", PAGES)
    def test_are_seen_on_white_and_on_dark(self, colour, page):
        assert contrast(colour, page) >= 3

    @pytest.mark.parametrize("vision", VISION)
    def test_of_published_cells_are_told_apart(self, vision):
        seen = [oklab(VISION[vision] @ linear(colour)) for colour, _ in _PUBLISHED.values()]
        assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 0.1
        assert len({shape for _, shape in _PUBLISHED.values()}) == len(_PUBLISHED)

    def test_depend_on_the_cell_alone(self):
        assert look("my-cell") == ("#E55D7A", "diamond")
        assert look("lstm") != look("lstm[layers=2]")


def points(cell="gru", gaps=(2, 64, 256), *, repetitions=2, train="fixed", task="gap-copy@1", chance=0.125):
    return pd.DataFrame(
        {
            "cell": cell, "task": task, "protocol": "quick@1" if train == "fixed" else "quick-mixed@1",
            "division": "closed", "hidden_size": 40, "gap": gaps, "accuracy": np.linspace(1, 0.2, len(gaps)),
            "low": 0.1, "high": 1.0, "chance": chance, "repetitions": repetitions, "failed": 0, "lr": 0.01,
            "extrapolated": [train == "mixed" and gap > 64 for gap in gaps], "train": train,
        }
    )  # fmt: skip


def layers(chart):
    """The marks of a layered chart as (mark, encoding, rows)."""
    spec = chart.to_dict()
    shared = spec.get("datasets", {})

    def rows(layer):
        data = layer.get("data") or spec["data"]
        return data["values"] if "values" in data else shared[data["name"]]

    return [(layer["mark"], layer["encoding"], rows(layer)) for layer in spec["layer"]]


class TestPanel:
    def test_draws_the_mean_at_its_gap_on_a_log2_axis(self):
        (_, encoding, rows), *_ = [x for x in layers(charts.panel(points())) if x[0]["type"] == "point"]
        assert [(row["x"], row["accuracy"]) for row in rows] == [(2, 1.0), (64, 0.6), (256, 0.2)]
        assert encoding["x"]["scale"]["type"] == "log"
        assert encoding["x"]["scale"]["base"] == 2
        assert encoding["x"]["axis"]["values"] == [2, 64, 256]
        assert encoding["x"]["title"] == "gap (tokens, log scale)"
        assert encoding["y"]["scale"]["domain"][0] == 0

    def test_cells_stand_beside_each_other_around_the_gap(self):
        frame = pd.concat([points(cell) for cell in ("a", "b", "c")])
        x = charts._positions(frame).to_numpy().reshape(3, 3)  # (cell, gap)
        assert (np.diff(x, axis=0) > 0).all()
        assert x[1] == pytest.approx([2, 64, 256])
        assert (np.abs(np.log2(x / [2, 64, 256])) < 0.25).all()

    def test_a_gap_of_0_is_on_the_axis(self):
        chart = charts.panel(points(gaps=(0, 1, 2)))
        (_, encoding, rows), *_ = [x for x in layers(chart) if x[0]["type"] == "point"]
        assert [row["x"] for row in rows] == [0.5, 1, 2]
        assert "'0'" in encoding["x"]["axis"]["labelExpr"]

    def test_chance_is_a_dashed_line_with_its_number(self):
        drawn = layers(charts.panel(points(chance=0.125)))
        (mark, _, rows), *_ = [x for x in drawn if "chance" in str(x[1].get("y"))]
        assert mark["strokeDash"]
        assert {row["chance"] for row in rows} == {0.125}
        notes = [row["note"] for mark, _, rows in drawn if mark["type"] == "text" for row in rows]
        assert notes == ["chance 12.5 %"]

    @pytest.mark.parametrize(
        ("chance", "note"), [(0.5, "50"), (0.1, "10"), (0.0784, "7.84"), (1 / 3, "33.3")]
    )
    def test_the_number_of_chance(self, chance, note):
        drawn = layers(charts.panel(points(chance=chance)))
        assert [rows[0]["note"] for mark, _, rows in drawn if mark["type"] == "text"] == [f"chance {note} %"]

    def test_extrapolation_is_shaded_labelled_and_dashed(self):
        drawn = layers(charts.panel(points(train="mixed")))
        (_, _, (area,)), *_ = [x for x in drawn if x[0]["type"] == "rect"]
        assert 64 < area["from"] < 256
        assert area["note"] == "extrapolated"
        solid, dashed = (
            [x for x in drawn if x[0]["type"] == "line" and ("strokeDash" in x[0]) is d and "color" in x[1]]
            for d in (False, True)
        )
        assert [row["gap"] for row in solid[0][2]] == [2, 64]
        assert [row["gap"] for row in dashed[0][2]] == [64, 256]
        assert not [x for x in layers(charts.panel(points())) if x[0]["type"] == "rect"]

    def test_few_repetitions_are_bars_and_more_are_bands(self):
        assert charts.marks(points(repetitions=2)) == "bars: range of 2"
        assert charts.marks(points(repetitions=10)) == "bands: 95 % interval of 10"
        frame = pd.concat([points("a", repetitions=4), points("b", repetitions=5)])
        drawn = {
            mark["type"]: {row["cell"] for row in rows}
            for mark, encoding, rows in layers(charts.panel(frame))
            if "y2" in encoding
        }
        assert drawn == {"rule": {"a"}, "area": {"b"}}

    def test_colours_do_not_depend_on_who_else_is_shown(self):
        def colours(*cells):
            encoding = layers(charts.panel(pd.concat(map(points, cells))))[-1][1]["color"]
            return dict(zip(encoding["scale"]["domain"], encoding["scale"]["range"], strict=True))

        assert colours("gru")["gru"] == colours("a", "gru", "rnn")["gru"] == look("gru")[0]

    @pytest.mark.parametrize("gaps", [(16,), (0,), (2, 256)])
    def test_any_gaps(self, gaps):
        charts.panel(points(gaps=gaps)).to_dict()


class TestCurveChart:
    def test_fixed_stands_left_of_mixed_and_each_task_has_a_row(self):
        frame = pd.concat(
            [points(train=train, task=task) for train in ("mixed", "fixed") for task in ("b@1", "a@1")]
        )
        spec = charts.curve_chart(frame).to_dict()
        titles = [[panel["title"] for panel in row["hconcat"]] for row in spec["vconcat"]]
        assert [[title["text"] for title in row] for row in titles] == [
            ["a@1 · quick@1", "a@1 · quick-mixed@1"],
            ["b@1 · quick@1", "b@1 · quick-mixed@1"],
        ]
        assert titles[0][0]["subtitle"] == [charts.QUESTION["fixed"], "bars: range of 2"]


class TestLearningChart:
    def test_has_a_line_per_run(self):
        checks = pd.DataFrame(
            {"run": [1, 1, 2], "update": [32, 64, 32], "loss": [2.0, 1.0, 2.0], "accuracy": [0.1, 0.9, 0.1],
             "cell": "gru", "lr": [0.01, 0.01, 0.003], "repetition": 0, "gap": 16.0}
        )  # fmt: skip
        encoding = charts.learning_chart(checks).to_dict()["encoding"]
        assert encoding["detail"]["field"] == "run"
        assert encoding["x"]["title"] == "update"
