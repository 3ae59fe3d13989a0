"""What became of one picture, read from an execution or from a line of a batch's results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

LOW_CONFIDENCE = "ThresholdConfidenceNotMet"
REJECTIONS = ("EventInvalid", "ImageNotFound", "ImageInvalid")


@dataclass(frozen=True)
class Execution:
    """One picture's way through the state machine, ended. `record` of a failure is what its Cause tells."""

    key: str
    arn: str
    status: str  # SUCCEEDED, FAILED, TIMED_OUT or ABORTED
    error: str | None
    cause: str | None
    label: str | None
    confidence: float | None
    inferences: tuple[float, ...] | None
    started_at: datetime
    stopped_at: datetime
    output: Mapping[str, Any] | None
    record: Mapping[str, Any]

    @property
    def outcome(self) -> str:
        """`classified`, `review` (not certain), `rejected` (bad picture or event), `skipped`, `broken`."""
        if self.status == "SUCCEEDED":
            return "skipped" if "skipped" in self.record else "classified"
        if self.error == LOW_CONFIDENCE:
            return "review"
        return "rejected" if self.error in REJECTIONS else "broken"

    @property
    def seconds(self) -> float:
        return (self.stopped_at - self.started_at).total_seconds()

    @property
    def reason(self) -> str:
        """Why it failed, in one line; empty for a success."""
        text = self.record.get("reason") or self.cause or ""
        return " ".join(str(text).split())


def read_execution(key: str, description: Mapping[str, Any]) -> Execution:
    """Return the execution that `description` (DescribeExecution's answer) tells of."""
    return build_execution(
        key=key,
        arn=description["executionArn"],
        status=description["status"],
        error=description.get("error"),
        cause=description.get("cause"),
        output=description.get("output"),
        started_at=description["startDate"],
        stopped_at=description["stopDate"],
    )


def build_execution(
    *,
    key: str,
    arn: str,
    status: str,
    error: str | None,
    cause: str | None,
    output: str | None,
    started_at: datetime,
    stopped_at: datetime,
) -> Execution:
    """Return the execution; `output` and `cause` are text, JSON where they hold a record."""
    answer = read_object(output)
    record = answer or read_object(cause) or {}
    scores = record.get("inferences")
    return Execution(
        key=key,
        arn=arn,
        status=status,
        error=error,
        cause=cause,
        label=record.get("label"),
        confidence=record.get("confidence"),
        inferences=tuple(float(score) for score in scores) if scores else None,
        started_at=started_at,
        stopped_at=stopped_at,
        output=answer,
        record=record,
    )


def read_object(text: str | None) -> dict[str, Any] | None:
    """Return the JSON object in `text`, or None where it is none (AWS's own causes are plain text)."""
    try:
        value = json.loads(text or "")
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
