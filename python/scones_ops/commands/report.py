"""`scones-ops report`: the evaluation as one HTML page."""

from __future__ import annotations

import argparse

from scones_ops import console
from scones_ops.commands import Subparsers, add_command
from scones_ops.settings import Settings


def register(subparsers: Subparsers) -> None:
    add_command(
        subparsers,
        "report",
        "write the last evaluation as one HTML page that opens offline, its charts as PNG beside it",
        "scones-ops report",
        run,
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    from scones_ops.evaluation import evaluation_dir, read_evaluation
    from scones_ops.report import write_report

    page = write_report(settings)
    evaluation, _ = read_evaluation(evaluation_dir(settings))
    mark = " (generated data)" if evaluation.generated else ""
    console.say(f"report{mark}: {page}")
    return 0
