"""The charts of how good the answers are: confusion matrix, reliability diagram, risk-coverage curve.

Each function draws one `Chart`; call them, and turn the figures into bytes, inside `style.drawing()`.
"""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from scones_ops.evaluation.store import Evaluation
from scones_ops.evaluation.text import interval, percent
from scones_ops.report.charts import Chart, Table, heat, legend
from scones_ops.report.style import ACCENT, MUTED, VERMILLION, WIDTH, new_figure


def confusion(evaluation: Evaluation) -> Chart:
    """Draw the confusion matrix: counts, and the share of the row where there is room."""
    classes, counts = evaluation.classes, evaluation.confusion
    roomy = len(classes) <= 5
    totals = [sum(row) for row in counts]
    texts = [
        [f"{count}\n{100 * count / (total or 1):.0f} %" if roomy else str(count) for count in row]
        for row, total in zip(counts, totals, strict=True)
    ]
    figure, axes = new_figure(1.2 + (0.62 if roomy else 0.38) * len(classes) + (0 if roomy else 0.5))
    heat(axes, counts, texts)
    turned: dict[str, Any] = {}
    if len(classes) > 3:
        turned = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(classes)), classes, **turned)
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    right = sum(counts[place][place] for place in range(len(classes)))
    share = evaluation.accuracy
    return Chart(
        "confusion-matrix",
        "Confusion matrix",
        "All pictures with a prediction, whether or not it reached the threshold."
        + (" Per cent of the true class." if roomy else ""),
        f"Confusion matrix of {share.of} predictions: {right} on the diagonal, "
        f"accuracy {percent(share.value)}; "
        + "; ".join(
            f"true {name}: "
            + ", ".join(f"{count} as {other}" for other, count in zip(classes, row, strict=True))
            for name, row in zip(classes, counts, strict=True)
        )
        + ".",
        figure,
        Table(
            ("true \\ predicted", *classes, "all"),
            tuple(
                (name, *map(str, row), str(total))
                for name, row, total in zip(classes, counts, totals, strict=True)
            ),
        ),
    )


def reliability(evaluation: Evaluation) -> Chart:
    """Draw accuracy against confidence in bins, with 95 % intervals, above the number of pictures in each
    bin."""
    found = [item for item in evaluation.calibration.bins if item.count]
    figure = Figure(figsize=(WIDTH, 3.7))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    left = min((item.low for item in found), default=0.0)
    upper.plot([left, 1], [left, 1], color=MUTED, linewidth=1.2, linestyle=(0, (5, 3)))
    for item in found:
        value = item.accuracy.value or 0.0
        upper.errorbar(
            [item.confidence or 0.0], [value],
            yerr=[[max(0.0, value - item.accuracy.low)], [max(0.0, item.accuracy.high - value)]],
            fmt="o", color=ACCENT, markersize=6, capsize=3, linewidth=1.4,
        )  # fmt: skip
        lower.bar(
            item.low, item.count, width=(item.high - item.low) * 0.94, align="edge", color=ACCENT, alpha=0.75
        )
    upper.set_ylim(-0.02, 1.03)
    upper.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    upper.set_ylabel("accuracy")
    lower.set_ylabel("pictures")
    lower.set_xlabel("confidence")
    lower.grid(visible=False, axis="x")
    lower.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    lower.set_xlim(left, 1.0)
    lower.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    figure.align_ylabels()
    legend(
        figure,
        [
            Line2D([], [], marker="o", color=ACCENT, label="accuracy with 95 % interval"),
            Line2D([], [], color=MUTED, linestyle=(0, (5, 3)), label="perfect"),
        ],
    )
    ece = evaluation.calibration.ece
    return Chart(
        "reliability",
        "Reliability",
        f"Whether a confidence of 0.9 is right nine times in ten: dots on the dashed line are. Expected "
        f"calibration error {percent(ece)}, over {len(evaluation.calibration.bins)} bins.",
        f"Reliability diagram, expected calibration error {percent(ece)}: "
        + "; ".join(
            f"confidence {item.confidence:.2f}, accuracy {percent(item.accuracy.value)} of {item.count}"
            for item in found
        )
        + ".",
        figure,
        Table(
            ("confidence", "pictures", "mean confidence", "accuracy", "95 % interval"),
            tuple(
                (
                    f"{item.low:.3f}\N{EN DASH}{item.high:.3f}",
                    str(item.count),
                    f"{item.confidence:.4f}",
                    percent(item.accuracy.value),
                    interval(item.accuracy),
                )
                for item in found
            ),
        ),
    )


def risk_coverage(evaluation: Evaluation) -> Chart:
    """Draw the share of errors among the decided pictures against the share decided, the threshold marked."""
    points = evaluation.risk_coverage
    coverages = [point.coverage for point in points]
    figure, axes = new_figure(2.9)
    axes.fill_between(
        coverages, [p.low for p in points], [p.high for p in points], step="post", color=ACCENT, alpha=0.15,
        linewidth=0,
    )  # fmt: skip
    axes.step(coverages, [point.risk for point in points], where="post", color=ACCENT, linewidth=1.8)
    handles = [
        Line2D([], [], color=ACCENT, linewidth=1.8, label="errors, with 95 % band"),
    ]
    decided, error = evaluation.coverage.value, evaluation.error_at_threshold.value
    said = f"no picture reaches the threshold {evaluation.threshold:g}"
    if decided is not None and error is not None:
        axes.plot([decided], [error], "D", color=VERMILLION, markersize=8, zorder=3)
        said = (
            f"at threshold {evaluation.threshold:g}, {percent(decided)} decided with {percent(error)} errors"
        )
        mark: dict[str, Any] = {"color": VERMILLION, "marker": "D", "linestyle": "none", "markersize": 7}
        handles.append(Line2D([], [], label=f"threshold {evaluation.threshold:g}", **mark))
    # The band of the first few pictures reaches far up and would flatten the rest.
    top = max([p.risk for p in points] + [p.high for p in points if p.coverage >= 0.3] + [0.02])
    axes.set_ylim(-0.02 * top, min(1.02, 1.1 * top))
    axes.set_xlim(0, 1.01)
    for ticks in (axes.xaxis, axes.yaxis):
        ticks.set_major_formatter(PercentFormatter(1, symbol=" %"))
        ticks.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.set_xlabel("pictures decided without a person")
    axes.set_ylabel("errors among those")
    legend(figure, handles)
    return Chart(
        "risk-coverage",
        "Risk and coverage",
        "What another threshold would buy: the fewer pictures the workflow decides by itself, the fewer "
        "errors there should be among them.",
        f"Curve of the share of errors against the share of pictures decided: {said}; "
        f"deciding all, {percent(points[-1].risk)} errors.",
        figure,
        Table(
            ("threshold", "decided", "errors among those", "95 % interval"),
            tuple(
                (
                    f"{point.threshold:.4f}",
                    percent(point.coverage),
                    percent(point.risk),
                    f"{100 * point.low:.1f}\N{EN DASH}{100 * point.high:.1f} %",
                )
                for point in points
            ),
        ),
    )
