"""`scones-ops evaluate`: how good the deployed workflow is on the test pictures."""

from __future__ import annotations

import argparse

from scones_ops import console
from scones_ops.commands import Subparsers, add_command
from scones_ops.settings import Settings


def register(subparsers: Subparsers) -> None:
    add_command(
        subparsers,
        "evaluate",
        "Send the test pictures through the deployed state machine and measure its answers.",
        "scones-ops evaluate",
        run,
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Evaluate, print the numbers; raises WorkflowFailed after that where pictures broke."""
    from scones_ops import evaluation
    from scones_ops.data import load_dataset
    from scones_ops.infra import Infrastructure

    dataset = load_dataset(settings.dataset_dir)
    outputs = Infrastructure(settings).outputs()
    result = evaluation.evaluate(settings, outputs, dataset)
    console.say(evaluation.summary(result))
    console.say(f"written to {evaluation.evaluation_dir(settings)}")
    evaluation.require_complete(result)
    return 0
