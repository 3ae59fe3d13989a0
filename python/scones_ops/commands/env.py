"""`scones-ops env`: the variables with which Terraform and the AWS CLI, run by hand, see what we see."""

from __future__ import annotations

import argparse
import shlex

from scones_ops.commands import Subparsers, add_command
from scones_ops.console import say
from scones_ops.infra import Infrastructure
from scones_ops.settings import Settings


def register(subparsers: Subparsers) -> None:
    add_command(
        subparsers,
        "env",
        "Print the shell variables for running Terraform or the AWS CLI by hand on this target.",
        'eval "$(scones-ops env)" && terraform -chdir=terraform plan',
        run,
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    for name, value in sorted(Infrastructure(settings).shell_environment().items()):
        say(f"export {name}={shlex.quote(value)}")
    return 0
