"""Temperature, calibration error and threshold study, on scores whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from scones_ops.container import calibrate
from scones_ops.container.calibrate import Floats, Ints


def true_scores(count: int, seed: int = 0) -> tuple[Floats, Ints]:
    """Logits whose softmax is the probability that the labels were really drawn with."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (count, 2))
    shares = calibrate.softmax(logits)
    labels = (rng.random(count) < shares[:, 1]).astype(np.int64)
    return logits, labels


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_overconfidence_and_underconfidence(factor: float) -> None:
    logits, labels = true_scores(4000)
    assert calibrate.fit_temperature(logits * factor, labels) == pytest.approx(factor, rel=0.1)


def test_all_right_on_few_pictures_does_not_make_every_score_one() -> None:
    logits = np.tile([2.0, 0.0], (80, 1))
    labels = np.zeros(80, dtype=np.int64)
    temperature = calibrate.fit_temperature(logits, labels)
    assert 0.2 < temperature < 1
    assert calibrate.softmax(logits, temperature).max() < 0.9999


def test_held_out_scores_change_no_decision_and_are_distributions() -> None:
    logits, labels = true_scores(83)
    shares = calibrate.held_out_probabilities(logits * 2, labels)
    assert np.array_equal(shares.argmax(1), logits.argmax(1))
    assert np.allclose(shares.sum(1), 1)


def test_scores_that_mean_what_they_say_have_a_small_error() -> None:
    logits, labels = true_scores(4000)
    assert calibrate.calibration_error(calibrate.softmax(logits), labels) < 0.03
    assert calibrate.calibration_error(calibrate.softmax(logits * 4), labels) > 0.07


def test_always_certain_and_right_half_of_the_time_is_an_error_of_a_half() -> None:
    shares = np.tile([1.0, 0.0], (40, 1))
    assert calibrate.calibration_error(shares, np.arange(40) % 2) == pytest.approx(0.5)


def test_a_handful_of_pictures_still_has_an_error() -> None:
    shares = np.array([[0.8, 0.2], [0.8, 0.2], [0.8, 0.2]])
    assert calibrate.calibration_error(shares, np.array([0, 0, 1])) == pytest.approx(0.8 - 2 / 3)


def test_a_higher_threshold_decides_less() -> None:
    logits, labels = true_scores(500)
    study = calibrate.threshold_study(calibrate.softmax(logits), labels)
    coverage = [row["coverage"] for row in study]
    assert coverage[0] == 1 and coverage == sorted(coverage, reverse=True)
    assert study[-1]["error"] < study[0]["error"]


def test_a_threshold_that_nothing_reaches_has_no_error() -> None:
    study = calibrate.threshold_study(np.tile([0.6, 0.4], (5, 1)), np.zeros(5, dtype=np.int64))
    assert study[-1] == {"threshold": 0.99, "decided": 0, "coverage": 0.0, "error": 0.0}


def test_huge_logits_do_not_overflow() -> None:
    assert calibrate.softmax(np.array([[1e4, -1e4]])).tolist() == [[1.0, 0.0]]
