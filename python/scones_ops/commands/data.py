"""`scones-ops data`: the archive into filtered pictures on disk and, with --stage, into a bucket."""

from __future__ import annotations

import argparse
import dataclasses

from scones_ops.commands import Subparsers, add_command
from scones_ops.console import say
from scones_ops.settings import Settings


def register(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "data",
        "Download, verify, filter and split the archive into PNG and .lst files under build/dataset.",
        "scones-ops data --archive cifar-100-python.tar.gz",
        run,
    )
    parser.add_argument(
        "--archive", help="path or URL of the archive (default: $ARCHIVE, else the official one)"
    )
    parser.add_argument("--stage", metavar="BUCKET", help="then upload the data set to this bucket")
    parser.add_argument(
        "--allow-generated",
        action="store_true",
        help="draw pictures where the official archive cannot be had (local only; never real results)",
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    # numpy and Pillow take a while to import, and every command imports this module.
    from scones_ops.data import prepare_dataset, stage_dataset

    if args.archive:
        settings = dataclasses.replace(settings, archive=args.archive)
    dataset = prepare_dataset(settings, allow_generated=args.allow_generated)
    say(f"ready in {dataset.folder}")
    if args.stage:
        stage_dataset(settings, dataset, args.stage)
    return 0
