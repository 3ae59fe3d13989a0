"""Evaluate: each test picture goes once through the machine, and each is accounted for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from evaluation_samples import MODEL, START, key_of, make_dataset, make_execution, realistic_executions

from scones_ops import workflow
from scones_ops.data import Dataset
from scones_ops.errors import DatasetInvalid, InfrastructureFailed, WorkflowFailed
from scones_ops.evaluation import Evaluation, evaluate, evaluation_dir, read_evaluation, require_complete
from scones_ops.evaluation.run import record_of, true_labels
from scones_ops.settings import Settings, load_settings
from scones_ops.workflow import Execution

CLASSES = ("bicycle", "motorcycle")
OUTPUTS: Any = SimpleNamespace(endpoint_config_name="ep-config-1", model_name=MODEL)
Answers = Callable[[list[Execution]], list[str]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"SCONES_BUILD": str(tmp_path)})


@pytest.fixture
def dataset(settings: Settings) -> Dataset:
    return make_dataset(settings.dataset_dir, each=10)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Let the deployed machine answer with given executions; returns the list of keys it is asked for."""

    def prepare(executions: list[Execution]) -> list[str]:
        asked: list[str] = []
        by_key = {item.key: item for item in executions}

        def classify_many(
            settings: Settings, outputs: object, keys: Iterable[str], in_flight: int
        ) -> Iterator[Execution]:
            assert in_flight == settings.in_flight
            for key in keys:
                asked.append(key)
                if key in by_key:
                    yield by_key[key]

        monkeypatch.setattr(workflow, "classify_many", classify_many)
        return asked

    return prepare


def test_a_decided_picture_carries_the_prediction_of_the_machine() -> None:
    record = record_of(make_execution("k", [0.02, 0.98], milliseconds=321), "bicycle", CLASSES)
    assert (record.status, record.label, record.confidence) == ("decided", "motorcycle", 0.98)
    assert record.inferences == (0.02, 0.98)
    assert record.wrong
    assert record.error is None
    assert (record.started_at, record.stopped_at) == ("2026-03-01T09:30:00.000Z", "2026-03-01T09:30:00.321Z")
    assert record.duration_ms == pytest.approx(321)


def test_a_low_confidence_picture_still_has_a_prediction_from_its_cause() -> None:
    record = record_of(make_execution("k", [0.6, 0.4]), "bicycle", CLASSES)
    assert (record.status, record.error) == ("low_confidence", "ThresholdConfidenceNotMet")
    assert (record.label, record.confidence, record.wrong) == ("bicycle", 0.6, False)


@pytest.mark.parametrize("error", ["EventInvalid", "ImageInvalid", "ImageNotFound"])
def test_a_rejected_picture_has_no_prediction(error: str) -> None:
    record = record_of(make_execution("k", None, error=error), "bicycle", CLASSES)
    assert (record.status, record.error, record.predicted) == ("rejected", error, False)


def test_anything_else_is_broken_and_its_scores_do_not_count() -> None:
    failed = record_of(make_execution("k", [0.99, 0.01], error="EndpointUnavailable"), "bicycle", CLASSES)
    assert (failed.status, failed.error, failed.inferences) == ("broken", "EndpointUnavailable", None)
    silent = replace(make_execution("k", None, error="x"), status="TIMED_OUT", error=None, cause=None)
    assert record_of(silent, "bicycle", CLASSES).error == "TIMED_OUT"


def test_a_success_without_scores_is_broken() -> None:
    record = record_of(make_execution("k", None), "bicycle", CLASSES)
    assert (record.status, record.error) == ("broken", "NoInferences")


@pytest.mark.parametrize(
    ("scores", "named"), [([0.1, 0.2, 0.7], ("a", "b", "c")), ([0.99, 0.01], ("motorcycle", "bicycle"))]
)
def test_answers_for_other_classes_or_another_order_are_refused(
    scores: list[float], named: tuple[str, ...]
) -> None:
    with pytest.raises(WorkflowFailed, match="make train deploy"):
        record_of(make_execution("k", scores, classes=named), "bicycle", CLASSES)


def test_every_test_picture_is_sent_once_in_a_shuffled_order_that_repeats(
    settings: Settings, dataset: Dataset, answers: Answers
) -> None:
    asked = answers(realistic_executions(dataset))
    evaluate(settings, OUTPUTS, dataset)
    assert sorted(asked) == sorted(key_of(dataset, picture) for picture in dataset.split("test"))
    assert asked != sorted(asked)
    first = list(asked)
    asked.clear()
    evaluate(settings, OUTPUTS, dataset)
    assert asked == first


