"""The charts: their tables are the records, their words say what they show, and they repeat to the byte."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from evaluation_samples import evaluated_sample

from scones_ops.evaluation import Evaluation, Record
from scones_ops.report import content, style
from scones_ops.report.page import Drawn, draw

TEN = (
    "bicycle",
    "motorcycle",
    "pickup_truck",
    "bus",
    "train",
    "streetcar",
    "tank",
    "tractor",
    "mower",
    "rocket",
)
NAMES = (
    "predictions",
    "confusion-matrix",
    "confidence-over-time",
    "classes-over-time",
    "risk-coverage",
    "reliability",
    "execution-times",
)

Sample = tuple[Evaluation, tuple[Record, ...]]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return evaluated_sample(tmp_path_factory.mktemp("data"), each=60, rejected=2, broken=1)


@pytest.fixture(scope="module")
def charts(sample: Sample) -> dict[str, Drawn]:
    return {chart.name: chart for chart in draw(*sample)}


def test_all_charts_are_drawn_in_the_order_of_the_page(charts: dict[str, Drawn]) -> None:
    assert tuple(charts) == NAMES


def test_the_bars_count_every_record_by_outcome_and_true_class(
    sample: Sample, charts: dict[str, Drawn]
) -> None:
    evaluation, records = sample
    table = charts["predictions"].table
    assert table.head == ("outcome", "true bicycle", "true motorcycle", "all")
    rows = {row[0]: [int(cell) for cell in row[1:]] for row in table.rows}
    assert sum(row[-1] for row in rows.values()) == len(records) == 120
    decided = Counter((r.label, r.true_label) for r in records if r.status == "decided")
    for label in evaluation.classes:
        assert rows[f"decided: {label}"][:-1] == [decided[label, true] for true in evaluation.classes]
    assert rows["low confidence"][-1] == evaluation.counts["low_confidence"]
    assert rows["rejected"][-1] == 2
    assert rows["broken"][-1] == 1


def test_the_heatmap_counts_every_picture_once(sample: Sample, charts: dict[str, Drawn]) -> None:
    evaluation, records = sample
    table = charts["classes-over-time"].table
    assert table.head == ("time", *evaluation.classes, content.NO_PREDICTION)
    sums = [sum(int(row[column]) for row in table.rows) for column in range(1, len(table.head))]
    predicted = Counter(record.label or content.NO_PREDICTION for record in records)
    assert dict(zip(table.head[1:], sums, strict=True)) == predicted
    assert len(table.rows) == content.TIME_BINS


def test_the_table_of_confidence_over_time_lists_the_records_in_order(
    sample: Sample, charts: dict[str, Drawn]
) -> None:
    _, records = sample
    rows = charts["confidence-over-time"].table.rows
    ordered = sorted(records, key=lambda record: (record.stopped_at or "", record.key))
    assert [row[1] for row in rows] == [record.key.rsplit("/", 1)[1] for record in ordered]
    for row, record in zip(rows, ordered, strict=True):
        assert row[2] == record.true_label
        assert row[4] == ("-" if record.confidence is None else f"{record.confidence:.4f}")
    assert [float(row[0]) for row in rows] == sorted(float(row[0]) for row in rows)


def test_the_tables_of_quality_are_the_evaluation(sample: Sample, charts: dict[str, Drawn]) -> None:
    evaluation, _ = sample
    confusion = charts["confusion-matrix"].table.rows
    assert [[int(cell) for cell in row[1:-1]] for row in confusion] == [
        list(row) for row in evaluation.confusion
    ]
    bins = charts["reliability"].table.rows
    assert sum(int(row[1]) for row in bins) == evaluation.accuracy.of
    curve = charts["risk-coverage"].table.rows
    assert len(curve) == len(evaluation.risk_coverage)
    assert curve[-1][1] == "100.0 %"
    times = charts["execution-times"].table.rows
    assert sum(int(row[2]) for row in times) == evaluation.accounted


def test_each_chart_says_in_words_what_it_shows(sample: Sample, charts: dict[str, Drawn]) -> None:
    evaluation, _ = sample
    said = {}
    for name, chart in charts.items():
        found = re.search(r'role="img" aria-label="([^"]+)"', chart.svg)
        assert found, name
        said[name] = found.group(1)
    assert f"low confidence {evaluation.counts['low_confidence']}" in said["predictions"]
    assert "of 120 pictures" in said["predictions"]
    assert f"{evaluation.confusion[0][0]} as bicycle" in said["confusion-matrix"]
    assert "threshold 0.93" in said["confidence-over-time"]
    assert "at threshold 0.93" in said["risk-coverage"]


def test_axes_name_their_units(charts: dict[str, Drawn]) -> None:
    assert "time of one execution (ms)" in charts["execution-times"].svg
    assert "time since the first picture (s)" in charts["confidence-over-time"].svg
    assert "predicted class" in charts["confusion-matrix"].svg


def test_the_same_evaluation_gives_the_same_bytes(sample: Sample, charts: dict[str, Drawn]) -> None:
    again = {chart.name: chart for chart in draw(*sample)}
    for name, chart in charts.items():
        assert again[name].svg == chart.svg
        assert again[name].png == chart.png
        assert chart.png.startswith(b"\x89PNG")


def test_a_users_own_matplotlib_settings_change_nothing(sample: Sample, charts: dict[str, Drawn]) -> None:
    import matplotlib

    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        assert draw(*sample)[0].svg == charts["predictions"].svg


def test_text_and_lines_take_the_pages_colours(charts: dict[str, Drawn]) -> None:
    for chart in charts.values():
        assert "var(--ink)" in chart.svg
        for colour in style.VARIABLES:
            assert colour not in chart.svg.lower()


@pytest.mark.parametrize("count", range(2, 11))
def test_two_to_ten_classes_never_look_alike(count: int) -> None:
    looks = style.class_looks(TEN[:count])
    assert len(set(looks.values())) == count


def test_bicycle_and_motorcycle_keep_their_colours_whatever_stands_beside_them() -> None:
    alone = style.class_looks(("bicycle", "motorcycle"))
    among = style.class_looks(("bus", "motorcycle", "rocket", "bicycle"))
    assert among["bicycle"] == alone["bicycle"]
    assert among["motorcycle"] == alone["motorcycle"]


@pytest.mark.parametrize("count", [3, 10])
def test_charts_of_more_classes_name_them_all(tmp_path: Path, count: int) -> None:
    evaluation, records = evaluated_sample(tmp_path, TEN[:count], each=8, threshold=0.8)
    drawn = {chart.name: chart for chart in draw(evaluation, records)}
    for name in ("predictions", "confusion-matrix", "confidence-over-time", "classes-over-time"):
        for label in TEN[:count]:
            assert label in re.sub(r'aria-label="[^"]*"', "", drawn[name].svg), (name, label)


def test_a_single_picture_can_be_drawn(tmp_path: Path) -> None:
    evaluation, records = evaluated_sample(tmp_path, each=1)
    assert len(draw(replace(evaluation, accounted=1), records[:1])) == len(NAMES)


def test_a_threshold_that_nothing_reaches_can_be_drawn(tmp_path: Path) -> None:
    evaluation, records = evaluated_sample(tmp_path, threshold=1.0)
    assert evaluation.error_at_threshold.value is None
    drawn = {chart.name: chart for chart in draw(evaluation, records)}
    assert "no picture reaches the threshold 1" in drawn["risk-coverage"].svg


def test_other_thresholds_decide_fewer_pictures_the_higher_they_are(sample: Sample) -> None:
    evaluation, records = sample
    found = content.choices(evaluation, records)
    assert [choice.coverage.count for choice in found] == sorted(
        (choice.coverage.count for choice in found), reverse=True
    )
    chosen = [choice for choice in found if choice.chosen]
    assert [choice.threshold for choice in chosen] == [0.93]
    assert chosen[0].coverage == evaluation.coverage
    assert chosen[0].error == evaluation.error_at_threshold


@pytest.mark.parametrize(("spread", "unit"), [(1, "s"), (60, "min"), (3600, "h")])
def test_long_evaluations_are_told_in_larger_units(sample: Sample, spread: int, unit: str) -> None:
    from datetime import datetime, timedelta

    _, records = sample
    first = datetime.fromisoformat(records[0].started_at or "")
    stretched = [
        replace(
            record,
            started_at=(first + timedelta(seconds=spread * number)).isoformat(),
            stopped_at=(first + timedelta(seconds=spread * (number + 1))).isoformat(),
        )
        for number, record in enumerate(records)
    ]
    axis, found = content.moments(stretched)
    assert axis.unit == unit
    assert found[-1].at == pytest.approx(axis.length)
