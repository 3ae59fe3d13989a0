"""`scones-ops local up|down|status|logs`: the local AWS of this workspace."""

from __future__ import annotations

import argparse
from dataclasses import replace

from scones_ops.aws import client
from scones_ops.commands import Subparsers, add_command
from scones_ops.console import say
from scones_ops.errors import LocalAwsUnavailable
from scones_ops.local import control, logs
from scones_ops.settings import Settings


def register(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "local",
        "Start, end and look at the local AWS.",
        "scones-ops local logs -f --service lambda",
        run,
    )
    parser.add_argument("action", choices=("up", "down", "status", "logs"))
    parser.add_argument("-f", "--follow", action="store_true", help="logs: go on until Ctrl-C")
    parser.add_argument("-n", "--lines", type=int, default=100, help="logs: how many at first (default: 100)")
    parser.add_argument(
        "--service",
        choices=tuple(logs.SERVICES),
        help="logs: what this service wrote, not the server's own log",
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Return 0, or 1 where `status` finds nothing running."""
    # Whatever target is set: there is only one local AWS to talk about.
    settings = _for_local(settings)
    if args.action == "up":
        if control.status(settings):
            say(f"the local AWS runs already at {settings.local_url}")
        else:
            control.up(settings)
        return 0
    if args.action == "down":
        say("the local AWS is down" if control.down(settings) else "the local AWS was not running")
        return 0
    if args.action == "status":
        return _print_status(settings)
    return _print_logs(args, settings)


def _for_local(settings: Settings) -> Settings:
    if settings.target == "local":
        return settings
    workspace = "local" if settings.workspace == settings.target else settings.workspace
    return replace(settings, target="local", workspace=workspace)


def _print_status(settings: Settings) -> int:
    found = control.status(settings)
    if found is None:
        say(f"the local AWS is not running on port {settings.local_port}: start it with `make local-up`")
        return 1
    since = found.since.astimezone()
    say(f"the local AWS runs at {settings.local_url}: pid {found.pid}, since {since:%Y-%m-%d %H:%M:%S}")
    for name, count in found.running.items():
        say(f"  {name}: {count}")
    return 0


def _print_logs(args: argparse.Namespace, settings: Settings) -> int:
    if args.service is None:
        lines = logs.server_lines(control.log_file(settings), last=args.lines, follow=args.follow)
    else:
        if control.status(settings) is None:
            raise LocalAwsUnavailable(
                "the local AWS is not running and its log groups are gone with it: `scones-ops local logs` "
                "shows the server's last log"
            )
        lines = logs.group_lines(
            client(settings, "logs"), logs.SERVICES[args.service], last=args.lines, follow=args.follow
        )
    for line in lines:
        say(line)
    return 0