def test_the_numbers_count_low_confidence_predictions_but_no_rejections(
    settings: Settings, dataset: Dataset, answers: Answers
) -> None:
    keys = sorted(true_labels(dataset))  # ten bicycles, then ten motorcycles
    answers(
        [make_execution(key, [0.98, 0.02]) for key in keys[:9]]
        + [make_execution(keys[9], None, error="ImageInvalid")]
        + [make_execution(key, [0.03, 0.97]) for key in keys[10:17]]
        + [make_execution(keys[17], [0.99, 0.01]), make_execution(keys[18], [0.7, 0.3])]
        + [make_execution(keys[19], [0.2, 0.8])]
    )
    found = evaluate(settings, OUTPUTS, dataset)
    assert (found.pictures, found.accounted) == (20, 20)
    assert found.counts == {"decided": 17, "low_confidence": 2, "rejected": 1, "broken": 0}
    assert (found.accuracy.count, found.accuracy.of) == (17, 19)
    assert (found.coverage.count, found.coverage.of) == (17, 19)
    assert (found.error_at_threshold.count, found.error_at_threshold.of) == (1, 17)
    assert found.confusion == ((9, 0), (2, 8))
    assert (found.model, found.threshold, found.dataset_id) == (MODEL, 0.93, dataset.dataset_id)
    assert not found.generated
    require_complete(found)


def test_the_files_read_back_as_what_was_returned(
    settings: Settings, dataset: Dataset, answers: Answers
) -> None:
    answers(realistic_executions(dataset, rejected=1))
    found = evaluate(settings, OUTPUTS, dataset)
    again, records = read_evaluation(evaluation_dir(settings))
    assert again == found
    assert {record.key: record.true_label for record in records} == true_labels(dataset)


def test_the_threshold_is_the_deployed_one_even_when_the_setting_says_otherwise(
    settings: Settings, dataset: Dataset, answers: Answers
) -> None:
    answers(realistic_executions(dataset, threshold=0.8))
    assert evaluate(settings, OUTPUTS, dataset).threshold == 0.8


def test_a_missing_or_broken_execution_makes_the_evaluation_incomplete(
    settings: Settings, dataset: Dataset, answers: Answers
) -> None:
    answers(realistic_executions(dataset, broken=2)[:-1])
    found = evaluate(settings, OUTPUTS, dataset)
    assert (found.pictures, found.accounted, found.counts["broken"]) == (20, 19, 2)
    with pytest.raises(WorkflowFailed, match="of 20 pictures 2 broke and 1 never came to an end"):
        require_complete(found)


def test_without_an_endpoint_nothing_is_sent(settings: Settings, dataset: Dataset, answers: Answers) -> None:
    asked = answers([])
    outputs: Any = SimpleNamespace(endpoint_config_name=None, model_name=MODEL)
    with pytest.raises(InfrastructureFailed, match="make deploy"):
        evaluate(settings, outputs, dataset)
    assert asked == []


def test_a_data_set_without_test_pictures_is_refused(settings: Settings, dataset: Dataset) -> None:
    with pytest.raises(DatasetInvalid, match="no test pictures"):
        evaluate(settings, OUTPUTS, replace(dataset, pictures=()))


def evaluated(settings: Settings, dataset: Dataset, answers: Answers) -> Evaluation:
    answers(realistic_executions(dataset))
    return evaluate(settings, OUTPUTS, dataset)


def test_without_any_prediction_the_errors_are_named_and_the_last_evaluation_stays(
    settings: Settings, dataset: Dataset, answers: Answers
) -> None:
    before = evaluated(settings, dataset, answers)
    answers([make_execution(key, None, error="ImageNotFound") for key in true_labels(dataset)])
    with pytest.raises(WorkflowFailed, match="ImageNotFound: 20"):
        evaluate(settings, OUTPUTS, dataset)
    assert read_evaluation(evaluation_dir(settings))[0] == before


@pytest.mark.parametrize("changed", [{"model": "scones-unlimited-ffffffffffff"}, {"threshold": 0.5}])
def test_a_deployment_in_the_middle_is_noticed(
    settings: Settings, dataset: Dataset, answers: Answers, changed: dict[str, Any]
) -> None:
    executions = realistic_executions(dataset)
    executions[7] = make_execution(executions[7].key, [0.99, 0.01], **changed)
    answers(executions)
    with pytest.raises(WorkflowFailed, match=f"the {next(iter(changed))} changed during the evaluation"):
        evaluate(settings, OUTPUTS, dataset)
    assert not evaluation_dir(settings).exists()


def test_an_interruption_leaves_the_last_evaluation(
    settings: Settings, dataset: Dataset, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = evaluated(settings, dataset, answers)

    def interrupted(*_: object) -> Iterator[Execution]:
        yield make_execution(next(iter(true_labels(dataset))), [0.99, 0.01], start=START)
        raise KeyboardInterrupt

    monkeypatch.setattr(workflow, "classify_many", interrupted)
    with pytest.raises(KeyboardInterrupt):
        evaluate(settings, OUTPUTS, dataset)
    assert read_evaluation(evaluation_dir(settings))[0] == before
