"""Sends the test pictures of a data set through the deployed state machine and measures what comes back.

Nothing is uploaded: training has staged the pictures at `datasets/<id>/test/` already.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from scones_ops import console, workflow
from scones_ops.data import Dataset
from scones_ops.errors import DatasetInvalid, InfrastructureFailed, WorkflowFailed
from scones_ops.evaluation import metrics
from scones_ops.evaluation.store import OUTCOMES, Evaluation, Record, evaluation_dir, write_evaluation
from scones_ops.settings import Settings
from scones_ops.workflow import Execution

if TYPE_CHECKING:
    from scones_ops.infra import Outputs

# An execution's outcome in the words of the evaluation; every other one is broken.
STATUS_OF = {"classified": "decided", "review": "low_confidence", "rejected": "rejected"}


def evaluate(settings: Settings, outputs: Outputs, dataset: Dataset) -> Evaluation:
    """Return the evaluation of the deployed workflow on `dataset`'s test split, and write it down.

    Pictures go in shuffled (by `settings.seed`), so that a slow start falls on no class in particular.
    Raises DatasetInvalid without test pictures, InfrastructureFailed without an endpoint, and
    WorkflowFailed where no picture got a prediction or the answers are not of one model; then nothing is
    written.
    """
    if outputs.endpoint_config_name is None:
        raise InfrastructureFailed("no endpoint is deployed: run `make deploy`, then `make evaluate`")
    truth = true_labels(dataset)
    keys = sorted(truth)
    random.Random(settings.seed).shuffle(keys)  # noqa: S311  an order, not a secret
    label = "evaluate (generated data)" if dataset.generated else "evaluate"
    executions = list(
        console.progress(
            workflow.classify_many(settings, outputs, keys, settings.in_flight),
            total=len(keys), label=label, unit="picture",
        )
    )  # fmt: skip
    records = [record_of(item, truth[item.key], dataset.classes) for item in executions]
    evaluation = summarise(
        records,
        pictures=len(keys),
        dataset=dataset,
        model=_the_one("model", executions, outputs.model_name or "unknown"),
        threshold=float(_the_one("threshold", executions, settings.threshold)),
        in_flight=settings.in_flight,
    )
    write_evaluation(evaluation_dir(settings), evaluation, records)
    return evaluation


def true_labels(dataset: Dataset) -> dict[str, str]:
    """Return the class name of each test picture by its S3 key; raises DatasetInvalid without any."""
    found = {
        f"datasets/{dataset.dataset_id}/{picture.path}": dataset.classes[picture.label]
        for picture in dataset.split("test")
    }
    if not found:
        raise DatasetInvalid(
            f"data set {dataset.dataset_id} has no test pictures: prepare it again with `make data`"
        )
    return found


def record_of(execution: Execution, true_label: str, classes: Sequence[str]) -> Record:
    """Return what became of one picture.

    A prediction is the class with the highest score, whether or not it reached the threshold.
    Raises WorkflowFailed where the workflow answers for other classes than the data set has.
    """
    status = STATUS_OF.get(execution.outcome, "broken")
    scores = execution.inferences if status in ("decided", "low_confidence") else None
    error = execution.error
    if status in ("decided", "low_confidence") and not scores:
        status, error = "broken", error or "NoInferences"
    if status == "broken" and not error:
        error = execution.outcome if execution.status == "SUCCEEDED" else execution.status
    label, confidence = _prediction(execution, scores, classes) if scores else (None, None)
    return Record(
        key=execution.key,
        true_label=true_label,
        status=status,
        error=error,
        label=label,
        confidence=confidence,
        inferences=scores or None,
        started_at=_text(execution.started_at),
        stopped_at=_text(execution.stopped_at),
        duration_ms=execution.seconds * 1000,
    )


def _prediction(execution: Execution, scores: Sequence[float], classes: Sequence[str]) -> tuple[str, float]:
    """Return the predicted class and its score, checked against the class that the workflow names."""
    best = max(scores)
    if len(scores) == len(classes):
        label = execution.label or classes[scores.index(best)]
        if dict(zip(classes, scores, strict=True)).get(label) == best:
            return label, best
    raise WorkflowFailed(
        f"the workflow answers for other classes than the data set's ({', '.join(classes)}; picture "
        f"{execution.key}): train and deploy a model of this data set with `make train deploy`"
    )


def summarise(
    records: Sequence[Record],
    *,
    pictures: int,
    dataset: Dataset,
    model: str,
    threshold: float,
    in_flight: int,
) -> Evaluation:
    """Return the numbers over `records`, of `pictures` sent; raises WorkflowFailed without a prediction."""
    predicted = [record for record in records if record.predicted]
    if not predicted:
        raise WorkflowFailed(
            f"none of {pictures} pictures got a prediction ({errors_text(records)}): "
            "`make train deploy` stages the pictures and deploys what classifies them"
        )
    classes = tuple(dataset.classes)
    index = {name: number for number, name in enumerate(classes)}
    labels = np.array([index[record.true_label] for record in predicted])
    predictions = np.array([index[record.label or ""] for record in predicted])
    confidences = np.array([record.confidence for record in predicted], dtype=np.float64)
    accepted = np.array([record.status == "decided" for record in predicted])
    durations = np.array([record.duration_ms for record in records if record.duration_ms is not None])
    counts = Counter(record.status for record in records)
    return Evaluation(
        generated=dataset.generated,
        dataset_id=dataset.dataset_id,
        source=dataset.source.name,
        classes=classes,
        threshold=threshold,
        model=model,
        pictures=pictures,
        accounted=len(records),
        counts={outcome: counts[outcome] for outcome in OUTCOMES},
        accuracy=metrics.accuracy(labels, predictions),
        coverage=metrics.coverage(accepted),
        error_at_threshold=metrics.error_among(labels, predictions, accepted),
        confusion=tuple(
            tuple(int(count) for count in row)
            for row in metrics.confusion_matrix(labels, predictions, len(classes))
        ),
        calibration=metrics.calibration(confidences, labels == predictions),
        risk_coverage=metrics.risk_coverage(confidences, labels == predictions),
        latency_ms=metrics.latency(durations),
        in_flight=in_flight,
        started_at=min((record.started_at for record in records if record.started_at), default=""),
        stopped_at=max((record.stopped_at for record in records if record.stopped_at), default=""),
    )


def errors_text(records: Iterable[Record]) -> str:
    """Return how often each error came, the commonest first, as `ImageInvalid: 3, States.Timeout: 1`."""
    counts = Counter(record.error for record in records if record.error)
    return ", ".join(f"{name}: {count}" for name, count in counts.most_common()) or "no execution ended"


def _the_one(name: str, executions: Iterable[Execution], otherwise: Any) -> Any:
    """Return the value of `name` that all decisions agree on; raises WorkflowFailed where they differ."""
    found = {item.record[name] for item in executions if item.record.get(name) is not None}
    if len(found) > 1:
        raise WorkflowFailed(
            f"the {name} changed during the evaluation ({', '.join(map(str, sorted(found)))}): "
            "let the deployment end, then run `make evaluate` again"
        )
    return found.pop() if found else otherwise


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
