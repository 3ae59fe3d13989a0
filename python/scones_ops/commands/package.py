"""`scones-ops package`: builds the Lambda zips."""

from __future__ import annotations

import argparse

from scones_ops import packaging
from scones_ops.commands import Subparsers, add_command
from scones_ops.console import say
from scones_ops.settings import Settings


def register(subparsers: Subparsers) -> None:
    add_command(
        subparsers,
        "package",
        "Build the Lambda zips: the same source gives the same bytes.",
        "scones-ops --target aws package",
        run,
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    for package in packaging.package_functions(settings):
        state = "built" if package.changed else "unchanged"
        say(f"{package.path} ({package.size / 1e6:.1f} MB, {state})")
    return 0
