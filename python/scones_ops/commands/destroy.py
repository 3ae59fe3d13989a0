"""`scones-ops destroy`: removes everything the project made in the target."""

from __future__ import annotations

import argparse
import time

from scones_ops.aws import account
from scones_ops.commands import Subparsers, add_command
from scones_ops.console import say
from scones_ops.errors import InfrastructureFailed
from scones_ops.infra import Infrastructure
from scones_ops.local import control
from scones_ops.settings import Settings


def register(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "destroy",
        "Remove everything the project made; on the local target, stop the local AWS too.",
        "scones-ops --target aws destroy --yes",
        run,
    )
    parser.add_argument("--yes", action="store_true", help="needed on aws: remove it without asking again")
    parser.add_argument(
        "--delete-data", action="store_true", help="on aws: also the bucket's pictures, models and records"
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    start = time.monotonic()
    local = settings.target == "local"
    if not local and not args.yes:
        raise InfrastructureFailed(
            "this removes everything from the AWS account: if that is meant, "
            "run `make destroy TARGET=aws DESTROY_OPTIONS=--yes`"
        )
    if not local:
        account(settings)
    infrastructure = Infrastructure(settings)
    if infrastructure.holds_state():
        if local:
            control.ensure_up(settings)
        infrastructure.destroy(delete_data=args.delete_data and not local)
    settings.handoff_file.unlink(missing_ok=True)
    if local:
        control.down(settings)
    say(f"workspace {settings.workspace} is empty: {time.monotonic() - start:.0f} s")
    return 0
