"""`scones-ops plan`: what would an apply change?"""

from __future__ import annotations

import argparse

from scones_ops.aws import account
from scones_ops.commands import Subparsers, add_command
from scones_ops.infra import Infrastructure
from scones_ops.local import control
from scones_ops.settings import Settings


def register(subparsers: Subparsers) -> None:
    add_command(
        subparsers,
        "plan",
        "Show what Terraform would change; exit status 0 for nothing, 2 for something.",
        "scones-ops plan",
        run,
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    if settings.target == "local":
        control.ensure_up(settings)
    account(settings)
    return Infrastructure(settings).plan()
