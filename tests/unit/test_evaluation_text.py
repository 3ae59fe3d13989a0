"""The terminal's summary of an evaluation."""

from dataclasses import replace
from pathlib import Path

from evaluation_samples import MODEL, evaluated_sample

from scones_ops.evaluation import summary
from scones_ops.evaluation.metrics import wilson


def test_the_summary_names_model_data_set_and_every_count(tmp_path: Path) -> None:
    evaluation, _ = evaluated_sample(tmp_path, each=50, rejected=3)
    text = summary(evaluation)
    assert MODEL in text
    assert "abcdef012345 (pictures.tar.gz)" in text
    assert "100   all accounted for" in text
    for name, count in evaluation.counts.items():
        assert f"{name.replace('_', ' '):<15}" in text
        assert f"{count:>9}" in text
    assert f"{evaluation.accuracy.count} of {evaluation.accuracy.of}" in text
    assert "at threshold 0.93" in text


def test_generated_data_are_named_beside_each_measure_and_only_then(tmp_path: Path) -> None:
    drawn, _ = evaluated_sample(tmp_path / "a", generated=True)
    lines = summary(drawn).splitlines()
    for start in ("model", "  accuracy", "  automated", "  errors", "  calibration"):
        assert "generated data" in next(line for line in lines if line.startswith(start))
    real, _ = evaluated_sample(tmp_path / "b")
    assert "generated" not in summary(real)


def test_the_confusion_matrix_stands_in_aligned_columns(tmp_path: Path) -> None:
    evaluation, _ = evaluated_sample(tmp_path, classes=("bicycle", "motorcycle", "bus"))
    head, *rows = summary(evaluation).splitlines()[-4:]
    assert head.split() == ["true", "\\", "predicted", "bicycle", "motorcycle", "bus"]
    for name, row, counts in zip(evaluation.classes, rows, evaluation.confusion, strict=True):
        assert row.split() == [name, *map(str, counts)]
        assert len(row) == len(head)


def test_pictures_that_are_missing_are_said_to_be(tmp_path: Path) -> None:
    evaluation, _ = evaluated_sample(tmp_path)
    assert "only 39 accounted for" in summary(replace(evaluation, accounted=39))


def test_a_share_of_nothing_is_a_dash(tmp_path: Path) -> None:
    evaluation, _ = evaluated_sample(tmp_path)
    line = next(
        line
        for line in summary(replace(evaluation, error_at_threshold=wilson(0, 0))).splitlines()
        if "errors" in line
    )
    assert "        -   0 of 0" in line
