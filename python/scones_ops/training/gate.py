"""The gate between training and deployment: is this model good enough to replace the one that serves?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from scones_ops.errors import GateNotPassed
from scones_ops.evaluation.metrics import wilson


@dataclass(frozen=True)
class Verdict:
    """Validation accuracy, the lower end of its 95 % interval; calibration error, None if not measured."""

    accuracy: float
    low: float
    pictures: int
    calibration_error: float | None

    def __str__(self) -> str:
        calibration = "not measured" if self.calibration_error is None else f"{self.calibration_error:.3f}"
        return (
            f"validation accuracy {self.accuracy:.3f} (at least {self.low:.3f} with 95 % confidence, "
            f"{self.pictures} pictures), calibration error {calibration}"
        )


def judge(metrics: Mapping[str, float], *, min_accuracy: float, max_calibration_error: float) -> Verdict:
    """Return the verdict on a model with these validation metrics.

    Accuracy must beat the floor with the lower end of its 95 % Wilson interval, not with its estimate: 76 of
    80 right is an estimate of 0.95, but shows no more than 0.88. The calibration error is the training
    script's `calibration_error` on held-out temperatures (see container/calibrate.py for the estimator and
    its bias on few pictures).
    Raises GateNotPassed, naming the number that failed.
    """
    pictures = round(metrics["validation_pictures"])
    right = round(metrics["validation_accuracy"] * pictures)
    calibration_error = metrics.get("validation_calibration_error")
    verdict = Verdict(
        metrics["validation_accuracy"], wilson(right, pictures).low, pictures, calibration_error
    )
    stays = "the model that was handed over before stays"
    if not verdict.low > min_accuracy:
        raise GateNotPassed(
            f"{verdict}: the lower bound must beat {min_accuracy} (GATE_MIN_ACCURACY); {stays}"
        )
    if calibration_error is not None and not (
        math.isfinite(calibration_error) and calibration_error < max_calibration_error
    ):
        raise GateNotPassed(
            f"{verdict}: the calibration error must be below {max_calibration_error} "
            f"(GATE_MAX_CALIBRATION_ERROR); {stays}"
        )
    return verdict
