"""What the charts show, as plain numbers: counts by outcome, by time, by duration. Drawn and tabled
elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np

from scones_ops.evaluation.metrics import Share, coverage, error_among
from scones_ops.evaluation.store import Evaluation, Record
from scones_ops.evaluation.text import NAMES

TIME_BINS = 10
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
NO_PREDICTION = "no prediction"


@dataclass(frozen=True)
class Counts:
    """A table of counts: `values[row][column]`."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class TimeAxis:
    """Time since the first picture: `scale` units of `unit` ("s", "min" or "h") a second."""

    unit: str
    scale: float
    length: float  # of the whole evaluation, in `unit`


@dataclass(frozen=True)
class Moment:
    """A picture's place in time: `at` units after the first picture went in, when it was decided."""

    at: float
    record: Record


@dataclass(frozen=True)
class Choice:
    """What a threshold would do: the share decided, and the errors among those."""

    threshold: float
    chosen: bool
    coverage: Share
    error: Share


def outcomes(evaluation: Evaluation, records: Sequence[Record]) -> Counts:
    """Return what became of the pictures (rows) by true class (columns); every record is in one cell.

    Broken pictures have a row only where there are some.
    """
    names = {name: f"decided: {name}" for name in evaluation.classes}
    rows = [*names.values(), NAMES["low_confidence"], NAMES["rejected"]]
    if evaluation.counts["broken"]:
        rows.append(NAMES["broken"])
    cells = {(row, column): 0 for row in rows for column in evaluation.classes}
    for record in records:
        decided = record.status == "decided" and record.label
        row = names[record.label or ""] if decided else NAMES[record.status]
        cells[row, record.true_label] += 1
    values = tuple(tuple(cells[row, column] for column in evaluation.classes) for row in rows)
    return Counts(tuple(rows), evaluation.classes, values)


def moments(records: Sequence[Record]) -> tuple[TimeAxis, tuple[Moment, ...]]:
    """Return the records with an end, in the order they ended, on an axis of time since the first start."""
    ended = sorted(
        (datetime.fromisoformat(record.stopped_at), record.key, record)
        for record in records
        if record.stopped_at
    )
    if not ended:
        return TimeAxis("s", 1.0, 0.0), ()
    starts = [datetime.fromisoformat(record.started_at) for record in records if record.started_at]
    first = min([*starts, ended[0][0]])
    seconds = (ended[-1][0] - first).total_seconds()
    unit, scale = ("s", 1.0) if seconds < 180 else ("min", 1 / 60) if seconds < 10800 else ("h", 1 / 3600)
    found = tuple(Moment((at - first).total_seconds() * scale, record) for at, _, record in ended)
    return TimeAxis(unit, scale, seconds * scale), found


def by_time(evaluation: Evaluation, records: Sequence[Record]) -> tuple[Counts, tuple[float, ...]]:
    """Return predicted class (rows) by time (columns), and the edges of the columns in the axis's unit."""
    axis, found = moments(records)
    bins = max(1, min(TIME_BINS, len(found)))
    edges = np.linspace(0.0, axis.length or 1.0, bins + 1)
    rows = [*evaluation.classes]
    if any(not moment.record.predicted for moment in found):
        rows.append(NO_PREDICTION)
    values = np.zeros((len(rows), bins), dtype=int)
    for moment in found:
        column = min(int(np.searchsorted(edges, moment.at, side="right")) - 1, bins - 1)
        values[rows.index(moment.record.label or NO_PREDICTION), column] += 1
    columns = tuple(f"{low:.3g}\N{EN DASH}{high:.3g} {axis.unit}" for low, high in pairwise(edges))
    counts = tuple(tuple(int(count) for count in row) for row in values)
    return Counts(tuple(rows), columns, counts), tuple(float(edge) for edge in edges)


def durations(records: Sequence[Record]) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return the counts of execution times in at most 20 equal bins, and the bins' edges in milliseconds."""
    times = np.array([record.duration_ms for record in records if record.duration_ms is not None])
    if len(times) == 0:
        return (), ()
    bins = int(np.clip(np.ceil(np.sqrt(len(times))), 1, 20))
    counts, edges = np.histogram(times, bins=bins)
    return tuple(int(count) for count in counts), tuple(float(edge) for edge in edges)


def choices(evaluation: Evaluation, records: Sequence[Record]) -> tuple[Choice, ...]:
    """Return what round thresholds and the chosen one do on these pictures, lowest first."""
    predicted = [record for record in records if record.predicted]
    confidences = np.array([record.confidence for record in predicted], dtype=np.float64)
    wrong = np.array([record.wrong for record in predicted], dtype=np.int64)
    right = np.zeros_like(wrong)
    found = []
    for threshold in sorted({*THRESHOLDS, evaluation.threshold}):
        accepted = confidences >= threshold
        found.append(
            Choice(
                threshold,
                threshold == evaluation.threshold,
                coverage(accepted),
                error_among(right, wrong, accepted),
            )
        )
    return tuple(found)


def misclassified(records: Sequence[Record]) -> tuple[Record, ...]:
    """Return the wrong predictions, the most confident first: those cost most."""
    return tuple(sorted((r for r in records if r.wrong), key=lambda r: (-(r.confidence or 0.0), r.key)))


def least_confident(records: Sequence[Record]) -> tuple[Record, ...]:
    """Return the right predictions that the workflow was least sure of, the least sure first."""
    right = (r for r in records if r.predicted and not r.wrong)
    return tuple(sorted(right, key=lambda r: (r.confidence or 0.0, r.key)))
