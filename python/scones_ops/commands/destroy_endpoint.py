"""`scones-ops destroy-endpoint`: stops the hourly cost and keeps everything else."""

from __future__ import annotations

import argparse
import time

from scones_ops.aws import account
from scones_ops.commands import Subparsers, add_command
from scones_ops.console import say
from scones_ops.handoff import read_handoff, write_handoff
from scones_ops.infra import Infrastructure
from scones_ops.local import control
from scones_ops.settings import Settings


def register(subparsers: Subparsers) -> None:
    add_command(
        subparsers,
        "destroy-endpoint",
        "Remove the endpoint, its configuration and its scaling, and nothing else; deploy brings it back.",
        "scones-ops --target aws destroy-endpoint",
        run,
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    start = time.monotonic()
    handoff = read_handoff(settings)
    if handoff is None:
        say(f"endpoint {settings.endpoint_name} is not there: no model has been handed over yet")
        return 0
    if settings.target == "aws":
        account(settings)
    write_handoff(settings, handoff.model, endpoint_enabled=False)
    if settings.target == "local" and control.status(settings) is None:
        say(f"endpoint {settings.endpoint_name} is not there: the local AWS does not run")
        return 0
    infrastructure = Infrastructure(settings)
    if not infrastructure.holds_state():
        say(f"endpoint {settings.endpoint_name} is not there: nothing is deployed")
        return 0
    infrastructure.apply()
    say(
        f"endpoint {settings.endpoint_name} is gone, model {handoff.model.name} stays: "
        f"{time.monotonic() - start:.0f} s; `make deploy` brings it back"
    )
    return 0
