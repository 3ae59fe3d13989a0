"""`scones-ops classify-batch`: a whole prefix of the bucket through the workflow."""

from __future__ import annotations

import argparse
import sys

from tqdm import tqdm

from scones_ops.commands import Subparsers, add_command
from scones_ops.console import say
from scones_ops.data import load_dataset
from scones_ops.errors import WorkflowFailed
from scones_ops.infra import Infrastructure
from scones_ops.settings import Settings
from scones_ops.workflow import BatchResult, classify_prefix

SHOWN_FAILURES = 10
OUTCOMES = ("classified", "review", "rejected", "broken", "skipped")


def register(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "classify-batch",
        "Send every picture under a prefix of the bucket through the workflow, as a Distributed Map.",
        "scones-ops classify-batch incoming/",
        run,
    )
    parser.add_argument("prefix", nargs="?", help="default: the staged test split of the data set")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Classify everything under the prefix; return 0, also where some are for review or rejected.

    Raises WorkflowFailed where pictures broke, after the counts are told.
    """
    outputs = Infrastructure(settings).outputs()
    prefix = args.prefix or default_prefix(settings)
    terminal = sys.stderr.isatty()
    with tqdm(desc="classify", unit="picture", file=sys.stderr, leave=terminal,
              mininterval=0.1 if terminal else 10.0, ascii=not terminal) as bar:  # fmt: skip

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        result = classify_prefix(settings, outputs, prefix, show)
    for line in describe(result):
        say(line)
    say(f"results: s3://{outputs.bucket_name}/{result.manifest_key}")
    broken = [execution for execution in result.executions if execution.outcome == "broken"]
    if broken:
        raise WorkflowFailed(
            f"{len(broken)} of {len(result.executions)} pictures broke, the first with "
            f"{broken[0].error or broken[0].status}: {broken[0].reason}"
        )
    return 0


def default_prefix(settings: Settings) -> str:
    """Return where the test split of the prepared data set is staged."""
    return f"datasets/{load_dataset(settings.dataset_dir).dataset_id}/test/"


def describe(result: BatchResult) -> list[str]:
    """Return lines for people: counts and pictures/s, classes, and the first failures."""
    counts = result.counts
    total = len(result.executions)
    told = ", ".join(f"{counts[name]} {name}" for name in OUTCOMES if name in counts)
    rate = total / result.seconds if result.seconds else 0.0
    lines = [f"{result.prefix}: {total} objects in {result.seconds:.1f} s ({rate:.1f}/s): {told}"]
    labels = [execution.label for execution in result.executions if execution.outcome == "classified"]
    lines += [f"  {label}: {labels.count(label)}" for label in sorted({str(label) for label in labels})]
    failures = [e for e in result.executions if e.outcome in ("rejected", "broken")]
    lines += [f"  {e.key}: {e.error or e.status}: {e.reason}" for e in failures[:SHOWN_FAILURES]]
    if len(failures) > SHOWN_FAILURES:
        lines.append(f"  and {len(failures) - SHOWN_FAILURES} more")
    return lines
