"""Filter classes: lets through the classes whose score reaches the threshold."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from shared.errors import EventInvalid, ThresholdConfidenceNotMet
from shared.events import is_score, read_body


def lambda_handler(event: object, context: object) -> dict[str, Any]:
    """Return `{statusCode, body: {inferences}}`: 1.0 where the score reaches the threshold, else 0.0.

    Raises EventInvalid, ThresholdConfidenceNotMet.
    """
    scores = read_scores(read_body(event))
    threshold = read_threshold(os.environ["THRESHOLD"])
    filtered = [1.0 if score >= threshold else 0.0 for score in scores]
    if not any(filtered):
        raise ThresholdConfidenceNotMet(
            f"no class reaches the threshold {threshold}: the best score is {max(scores)}"
        )
    return {"statusCode": 200, "body": {"inferences": filtered}}


def read_scores(body: Mapping[str, Any]) -> list[float]:
    """Return the scores of the event, one a class, each from 0 to 1. Raises EventInvalid."""
    scores = body.get("inferences")
    if not isinstance(scores, list) or not scores:
        raise EventInvalid("inferences is missing or empty: send one score a class")
    wrong = [score for score in scores if not is_score(score)]
    if wrong:
        raise EventInvalid(f"inferences holds {wrong[0]!r}: each score is a number from 0 to 1")
    return scores


def read_threshold(text: str) -> float:
    """Return the threshold in `text`. Raises ValueError: a fault of the deployment, not of the event."""
    threshold = float(text)
    if not 0 < threshold <= 1:
        raise ValueError(f"THRESHOLD={text} cannot be used: set a number above 0 and at most 1")
    return threshold
