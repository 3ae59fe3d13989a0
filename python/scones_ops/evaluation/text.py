"""What the terminal shows of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence

from scones_ops.errors import WorkflowFailed
from scones_ops.evaluation.metrics import Share
from scones_ops.evaluation.store import Evaluation

NAMES = {
    "decided": "decided",
    "low_confidence": "low confidence",
    "rejected": "rejected",
    "broken": "broken",
}


def summary(evaluation: Evaluation) -> str:
    """Return the evaluation as a few aligned lines; says on each where the data are generated."""
    data = f"data set {evaluation.dataset_id} ({evaluation.source})"
    mark = ", generated data" if evaluation.generated else ""
    accounted = (
        "all accounted for"
        if evaluation.accounted == evaluation.pictures
        else f"only {evaluation.accounted} accounted for"
    )
    lines = [f"model {evaluation.model} on {data}{mark}"]
    lines.append(_row("test pictures", str(evaluation.pictures), accounted))
    lines += [_row(f"  {NAMES[name]}", str(count)) for name, count in evaluation.counts.items()]
    lines.append(_row("accuracy", *_share(evaluation.accuracy), mark))
    lines.append(
        _row("automated", *_share(evaluation.coverage), f" at threshold {evaluation.threshold:g}{mark}")
    )
    lines.append(_row("errors among those", *_share(evaluation.error_at_threshold), mark))
    lines.append(_row("calibration error", percent(evaluation.calibration.ece), f"expected (ECE){mark}"))
    if times := evaluation.latency_ms:
        lines.append(
            _row(
                "one execution", f"{times.p50:.0f} ms",
                f"median; p90 {times.p90:.0f} ms, p99 {times.p99:.0f} ms, {evaluation.in_flight} at once",
            )
        )  # fmt: skip
    return "\n".join([*lines, "", *_confusion(evaluation.classes, evaluation.confusion)])


def require_complete(evaluation: Evaluation) -> None:
    """Raise WorkflowFailed where executions broke or never came to an end."""
    broken = evaluation.counts["broken"]
    missing = evaluation.pictures - evaluation.accounted
    if broken or missing:
        raise WorkflowFailed(
            f"of {evaluation.pictures} pictures {broken} broke and {missing} never came to an end: "
            "see the failed executions of the state machine, then run `make evaluate` again"
        )


def percent(value: float | None) -> str:
    """Return a share as `95.5 %`, or `-` where there is none."""
    return "-" if value is None else f"{100 * value:.1f} %"


def interval(share: Share) -> str:
    """Return the bounds of a share as `91.7-97.6 %`."""
    return f"{100 * share.low:.1f}\N{EN DASH}{100 * share.high:.1f} %"


def _share(share: Share) -> tuple[str, str]:
    return percent(share.value), f"{share.count} of {share.of}, 95 % interval {interval(share)}"


def _row(name: str, value: str, *notes: str) -> str:
    return f"  {name:<20}{value:>9}   {''.join(notes)}".rstrip()


def _confusion(classes: Sequence[str], counts: Sequence[Sequence[int]]) -> list[str]:
    """Return the confusion matrix as aligned lines."""
    corner = "true \\ predicted"
    first = max(len(corner), *map(len, classes))
    widths = [max(len(name), 5) for name in classes]
    head = "  ".join(f"{name:>{width}}" for name, width in zip(classes, widths, strict=True))
    rows = [
        f"  {name:<{first}}  "
        + "  ".join(f"{count:>{width}}" for count, width in zip(row, widths, strict=True))
        for name, row in zip(classes, counts, strict=True)
    ]
    return [f"  {corner:<{first}}  {head}", *rows]
