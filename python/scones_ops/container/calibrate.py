"""Scores that mean what they say: the temperature, its error, and what a threshold would let through.

Throughout: `logits` and `probabilities` are `(n, classes)`, `labels` is `(n,)` class indices. numpy only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Of log(temperature), before any data: a network is seldom more than a few times over- or underconfident.
PRIOR_SPREAD = 0.7
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.99)
PICTURES_A_BIN = 20
MOST_BINS = 10
FOLDS = 10


def softmax(logits: Floats, temperature: float = 1.0) -> Floats:
    """Return `(n, classes)` probabilities of `logits / temperature`."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    scaled = scaled - scaled.max(axis=1, keepdims=True)
    exponentials = np.exp(scaled)
    shares: Floats = exponentials / exponentials.sum(axis=1, keepdims=True)
    return shares


def log_loss(probabilities: Floats, labels: Ints) -> float:
    """Return the mean negative log-likelihood in nats."""
    chosen = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(chosen, 1e-12)).mean())


def accuracy(probabilities: Floats, labels: Ints) -> float:
    """Return the share of pictures whose highest score is their label's."""
    return float((probabilities.argmax(axis=1) == labels).mean())


def fit_temperature(logits: Floats, labels: Ints) -> float:
    """Return the temperature that makes `softmax(logits, temperature)` most probable.

    C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On calibration of modern neural networks", ICML 2017, with a
    normal prior on log(temperature) around 0 (PRIOR_SPREAD): validation may hold 80 pictures, all of them
    right, and the likelihood alone would then drive the temperature to 0 and every score to 1.
    """

    def cost(log_temperature: float) -> float:
        loss = log_loss(softmax(logits, float(np.exp(log_temperature))), labels)
        return len(labels) * loss + 0.5 * (log_temperature / PRIOR_SPREAD) ** 2

    grid = np.linspace(np.log(0.1), np.log(10.0), 401)
    best = int(np.argmin([cost(value) for value in grid]))
    fine = np.linspace(grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)], 101)
    return float(np.exp(fine[int(np.argmin([cost(value) for value in fine]))]))


def held_out_probabilities(logits: Floats, labels: Ints, folds: int = FOLDS) -> Floats:
    """Return `(n, classes)` calibrated probabilities, each by a temperature fitted without that picture.

    The calibration error measured on these is honest: measured on the pictures that the temperature was
    fitted on, it would be too small.
    """
    fold = np.arange(len(labels)) % folds
    probabilities = np.empty(logits.shape, dtype=np.float64)
    for k in range(folds):
        held_out = fold == k
        if held_out.any():
            kept = ~held_out
            temperature = fit_temperature(logits[kept], labels[kept]) if kept.any() else 1.0
            probabilities[held_out] = softmax(logits[held_out], temperature)
    return probabilities


def calibration_error(probabilities: Floats, labels: Ints) -> float:
    """Return the expected calibration error: how far confidence and accuracy lie apart, as a share.

    Bins of equal mass rather than equal width, about PICTURES_A_BIN pictures each and MOST_BINS at most: on
    80 pictures the usual 15 bins of equal width hold a few each, and what they measure is mostly chance.
    (The evaluation of the deployed workflow, on more pictures, uses bins of equal width.) Chance alone still
    adds about 0.03 at 80 pictures and 95 % accuracy: a gate must leave room for that.
    K. Nguyen, B. O'Connor, "Posterior calibration and exploratory analysis for NLP models", EMNLP 2015.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    order = np.argsort(confidence, kind="stable")
    bins = int(np.clip(len(labels) // PICTURES_A_BIN, 1, MOST_BINS))
    gaps = [
        len(part) * abs(right[part].mean() - confidence[part].mean()) for part in np.array_split(order, bins)
    ]
    return float(sum(gaps) / len(labels))


def threshold_study(probabilities: Floats, labels: Ints) -> list[dict[str, float | int]]:
    """Return for each of THRESHOLDS: the share decided (coverage) and the errors among those.

    `error` is 0 where nothing is decided; `decided` counts pictures, so that a reader sees how few.
    """
    confidence = probabilities.max(axis=1)
    wrong = probabilities.argmax(axis=1) != labels
    study: list[dict[str, float | int]] = []
    for threshold in THRESHOLDS:
        decided = confidence >= threshold
        count = int(decided.sum())
        error = float(wrong[decided].mean()) if count else 0.0
        study.append(
            {"threshold": threshold, "decided": count, "coverage": count / len(labels), "error": error}
        )
    return study
