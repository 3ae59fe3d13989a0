"""The commands of `scones-ops`, one file each.

A command's module has `register(subparsers)`, which adds its parser with an example, and sets
`run(args, settings) -> int` as that parser's default for `run`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeAlias

from scones_ops.settings import Settings

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
Run: TypeAlias = Callable[[argparse.Namespace, Settings], int]


def add_command(
    subparsers: Subparsers, name: str, summary: str, example: str, run: Run
) -> argparse.ArgumentParser:
    """Add the command `name` to `subparsers` and return its parser, for its options."""
    parser = subparsers.add_parser(
        name,
        help=summary,
        description=summary,
        epilog=f"example: {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser
