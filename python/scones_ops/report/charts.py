"""The charts of what happened: outcomes, classes over time, confidence over time, execution times.

Each function draws one `Chart`; call them, and turn the figures into bytes, inside `style.drawing()`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from scones_ops.evaluation.store import Evaluation, Record
from scones_ops.evaluation.text import NAMES
from scones_ops.report import content
from scones_ops.report.style import ACCENT, HATCHES, INK, MUTED, PAPER, TYPE, WIDTH, class_looks, new_figure

# A class's mark by its hatch: round first, another shape where its colour is used a second time.
MARKERS, LOW_MARKERS = ("o", "s", "D"), ("v", "^", ">")


@dataclass(frozen=True)
class Table:
    """The numbers behind a chart, as text."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Chart:
    """A drawn chart; `name` is its file's name, `alt` says in words what it shows."""

    name: str
    title: str
    caption: str
    alt: str
    figure: Figure
    table: Table


def predictions(evaluation: Evaluation, records: Sequence[Record]) -> Chart:
    """Draw what became of the pictures as bars, stacked by true class."""
    counts = content.outcomes(evaluation, records)
    looks = class_looks(evaluation.classes)
    figure, axes = new_figure(0.75 + 0.32 * len(counts.rows))
    totals = [sum(row) for row in counts.values]
    starts = [0] * len(counts.rows)
    places = range(len(counts.rows))
    for column, name in enumerate(counts.columns):
        widths = [row[column] for row in counts.values]
        colour, hatch = looks[name]
        axes.barh(
            places,
            widths,
            left=starts,
            height=0.66,
            color=colour,
            hatch=hatch,
            edgecolor=MUTED,
            linewidth=0.4,
        )
        starts = [start + width for start, width in zip(starts, widths, strict=True)]
    for place, total in zip(places, totals, strict=True):
        axes.annotate(
            str(total), (total, place), xytext=(4, 0), textcoords="offset points", va="center", color=INK
        )
    axes.set_yticks(places, counts.rows)
    axes.invert_yaxis()
    axes.set_xlim(0, max([*totals, 1]) * 1.12)
    axes.set_xlabel("pictures")
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
    handles = [
        Patch(facecolor=looks[name][0], hatch=looks[name][1], edgecolor=MUTED, linewidth=0.4, label=name)
        for name in counts.columns
    ]
    legend(figure, handles, "true class:")
    said = "; ".join(f"{row} {total}" for row, total in zip(counts.rows, totals, strict=True))
    return Chart(
        "predictions",
        "Predictions",
        "What the workflow made of each picture. The colour is the true class, so a second colour in a bar "
        "shows wrong decisions.",
        f"Bar chart of {len(records)} pictures by outcome, stacked by true class: {said}.",
        figure,
        Table(
            ("outcome", *(f"true {name}" for name in counts.columns), "all"),
            tuple(
                (row, *map(str, values), str(total))
                for row, values, total in zip(counts.rows, counts.values, totals, strict=True)
            ),
        ),
    )


def classes_over_time(evaluation: Evaluation, records: Sequence[Record]) -> Chart:
    """Draw the heatmap of predicted class against time."""
    counts, edges = content.by_time(evaluation, records)
    unit = content.moments(records)[0].unit
    figure, axes = new_figure(1.35 + 0.42 * len(counts.rows))
    heat(axes, counts.values)
    axes.set_yticks(range(len(counts.rows)), counts.rows)
    ticks = [
        tick for tick in MaxNLocator(8, steps=[1, 2, 5, 10]).tick_values(0, edges[-1]) if tick <= edges[-1]
    ]
    axes.set_xticks([tick / edges[1] - 0.5 for tick in ticks], [f"{tick:g}" for tick in ticks])
    axes.set_xlabel(f"time since the first picture ({unit})")
    return Chart(
        "classes-over-time",
        "Classes over time",
        "Predictions of each class in each stretch of the evaluation. Pictures go in shuffled, so the rows "
        "should stay even.",
        f"Heatmap of predicted class against time: {len(counts.rows)} rows, {len(counts.columns)} equal "
        f"stretches of {edges[-1]:.3g} {unit} in all; "
        + "; ".join(
            f"{row} between {min(values)} and {max(values)} a stretch"
            for row, values in zip(counts.rows, counts.values, strict=True)
        )
        + ".",
        figure,
        Table(
            ("time", *counts.rows),
            tuple(
                (name, *(str(row[column]) for row in counts.values))
                for column, name in enumerate(counts.columns)
            ),
        ),
    )


def confidence_over_time(evaluation: Evaluation, records: Sequence[Record]) -> Chart:
    """Draw the confidence of each prediction against time, with the threshold."""
    axis, found = content.moments(records)
    predicted = [moment for moment in found if moment.record.predicted]
    looks = class_looks(evaluation.classes)
    figure, axes = new_figure(2.7)
    for name in evaluation.classes:
        colour, hatch = looks[name]
        for low in (False, True):
            _dots(
                axes,
                [
                    moment
                    for moment in predicted
                    if moment.record.label == name and (moment.record.status == "low_confidence") is low
                ],
                marker=(LOW_MARKERS if low else MARKERS)[HATCHES.index(hatch)], color=colour, alpha=0.85,
                markersize=6 if low else 4.5, markeredgewidth=1.3 if low else 0,
                markerfacecolor="none" if low else colour,
            )  # fmt: skip
    wrong = [moment for moment in predicted if moment.record.wrong]
    _dots(axes, wrong, marker="x", markersize=8, color=INK, markeredgewidth=1.2)
    axes.axhline(evaluation.threshold, color=INK, linewidth=1.2, linestyle=(0, (5, 3)))
    lowest = min([evaluation.threshold, *(m.record.confidence or 0.0 for m in predicted)])
    axes.set_ylim(max(0.0, lowest - 0.05), 1.02)
    axes.set_xlim(-0.02 * (axis.length or 1), 1.02 * (axis.length or 1))
    axes.set_xlabel(f"time since the first picture ({axis.unit})")
    axes.set_ylabel("confidence")
    dot: dict[str, Any] = {"linestyle": "none", "markersize": 6}
    handles = [
        Line2D([], [], marker=MARKERS[HATCHES.index(looks[name][1])], color=looks[name][0], label=name, **dot)
        for name in evaluation.classes
    ]
    handles += [
        Line2D([], [], marker="v", color=MUTED, markerfacecolor="none", label="low confidence", **dot),
        Line2D([], [], marker="x", color=INK, label="wrong", **dot),
        Line2D([], [], color=INK, linestyle=(0, (5, 3)), label=f"threshold {evaluation.threshold:g}"),
    ]
    legend(figure, handles)
    below = sum(moment.record.status == "low_confidence" for moment in predicted)
    return Chart(
        "confidence-over-time",
        "Confidence over time",
        "The score of the predicted class, picture by picture. Below the threshold a person decides.",
        f"Scatter plot of the confidence of {len(predicted)} predictions against time, threshold "
        f"{evaluation.threshold:g}: {below} low confidence, {len(wrong)} wrong.",
        figure,
        Table(
            (f"time ({axis.unit})", "picture", "true class", "predicted", "confidence", "outcome"),
            tuple(
                (
                    f"{moment.at:.2f}",
                    moment.record.key.rsplit("/", 1)[-1],
                    moment.record.true_label,
                    moment.record.label or content.NO_PREDICTION,
                    "-" if moment.record.confidence is None else f"{moment.record.confidence:.4f}",
                    NAMES[moment.record.status],
                )
                for moment in found
            ),
        ),
    )


def execution_times(evaluation: Evaluation, records: Sequence[Record]) -> Chart:
    """Draw the histogram of the time of one execution, with its percentiles."""
    counts, edges = content.durations(records)
    figure, axes = new_figure(3.0)
    axes.bar(
        edges[:-1], counts, width=[high - low for low, high in pairwise(edges)],
        align="edge", color=ACCENT, alpha=0.75, edgecolor=PAPER, linewidth=0.6,
    )  # fmt: skip
    said = "no execution ended"
    if times := evaluation.latency_ms:
        marks = (
            ("median", times.p50, "-"),
            ("90 % within", times.p90, "--"),
            ("99 % within", times.p99, ":"),
        )
        handles = [
            axes.axvline(value, color=INK, linewidth=1.3, linestyle=dash, label=f"{name} {value:.0f} ms")
            for name, value, dash in marks
        ]
        legend(figure, handles)
        said = f"median {times.p50:.0f} ms, 90 % within {times.p90:.0f} ms, 99 % within {times.p99:.0f} ms"
    axes.set_xlabel("time of one execution (ms)")
    axes.set_ylabel("pictures")
    axes.grid(visible=False, axis="x")
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
    return Chart(
        "execution-times",
        "Time of one execution",
        f"From the start of the execution to its end, with up to {evaluation.in_flight} under way at once: "
        "waiting for one another is part of it.",
        f"Histogram of the time of {sum(counts)} executions: {said}.",
        figure,
        Table(
            ("from (ms)", "to (ms)", "pictures"),
            tuple(
                (f"{low:.0f}", f"{high:.0f}", str(count))
                for (low, high), count in zip(pairwise(edges), counts, strict=True)
            ),
        ),
    )


def _dots(axes: Axes, found: Sequence[content.Moment], **look: Any) -> None:
    """Mark the confidence of each of `found` at its time."""
    confidences = [moment.record.confidence or 0.0 for moment in found]
    axes.plot([moment.at for moment in found], confidences, linestyle="none", **look)


def heat(axes: Axes, values: Sequence[Sequence[int]], texts: Sequence[Sequence[str]] | None = None) -> None:
    """Fill `axes` with a grid of cells, the darker the larger, row 0 on top, each with its number or text."""
    peak = max((max(row) for row in values), default=0) or 1
    columns = len(values[0])
    size = TYPE - 0.5 if columns <= 6 else TYPE - 2
    for y, row in enumerate(values):
        for x, value in enumerate(row):
            share = value / peak
            # Opacity, not a colour scale, and never so dark that the number would be lost: one drawing for
            # light and dark paper.
            axes.add_patch(
                Rectangle(
                    (x - 0.47, y - 0.47), 0.94, 0.94, color=ACCENT, alpha=0.06 + 0.54 * share, linewidth=0
                )
            )
            text = texts[y][x] if texts else str(value)
            axes.text(
                x, y, text, ha="center", va="center", size=size, color=INK,
                linespacing=1.35,
            )  # fmt: skip
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(len(values) - 0.5, -0.5)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def legend(figure: Figure, handles: Sequence[Patch | Line2D], title: str | None = None) -> None:
    """Put a legend above the axes, in as many columns as fit, and make the figure higher by its height."""
    longest = max(len(str(handle.get_label())) for handle in handles)
    columns = max(1, min(int((WIDTH * 72 - 16) / (longest * TYPE * 0.58 + 34)), len(handles)))
    rows = math.ceil(len(handles) / columns) + (title is not None)
    figure.set_figheight(figure.get_figheight() + 0.21 * rows)
    figure.legend(
        handles=list(handles), loc="outside upper left", ncols=columns, title=title, alignment="left",
        borderaxespad=0.2, columnspacing=1.2, handletextpad=0.5, title_fontsize=TYPE - 0.5,
    )  # fmt: skip
