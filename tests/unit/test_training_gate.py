"""The gate: the lower bound counts, not the estimate, and confidence must mean what it says."""

from __future__ import annotations

import pytest
from training_parts import facts

from scones_ops.errors import GateNotPassed
from scones_ops.training.gate import Verdict, judge


def judged(metrics: dict[str, float], floor: float = 0.8, ceiling: float = 0.1) -> Verdict:
    return judge(metrics, min_accuracy=floor, max_calibration_error=ceiling)


def test_a_good_model_passes_and_says_what_is_known() -> None:
    verdict = judged(facts(right=76, of=80)["metrics"])
    assert verdict.low == pytest.approx(0.878, abs=0.001)  # Wilson's lower bound for 76 of 80
    assert "0.950" in str(verdict) and "0.878" in str(verdict)


def test_an_estimate_above_the_floor_is_not_enough() -> None:
    with pytest.raises(GateNotPassed, match="GATE_MIN_ACCURACY"):
        judged(facts(right=76, of=80)["metrics"], floor=0.9)


def test_a_few_pictures_prove_little() -> None:
    with pytest.raises(GateNotPassed):
        judged(facts(right=8, of=8)["metrics"])
    judged(facts(right=80, of=80)["metrics"])


@pytest.mark.parametrize("error", [0.1, 0.3, float("nan")])
def test_scores_that_do_not_mean_what_they_say_do_not_pass(error: float) -> None:
    with pytest.raises(GateNotPassed, match="GATE_MAX_CALIBRATION_ERROR") as caught:
        judged(facts(calibration_error=error)["metrics"])
    assert "\n" not in str(caught.value)


def test_an_algorithm_that_measures_no_calibration_is_judged_by_accuracy() -> None:
    verdict = judged({"validation_accuracy": 0.95, "validation_pictures": 80})
    assert verdict.calibration_error is None and "not measured" in str(verdict)
