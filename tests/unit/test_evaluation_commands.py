"""The commands `evaluate` and `report`: what they print, and how they end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from evaluation_samples import MODEL, evaluated_sample, make_dataset, realistic_executions

from scones_ops import infra, workflow
from scones_ops.commands import evaluate, report
from scones_ops.data.dataset import MANIFEST, content_id
from scones_ops.errors import DatasetInvalid, EvaluationMissing, ToolMissing, WorkflowFailed
from scones_ops.evaluation import evaluation_dir
from scones_ops.evaluation.store import write_evaluation
from scones_ops.settings import Settings, load_settings
from scones_ops.workflow import Execution

ARGS = argparse.Namespace()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"SCONES_BUILD": str(tmp_path)})


@pytest.fixture
def deployed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Prepare a generated data set and a deployed machine that answers for it."""

    def deploy(**answers: int) -> None:
        drawn = make_dataset(settings.dataset_dir, each=10, generated=True)
        dataset = replace(drawn, dataset_id=content_id(drawn.classes, drawn.pictures))
        (dataset.folder / MANIFEST).write_bytes(dataset.manifest())
        executions = realistic_executions(dataset, **answers)
        outputs = SimpleNamespace(endpoint_config_name="ep-config-1", model_name=MODEL)

        def classify_many(*_: object) -> Iterator[Execution]:
            yield from executions

        monkeypatch.setattr(infra, "Infrastructure", lambda _: SimpleNamespace(outputs=lambda: outputs))
        monkeypatch.setattr(workflow, "classify_many", classify_many)

    return deploy


def test_evaluate_prints_the_numbers_and_where_they_lie(
    settings: Settings, deployed: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    deployed()
    assert evaluate.run(ARGS, settings) == 0
    shown = capsys.readouterr().out
    assert "20   all accounted for" in shown
    assert "generated data" in shown
    assert str(evaluation_dir(settings)) in shown


def test_evaluate_prints_the_numbers_and_then_fails_where_pictures_broke(
    settings: Settings, deployed: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    deployed(broken=3)
    with pytest.raises(WorkflowFailed, match="3 broke"):
        evaluate.run(ARGS, settings)
    assert "accuracy" in capsys.readouterr().out
    assert (evaluation_dir(settings) / "evaluation.json").is_file()


def test_evaluate_without_a_data_set_names_the_command(settings: Settings) -> None:
    with pytest.raises(DatasetInvalid, match="make data"):
        evaluate.run(ARGS, settings)


def test_report_says_where_the_page_lies_and_that_data_are_generated(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    write_evaluation(
        evaluation_dir(settings), *evaluated_sample(settings.dataset_dir, each=3, generated=True)
    )
    assert report.run(ARGS, settings) == 0
    page = settings.build_dir / "report" / "index.html"
    assert capsys.readouterr().out == f"report (generated data): {page}\n"
    assert page.is_file()


def test_report_before_evaluate_names_the_command(settings: Settings) -> None:
    with pytest.raises(EvaluationMissing, match="make evaluate"):
        report.run(ARGS, settings)


def test_report_without_its_extra_says_what_to_install(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("scones_ops.report")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ToolMissing, match="the report needs jinja2"):
        report.run(ARGS, settings)
