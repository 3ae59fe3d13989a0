"""The page: everything inside it, readable by machine and eye, honest about what is absent."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from pathlib import Path

import pytest
from evaluation_samples import MODEL, evaluated_sample
from report_reading import Reading, read_page

from scones_ops.errors import EvaluationMissing
from scones_ops.evaluation import Evaluation, Record, evaluation_dir
from scones_ops.evaluation.store import write_evaluation
from scones_ops.handoff import ModelRecord, write_handoff
from scones_ops.report import page as page_module
from scones_ops.report import write_report
from scones_ops.report.page import Drawn, draw
from scones_ops.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"SCONES_BUILD": str(tmp_path)})


@pytest.fixture(scope="module")
def ready_charts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Drawn, ...]:
    return draw(*evaluated_sample(tmp_path_factory.mktemp("charts"), each=4))


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch, ready_charts: tuple[Drawn, ...]) -> None:
    """Charts take a second to draw: a test of what stands around them takes ready ones."""
    monkeypatch.setattr(page_module, "draw", lambda evaluation, records: ready_charts)


def evaluated(settings: Settings, **options: object) -> tuple[Evaluation, tuple[Record, ...]]:
    """Write a made-up evaluation where the report looks for it."""
    evaluation, records = evaluated_sample(settings.dataset_dir, **options)  # type: ignore[arg-type]
    write_evaluation(evaluation_dir(settings), evaluation, records)
    return evaluation, records


def reported(settings: Settings) -> Reading:
    return read_page(write_report(settings).read_text())


def hand_over(settings: Settings, name: str = MODEL, **metrics: float) -> None:
    record = ModelRecord(
        name=name,
        data_url="s3://scones-unlimited-123456789012-us-east-1/training/job/output/model.tar.gz",
        image_uri="763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-cpu-py312",
        sha256=name[-12:] + "0" * 52,
        training_job="scones-unlimited-20260301-092000-ab12",
        classes=("bicycle", "motorcycle"),
        input_size=(32, 32),
        metrics={"validation_accuracy": 0.955, **metrics},
        trained_at="2026-03-01T09:25:00Z",
        dataset={"dataset_id": "abcdef012345", "generated": False, "source": {"name": "pictures.tar.gz"}},
    )
    write_handoff(settings, record, True)


def test_without_an_evaluation_it_says_what_to_run_and_writes_nothing(settings: Settings) -> None:
    with pytest.raises(EvaluationMissing, match="make evaluate"):
        write_report(settings)
    assert not (settings.build_dir / "report").exists()


@pytest.mark.usefixtures("undrawn")
def test_the_page_lies_beside_its_charts_and_nothing_else(settings: Settings) -> None:
    evaluated(settings)
    page = write_report(settings)
    assert page == settings.build_dir / "report" / "index.html"
    names = sorted(path.name for path in page.parent.iterdir())
    assert names == sorted(
        ["index.html"]
        + [
            f"{name}.png"
            for name in (
                "predictions", "confusion-matrix", "confidence-over-time", "classes-over-time",
                "risk-coverage", "reliability", "execution-times",
            )
        ]
    )  # fmt: skip


def test_the_page_loads_nothing_from_anywhere(settings: Settings) -> None:
    evaluated(settings, rejected=1)
    hand_over(settings)
    html = write_report(settings).read_text()
    assert not re.search(r"https?:|//cdn|@import|<script", html, re.IGNORECASE)
    assert all(target.startswith(("data:", "#")) for target in re.findall(r'(?:src|href)="([^"]*)"', html))
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", html))


def test_the_page_is_sound_html_with_no_id_twice(settings: Settings) -> None:
    evaluated(settings, rejected=1, broken=1)
    page = reported(settings)
    assert page.unclosed == []
    assert len(page.ids) == len(set(page.ids))
    assert page.elements("html")[0]["lang"] == "en"
    assert any("width=device-width" in meta.get("content", "") for meta in page.elements("meta"))


def test_every_chart_has_a_text_alternative_and_its_numbers(settings: Settings) -> None:
    evaluated(settings)
    page = reported(settings)
    charts = [item for item in page.elements("svg") if item.get("class") == "chart"]
    assert len(charts) == 7
    assert all(item["role"] == "img" and len(item["aria-label"]) > 40 for item in charts)
    assert len(page.elements("details")) == 7
    figures = {item["id"] for item in page.elements("figure")}
    assert figures <= set(page.tables)


def test_the_numbers_of_the_evaluation_stand_on_the_page(settings: Settings) -> None:
    evaluation, records = evaluated(settings, each=50, rejected=2)
    page = reported(settings)
    for share in (evaluation.accuracy, evaluation.coverage, evaluation.error_at_threshold):
        assert share.value is not None
        assert f"{100 * share.value:.1f} %" in page.text
        assert f"{share.count} of {share.of}, 95 % interval" in page.text
        assert f"{100 * share.low:.1f}\N{EN DASH}{100 * share.high:.1f} %" in page.text
    assert "100 of 100" in page.text
    assert "rejected 2, broken 0" in page.text
    head, *rows = page.tables["confidence-over-time"]
    assert head[1] == "picture"
    assert sorted(row[1] for row in rows) == sorted(record.key.rsplit("/", 1)[1] for record in records)
    assert len(page.tables["predictions"]) == 1 + len(evaluation.classes) + 2
    deployed = [row for row in page.tables["thresholds"] if "deployed" in row[0]]
    assert [row[0] for row in deployed] == ["0.93 deployed"]


@pytest.mark.usefixtures("undrawn")
def test_generated_data_get_a_banner_and_are_named_in_the_title(settings: Settings) -> None:
    evaluated(settings, generated=True)
    html = write_report(settings).read_text()
    page = read_page(html)
    assert "generated-data" in page.ids
    assert re.search(r"<title>[^<]*generated data", html)
    assert "They say nothing about CIFAR-100" in page.text


def test_real_data_get_no_banner(settings: Settings) -> None:
    evaluated(settings)
    page = reported(settings)
    assert "generated-data" not in page.ids
    assert "incomplete" not in page.ids
    assert "generated" not in page.text.lower()


@pytest.mark.usefixtures("undrawn")
def test_an_incomplete_evaluation_is_said_to_be(settings: Settings) -> None:
    evaluation, records = evaluated(settings, broken=3)
    write_evaluation(evaluation_dir(settings), replace(evaluation, accounted=39), records)
    page = reported(settings)
    assert "incomplete" in page.ids
    assert "Of 40 executions 3 broke and 1 never came to an end" in page.text


@pytest.mark.usefixtures("undrawn")
def test_the_gallery_shows_the_very_pictures_that_went_wrong(settings: Settings) -> None:
    _, records = evaluated(settings, each=40)
    wrong = [record for record in records if record.wrong]
    assert wrong
    page = reported(settings)
    images = {item["alt"]: item["src"] for item in page.elements("img")}
    for record in wrong[:24]:
        alt = f"{record.true_label}, predicted {record.label} with confidence {record.confidence:.2f}"
        assert alt in images
    sources = {base64.b64decode(source.split(",", 1)[1]) for source in images.values()}
    for record in wrong[:24]:
        assert (settings.dataset_dir / record.key.split("/", 2)[2]).read_bytes() in sources


@pytest.mark.usefixtures("undrawn")
def test_pictures_that_are_gone_from_disk_are_said_to_be(settings: Settings) -> None:
    evaluated(settings, each=40)
    for path in (settings.dataset_dir / "test").iterdir():
        path.unlink()
    page = reported(settings)
    assert page.elements("img") == []
    assert "picture not on this disk" in page.text


@pytest.mark.usefixtures("undrawn")
def test_a_key_that_points_outside_the_data_set_is_not_read(settings: Settings) -> None:
    evaluation, records = evaluated(settings)
    secret = settings.dataset_dir.parent / "secret.png"
    secret.write_bytes(b"secret")
    wrong = replace(records[0], key="datasets/abcdef012345/../secret.png", label="bus", true_label="bicycle")
    write_evaluation(evaluation_dir(settings), evaluation, [replace(wrong, label="motorcycle"), *records[1:]])
    assert base64.b64encode(b"secret").decode() not in write_report(settings).read_text()


@pytest.mark.usefixtures("undrawn")
def test_markup_in_names_stays_text(settings: Settings) -> None:
    evaluation, records = evaluated(settings)
    hostile = "<img src=x onerror=alert(1)>"
    write_evaluation(evaluation_dir(settings), replace(evaluation, model=hostile, source=hostile), records)
    html = write_report(settings).read_text()
    assert hostile not in html
    assert hostile in read_page(html).text


@pytest.mark.usefixtures("undrawn")
def test_the_model_card_shows_the_handed_over_model(settings: Settings) -> None:
    evaluated(settings)
    hand_over(settings, validation_ece=0.0213)
    text = reported(settings).text
    assert f"{MODEL[-12:]}{'0' * 52}" in text
    assert "2026-03-01T09:25:00Z" in text
    assert "scones-unlimited-20260301-092000-ab12" in text
    assert "validation accuracy 0.955" in text
    assert "validation ece 0.0213" in text
    assert "now names" not in text


@pytest.mark.usefixtures("undrawn")
def test_a_model_handed_over_since_is_told_from_the_evaluated_one(settings: Settings) -> None:
    evaluated(settings)
    hand_over(settings, name="scones-unlimited-ffffffffffff")
    assert f"now names scones-unlimited-ffffffffffff; the numbers on this page are of {MODEL}" in (
        reported(settings).text
    )


@pytest.mark.usefixtures("undrawn")
def test_without_a_handed_over_model_the_card_says_so(settings: Settings) -> None:
    evaluated(settings)
    page = reported(settings)
    assert "no-handoff" in page.ids
    assert "No model has been handed over" in page.text
    assert MODEL in page.text


@pytest.mark.usefixtures("undrawn")
def test_a_damaged_handoff_file_is_told_in_the_card(settings: Settings) -> None:
    evaluated(settings)
    settings.handoff_file.parent.mkdir(parents=True, exist_ok=True)
    settings.handoff_file.write_text("{")
    page = reported(settings)
    assert "no-handoff" in page.ids
    assert "not valid JSON" in page.text


@pytest.mark.usefixtures("undrawn")
def test_a_new_report_replaces_the_old_one(settings: Settings) -> None:
    evaluated(settings)
    before = write_report(settings).read_text()
    assert write_report(settings).read_text() == before
    evaluated(settings, seed=9)
    assert write_report(settings).read_text() != before


@pytest.mark.usefixtures("undrawn")
def test_type_scales_and_colours_follow_the_readers_settings(settings: Settings) -> None:
    evaluated(settings)
    html = write_report(settings).read_text()
    assert "@media screen and (prefers-color-scheme: dark)" in html  # print stays light
    assert "@media print" in html
    assert not re.search(r"<svg[^>]*\swidth=", html)  # charts take the width there is
