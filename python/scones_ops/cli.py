"""The `scones-ops` command line: parses, loads the settings, runs one command, prints errors in one line."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from scones_ops import __version__, console
from scones_ops.errors import SconesError
from scones_ops.settings import TARGETS, load_settings

# In the order of the work; each is a module of scones_ops.commands.
COMMANDS = (
    "doctor",
    "local",
    "data",
    "package",
    "train",
    "models",
    "deploy",
    "plan",
    "env",
    "classify",
    "classify_batch",
    "evaluate",
    "report",
    "destroy_endpoint",
    "destroy",
    "demo",
    "bench",
)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with every command on it."""
    parser = argparse.ArgumentParser(
        prog="scones-ops",
        description="Train, deploy, run and evaluate the picture classifier of Scones Unlimited.",
        epilog="example: scones-ops --target local doctor",
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--target", choices=TARGETS, help="where it runs (default: $TARGET, else local)")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        importlib.import_module(f"scones_ops.commands.{name}").register(subparsers)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status of one command: 0, 1 for an error told in one line, 130 when interrupted."""
    args = build_parser().parse_args(arguments)
    if args.target:
        os.environ["TARGET"] = args.target
    try:
        settings = load_settings()
        settings.apply_environment()
        console.speak_of_target(settings.target)
        return int(args.run(args, settings))
    except KeyboardInterrupt:
        console.complain("\ninterrupted: the same command again goes on from here")
        return 130
    except (SconesError, ClientError, BotoCoreError) as error:
        if args.debug:
            raise
        console.complain(f"error: {in_one_line(error)}")
        return error.exit_status if isinstance(error, SconesError) else 1


def in_one_line(error: SconesError | ClientError | BotoCoreError) -> str:
    """Return what was wrong and what to do; what AWS says of itself rarely names the second."""
    said = " ".join(str(error).split())
    if isinstance(error, SconesError):
        return said
    if isinstance(error, NoCredentialsError):
        return "no AWS credentials found: run `aws sso login` or set AWS_PROFILE"
    if isinstance(error, ClientError):
        return f"{said}: see what these credentials may do (--debug shows where)"
    return f"{said}: is the network there, or the local AWS (`make local-up`)? (--debug shows where)"


if __name__ == "__main__":
    sys.exit(main())
