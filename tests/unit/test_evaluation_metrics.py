"""The measures: values worked out by hand, and properties that must hold whatever the numbers."""

import math

import numpy as np
import pytest

from scones_ops.evaluation import metrics

Z = 1.959963984540054  # the 97.5 % point of the normal distribution


def test_wilson_of_eight_in_ten_is_the_textbook_interval() -> None:
    share = metrics.wilson(8, 10)
    assert share.value == 0.8
    assert share.low == pytest.approx(0.4901625, abs=1e-6)
    assert share.high == pytest.approx(0.9433178, abs=1e-6)


def test_wilson_at_the_ends_stays_within_zero_and_one() -> None:
    none, all_of_them = metrics.wilson(0, 10), metrics.wilson(10, 10)
    assert (none.low, all_of_them.high) == (0.0, 1.0)
    assert none.high == pytest.approx(Z * Z / (10 + Z * Z))
    assert all_of_them.low == pytest.approx(10 / (10 + Z * Z))


def test_wilson_bounds_are_the_shares_a_normal_test_just_does_not_reject() -> None:
    for count, of in [(1, 7), (45, 50), (191, 200), (999, 1000)]:
        share = metrics.wilson(count, of)
        for bound in (share.low, share.high):
            assert abs(count / of - bound) == pytest.approx(Z * math.sqrt(bound * (1 - bound) / of))


def test_wilson_narrows_with_more_trials_and_widens_with_more_confidence() -> None:
    def width(share: metrics.Share) -> float:
        return share.high - share.low

    assert width(metrics.wilson(90, 100)) < width(metrics.wilson(9, 10))
    assert width(metrics.wilson(90, 100, 0.99)) > width(metrics.wilson(90, 100, 0.95))


def test_wilson_without_trials_rules_nothing_out() -> None:
    assert metrics.wilson(0, 0) == metrics.Share(None, 0.0, 1.0, 0, 0)


@pytest.mark.parametrize(("count", "of"), [(-1, 3), (4, 3), (1, 0)])
def test_wilson_refuses_what_is_no_share(count: int, of: int) -> None:
    with pytest.raises(ValueError, match="not a share"):
        metrics.wilson(count, of)


LABELS = np.array([0, 0, 0, 1, 1])
PREDICTIONS = np.array([0, 0, 1, 1, 0])


def test_accuracy_counts_predictions_that_equal_the_label() -> None:
    assert metrics.accuracy(LABELS, PREDICTIONS) == metrics.wilson(3, 5)


def test_coverage_and_error_count_the_accepted_only() -> None:
    accepted = np.array([True, True, True, False, False])
    assert metrics.coverage(accepted) == metrics.wilson(3, 5)
    assert metrics.error_among(LABELS, PREDICTIONS, accepted) == metrics.wilson(1, 3)


def test_error_without_an_accepted_picture_has_no_value() -> None:
    assert metrics.error_among(LABELS, PREDICTIONS, np.zeros(5, dtype=bool)).value is None


def test_confusion_matrix_has_true_classes_as_rows_and_predicted_ones_as_columns() -> None:
    assert metrics.confusion_matrix(LABELS, PREDICTIONS, 3).tolist() == [[2, 1, 0], [1, 1, 0], [0, 0, 0]]


def test_calibration_error_is_the_mean_gap_weighted_by_the_bins() -> None:
    # Two in (0.9, 1] with one right: gap |0.5 - 0.95|. Two in (0.5, 0.6] both right: gap |1 - 0.55|.
    confidences = np.array([0.95, 0.95, 0.55, 0.55])
    found = metrics.calibration(confidences, np.array([True, False, True, True]), bins=10)
    assert found.ece == pytest.approx(0.5 * 0.45 + 0.5 * 0.45)
    assert [item.count for item in found.bins] == [0, 0, 0, 0, 0, 2, 0, 0, 0, 2]
    assert found.bins[9].confidence == pytest.approx(0.95)
    assert found.bins[9].accuracy.value == 0.5
    assert found.bins[0].confidence is None


def test_calibration_bins_are_closed_above_and_hold_every_picture() -> None:
    edges = np.array([0.0, 0.2, 0.4, 1.0])
    found = metrics.calibration(edges, np.ones(4, dtype=bool), bins=5)
    assert [item.count for item in found.bins] == [2, 1, 0, 0, 1]


def test_scores_that_keep_their_word_have_no_calibration_error() -> None:
    confidences = np.array([0.75] * 4 + [1.0] * 4)
    correct = np.array([True, True, True, False] + [True] * 4)
    assert metrics.calibration(confidences, correct).ece == pytest.approx(0)


def test_risk_coverage_of_four_pictures_takes_ties_together() -> None:
    confidences = np.array([0.8, 0.9, 0.6, 0.8])
    correct = np.array([False, True, True, True])
    found = metrics.risk_coverage(confidences, correct)
    assert [(point.threshold, point.coverage, point.risk) for point in found] == [
        (0.9, 0.25, 0.0),
        (0.8, 0.75, pytest.approx(1 / 3)),
        (0.6, 1.0, 0.25),
    ]


def test_risk_coverage_agrees_with_counting_at_each_threshold() -> None:
    rng = np.random.default_rng(5)
    confidences = rng.integers(50, 100, 300) / 100
    correct = rng.random(300) < confidences
    found = metrics.risk_coverage(confidences, correct)
    assert [point.coverage for point in found] == sorted({point.coverage for point in found})
    assert found[-1].coverage == 1.0
    for point in found:
        accepted = confidences >= point.threshold
        assert point.coverage == pytest.approx(accepted.mean())
        assert point.risk == pytest.approx((~correct[accepted]).mean())
        assert point.low <= point.risk <= point.high


def test_latency_percentiles_interpolate_between_the_nearest_two() -> None:
    found = metrics.latency(np.array([40.0, 10.0, 30.0, 20.0]))
    assert found is not None
    assert (found.p50, found.p90, found.p99) == pytest.approx((25.0, 37.0, 39.7))


def test_latency_of_nothing_is_nothing() -> None:
    assert metrics.latency(np.array([])) is None
