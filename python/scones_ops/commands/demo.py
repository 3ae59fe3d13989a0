"""`scones-ops demo`: the whole workflow, from the archive to the report, step by step."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from scones_ops.commands import Subparsers, add_command, deploy, evaluate, report
from scones_ops.commands.train import train
from scones_ops.console import say
from scones_ops.doctor import examine
from scones_ops.errors import ToolMissing
from scones_ops.settings import Settings


def register(subparsers: Subparsers) -> None:
    add_command(
        subparsers,
        "demo",
        "Run the whole workflow: data, infrastructure, training, deployment, evaluation, report.",
        "scones-ops demo",
        run,
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run each step of the chain and say what it took. On the local AWS the data may be generated."""
    steps: tuple[tuple[str, Callable[[], object]], ...] = (
        ("check this machine", lambda: require_ready(settings)),
        ("data, infrastructure, training", lambda: train(settings, allow_generated=True)),
        ("deployment", lambda: deploy.run(args, settings)),
        ("evaluation through the workflow", lambda: evaluate.run(args, settings)),
        ("report", lambda: report.run(args, settings)),
    )
    took: list[tuple[str, float]] = []
    for number, (name, step) in enumerate(steps, start=1):
        say(f"\n== {number}/{len(steps)} {name}")
        start = time.monotonic()
        step()
        took.append((name, time.monotonic() - start))
    say("\n== done")
    for name, seconds in took:
        say(f"{seconds:7.1f} s  {name}")
    say(f"{sum(seconds for _, seconds in took):7.1f} s  in all")
    say("It stays up. Try:  make classify IMAGE=photo.jpg   make classify-batch   make bench   make plan")
    say("Stop the cost of the endpoint:  make destroy-endpoint   Remove everything:  make destroy")
    return 0


def require_ready(settings: Settings) -> None:
    """Raise ToolMissing for the first thing this machine lacks, with what mends it."""
    for finding in examine(settings):
        if not finding.good:
            raise ToolMissing(f"{finding.subject}: {finding.mend}")
        say(f"{finding.subject}: {finding.found}")
