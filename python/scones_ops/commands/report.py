"""`scones-ops report`: the evaluation as one HTML page."""

from __future__ import annotations

import argparse

from scones_ops import console
from scones_ops.commands import Subparsers, add_command
from scones_ops.errors import ToolMissing
from scones_ops.settings import Settings


def register(subparsers: Subparsers) -> None:
    add_command(
        subparsers,
        "report",
        "Write the last evaluation as one HTML page that opens offline, its charts as PNG beside it.",
        "scones-ops report",
        run,
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Write the report and say where; raises ToolMissing where the extra it draws with is not installed."""
    from scones_ops.evaluation import evaluation_dir, read_evaluation

    try:
        from scones_ops.report import write_report
    except ModuleNotFoundError as error:
        if error.name not in ("jinja2", "matplotlib"):
            raise
        raise ToolMissing(
            f"the report needs {error.name}: run `make setup`, or `pip install 'scones-ops[report]'`"
        ) from None
    page = write_report(settings)
    evaluation, _ = read_evaluation(evaluation_dir(settings))
    mark = " (generated data)" if evaluation.generated else ""
    console.say(f"report{mark}: {page}")
    return 0
