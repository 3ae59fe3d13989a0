"""The measures of an evaluation: arrays in, numbers out. No files, no network.

Throughout: `labels` and `predictions` are `(n,)` class indices, `confidences` the `(n,)` score of the
predicted class in [0, 1], `correct` and `accepted` `(n,)` booleans.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

CALIBRATION_BINS = 15  # the number Guo et al. report with


@dataclass(frozen=True)
class Share:
    """`count` of `of`, as a share with its confidence interval; `value` is None where `of` is 0."""

    value: float | None
    low: float
    high: float
    count: int
    of: int


@dataclass(frozen=True)
class Bin:
    """The pictures whose confidence lies in (`low`, `high`]; means are None where there are none."""

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: Share


@dataclass(frozen=True)
class Calibration:
    """Expected calibration error (a share) and the bins it is summed over."""

    ece: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class RiskPoint:
    """At one threshold: the share decided (coverage) and the share of errors among those (risk)."""

    threshold: float
    coverage: float
    risk: float
    low: float
    high: float


@dataclass(frozen=True)
class Latency:
    """Percentiles of the time of one execution, in milliseconds."""

    p50: float
    p90: float
    p99: float


def wilson(count: int, of: int, confidence: float = 0.95) -> Share:
    """Return `count / of` with the Wilson score interval.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927):
    the shares that a two-sided normal test of `count` successes in `of` trials does not reject,
    (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n) with p = count / of.
    With no trials every share remains possible: [0, 1].
    Raises ValueError unless 0 <= count <= of.
    """
    if not 0 <= count <= of:
        raise ValueError(f"{count} of {of} is not a share")
    if of == 0:
        return Share(None, 0.0, 1.0, 0, 0)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = count / of
    centre = share + z * z / (2 * of)
    half = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    scale = 1 + z * z / of
    # At 0 and `of` successes the bound is the share itself; rounding must not push it past.
    low = 0.0 if count == 0 else (centre - half) / scale
    high = 1.0 if count == of else (centre + half) / scale
    return Share(share, low, high, count, of)


def accuracy(labels: Ints, predictions: Ints) -> Share:
    """Return the share of predictions that equal the label, with its 95 % interval."""
    return wilson(int(np.sum(labels == predictions)), len(labels))


def coverage(accepted: Bools) -> Share:
    """Return the share of pictures decided without a person, with its 95 % interval."""
    return wilson(int(np.sum(accepted)), len(accepted))


def error_among(labels: Ints, predictions: Ints, accepted: Bools) -> Share:
    """Return the share of wrong predictions among the accepted ones, with its 95 % interval."""
    return wilson(int(np.sum((labels != predictions) & accepted)), int(np.sum(accepted)))


def confusion_matrix(labels: Ints, predictions: Ints, classes: int) -> Ints:
    """Return the `(classes, classes)` counts: rows are true classes, columns predicted ones."""
    flat = np.bincount(labels * classes + predictions, minlength=classes * classes)
    return flat.reshape(classes, classes).astype(np.int64)


def calibration(confidences: Floats, correct: Bools, bins: int = CALIBRATION_BINS) -> Calibration:
    """Return the expected calibration error and its `bins` bins of equal width over (0, 1].

    C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On calibration of modern neural networks", ICML 2017, eq. 3:
    the sum over bins of |bin| / n · |accuracy - mean confidence|. A confidence of 0 falls into the first bin.
    It is biased upwards where bins hold few pictures. 0 where there are no pictures.
    """
    upper = np.arange(1, bins + 1) / bins
    where = np.searchsorted(upper, confidences, side="left").clip(0, bins - 1)
    found, gap = [], 0.0
    for index in range(bins):
        inside = where == index
        count = int(inside.sum())
        right = wilson(int(correct[inside].sum()), count)
        mean = float(confidences[inside].mean()) if count else None
        if mean is not None and right.value is not None:
            gap += count * abs(right.value - mean)
        found.append(Bin(index / bins, float(upper[index]), count, mean, right))
    return Calibration(gap / len(confidences) if len(confidences) else 0.0, tuple(found))


def risk_coverage(confidences: Floats, correct: Bools) -> tuple[RiskPoint, ...]:
    """Return the risk-coverage curve: a point for each distinct confidence used as threshold, highest first.

    Y. Geifman, R. El-Yaniv, "Selective classification for deep neural networks", NeurIPS 2017: coverage is
    the share of pictures with confidence >= threshold, (empirical) risk the share of errors among those.
    `low` and `high` are the 95 % Wilson bounds of the risk at that point.
    """
    thresholds, counts = np.unique(confidences, return_counts=True)
    order = np.argsort(-confidences, kind="stable")
    errors = np.concatenate([[0], np.cumsum(~correct[order])])
    points = []
    taken = 0
    for threshold, count in zip(thresholds[::-1], counts[::-1], strict=True):
        taken += int(count)
        risk = wilson(int(errors[taken]), taken)
        assert risk.value is not None  # taken >= 1
        points.append(RiskPoint(float(threshold), taken / len(confidences), risk.value, risk.low, risk.high))
    return tuple(points)


def latency(durations_ms: Floats) -> Latency | None:
    """Return the median, 90th and 99th percentile in milliseconds; None where there are no durations.

    Linear interpolation between order statistics: type 7 of R. Hyndman, Y. Fan, "Sample quantiles in
    statistical packages", The American Statistician 50 (1996).
    """
    if len(durations_ms) == 0:
        return None
    p50, p90, p99 = np.percentile(durations_ms, [50, 90, 99], method="linear")
    return Latency(float(p50), float(p90), float(p99))
