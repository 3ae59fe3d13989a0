"""Made-up evaluations for the tests: drawn pictures, invented scores, a fixed seed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from scones_ops.data import Dataset, Picture, Source
from scones_ops.evaluation import Evaluation, Record
from scones_ops.evaluation.run import record_of, summarise, true_labels
from scones_ops.workflow import Execution
from scones_ops.workflow.execution import build_execution

MODEL = "scones-unlimited-0123456789ab"
START = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


def make_dataset(
    folder: Path, classes: Sequence[str] = ("bicycle", "motorcycle"), each: int = 20, generated: bool = False
) -> Dataset:
    """Return a data set with `each` test pictures a class, its PNG files drawn under `folder`."""
    (folder / "test").mkdir(parents=True, exist_ok=True)
    pictures = []
    for label, _ in enumerate(classes):
        for number in range(each):
            path = f"test/p{label}_{number:04d}.png"
            image = Image.new("RGB", (32, 32), (200 - 15 * label, 120 + number % 60, 90))
            draw = ImageDraw.Draw(image)
            draw.ellipse((3, 16, 13, 27), outline=(20, 20, 20), width=1 + label % 4)
            draw.ellipse((18, 16, 29, 27), outline=(20, 20, 20), width=1 + label % 4)
            image.save(folder / path)
            pictures.append(Picture(path, label, "0" * 64, "test"))
    kind, name = ("generated", "drawings") if generated else ("archive", "pictures.tar.gz")
    return Dataset(folder, "abcdef012345", tuple(classes), Source(kind, name, "0" * 64, 1), tuple(pictures))


def key_of(dataset: Dataset, picture: Picture) -> str:
    return f"datasets/{dataset.dataset_id}/{picture.path}"


def make_execution(
    key: str,
    scores: Sequence[float] | None,
    *,
    classes: Sequence[str] = ("bicycle", "motorcycle"),
    threshold: float = 0.93,
    error: str | None = None,
    start: datetime = START,
    milliseconds: float = 250,
    model: str = MODEL,
) -> Execution:
    """Return an execution as the deployed machine ends it for `scores`, or with `error`."""
    if scores is not None and error is None and max(scores) < threshold:
        error = "ThresholdConfidenceNotMet"
    label = classes[int(np.argmax(scores))] if scores is not None else None
    confidence = max(scores) if scores is not None else None
    record = {
        "s3_key": key,
        "label": label,
        "confidence": confidence,
        "inferences": None if scores is None else list(scores),
        "model": model,
        "threshold": threshold,
    }
    return build_execution(
        key=key,
        arn=f"arn:aws:states:us-east-1:123456789012:execution:scones-unlimited-classify:{key[-12:]}",
        status="FAILED" if error else "SUCCEEDED",
        error=error,
        cause=json.dumps(record | {"error": error}) if error else None,
        output=None if error else json.dumps(record),
        started_at=start,
        stopped_at=start + timedelta(milliseconds=milliseconds),
    )


def realistic_executions(
    dataset: Dataset, *, seed: int = 1, rejected: int = 0, broken: int = 0, threshold: float = 0.93
) -> list[Execution]:
    """Return executions of all test pictures: mostly certain and right, some unsure, some wrong."""
    rng = np.random.default_rng(seed)
    classes = dataset.classes
    pictures = list(dataset.split("test"))
    rng.shuffle(pictures)
    found = []
    for number, picture in enumerate(pictures):
        start = START + timedelta(milliseconds=70 * number + float(rng.uniform(0, 20)))
        took = float(rng.gamma(9, 45))
        error = (
            "ImageInvalid" if number < rejected else "States.Timeout" if number < rejected + broken else None
        )
        scores = None
        if error is None:
            logits = rng.normal(0, 1.0, len(classes))
            logits[picture.label] += 5 if rng.random() < 0.9 else 1.2
            exponents = np.exp(logits)
            scores = [float(score) for score in exponents / exponents.sum()]
        found.append(
            make_execution(
                key_of(dataset, picture), scores, classes=classes, threshold=threshold, error=error,
                start=start, milliseconds=took,
            )
        )  # fmt: skip
    return found


def evaluated_sample(
    folder: Path,
    classes: Sequence[str] = ("bicycle", "motorcycle"),
    *,
    each: int = 20,
    generated: bool = False,
    seed: int = 1,
    rejected: int = 0,
    broken: int = 0,
    threshold: float = 0.93,
) -> tuple[Evaluation, tuple[Record, ...]]:
    """Return an evaluation of made-up executions and its records; the pictures lie under `folder`."""
    dataset = make_dataset(folder, classes, each, generated)
    truth = true_labels(dataset)
    executions = realistic_executions(
        dataset, seed=seed, rejected=rejected, broken=broken, threshold=threshold
    )
    records = tuple(record_of(item, truth[item.key], dataset.classes) for item in executions)
    evaluation = summarise(
        records, pictures=len(truth), dataset=dataset, model=MODEL, threshold=threshold, in_flight=8
    )
    return evaluation, records
