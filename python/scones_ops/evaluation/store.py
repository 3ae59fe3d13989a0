"""An evaluation and its records: what they hold, and their two files.

`build/<workspace>/evaluation/evaluation.json` holds the numbers, `records.jsonl` one JSON object a picture.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scones_ops.errors import EvaluationMissing
from scones_ops.evaluation.metrics import Bin, Calibration, Latency, RiskPoint, Share
from scones_ops.files import write_whole
from scones_ops.settings import Settings

EVALUATION_FILE = "evaluation.json"
RECORDS_FILE = "records.jsonl"

# What can become of a picture. The first two carry a prediction.
OUTCOMES = ("decided", "low_confidence", "rejected", "broken")


@dataclass(frozen=True)
class Record:
    """What became of one picture. Times are ISO 8601 UTC; `label` is the class with the highest score."""

    key: str
    true_label: str
    status: str  # one of OUTCOMES
    error: str | None
    label: str | None
    confidence: float | None
    inferences: tuple[float, ...] | None
    started_at: str | None
    stopped_at: str | None
    duration_ms: float | None

    @property
    def predicted(self) -> bool:
        """Whether the workflow gave a prediction, certain or not."""
        return self.label is not None

    @property
    def wrong(self) -> bool:
        return self.predicted and self.label != self.true_label


@dataclass(frozen=True)
class Evaluation:
    """The numbers of one pass of the test pictures through the deployed state machine.

    Shares count the pictures with a prediction; `accounted` of `pictures` executions came to an end, and
    `counts` says how many to each of OUTCOMES.
    """

    generated: bool
    dataset_id: str
    source: str
    classes: tuple[str, ...]
    threshold: float
    model: str
    pictures: int
    accounted: int
    counts: Mapping[str, int]
    accuracy: Share
    coverage: Share
    error_at_threshold: Share
    confusion: tuple[tuple[int, ...], ...]
    calibration: Calibration
    risk_coverage: tuple[RiskPoint, ...]
    latency_ms: Latency | None
    in_flight: int
    started_at: str
    stopped_at: str


def evaluation_dir(settings: Settings) -> Path:
    return settings.build_dir / "evaluation"


def write_evaluation(folder: Path, evaluation: Evaluation, records: Sequence[Record]) -> Path:
    """Write both files into `folder` and return the path of evaluation.json.

    Each lands under its own name only when it is whole. evaluation.json comes last and carries the digest
    of the records, so that a pair torn by an interruption is noticed.
    """
    lines = "".join(json.dumps(asdict(record)) + "\n" for record in records).encode()
    values = asdict(evaluation) | {"records_sha256": hashlib.sha256(lines).hexdigest()}
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / RECORDS_FILE, lines)
    write_whole(folder / EVALUATION_FILE, (json.dumps(values, indent=2, allow_nan=False) + "\n").encode())
    return folder / EVALUATION_FILE


def read_evaluation(folder: Path) -> tuple[Evaluation, tuple[Record, ...]]:
    """Return the evaluation in `folder` and its records.

    Raises EvaluationMissing where there is none, or where its files are damaged or of two runs.
    """
    try:
        text = (folder / EVALUATION_FILE).read_text()
        lines = (folder / RECORDS_FILE).read_bytes()
    except FileNotFoundError as error:
        raise EvaluationMissing(
            f"no evaluation yet ({error.filename} is missing): run `make evaluate` first"
        ) from None
    try:
        values = json.loads(text)
        torn = values.pop("records_sha256") != hashlib.sha256(lines).hexdigest()
        evaluation = _evaluation(values)
        records = tuple(_record(json.loads(line)) for line in lines.splitlines())
    except (ValueError, KeyError, TypeError, AttributeError):
        raise EvaluationMissing(
            f"the evaluation in {folder} is damaged or of another version: run `make evaluate` again"
        ) from None
    if torn:
        raise EvaluationMissing(
            f"the files in {folder} are of two evaluations (one was interrupted): run `make evaluate` again"
        )
    return evaluation, records


def _record(values: dict[str, Any]) -> Record:
    scores = values["inferences"]
    record = Record(**values | {"inferences": None if scores is None else tuple(scores)})
    if record.status not in OUTCOMES:
        raise ValueError(f"unknown outcome {record.status}")
    return record


def _evaluation(values: dict[str, Any]) -> Evaluation:
    bins = tuple(
        Bin(**item | {"accuracy": Share(**item["accuracy"])}) for item in values["calibration"]["bins"]
    )
    built = {
        "classes": tuple(values["classes"]),
        "confusion": tuple(tuple(row) for row in values["confusion"]),
        "calibration": Calibration(values["calibration"]["ece"], bins),
        "risk_coverage": tuple(RiskPoint(**point) for point in values["risk_coverage"]),
        "latency_ms": Latency(**values["latency_ms"]) if values["latency_ms"] else None,
    }
    built |= {name: Share(**values[name]) for name in ("accuracy", "coverage", "error_at_threshold")}
    return Evaluation(**values | built)
