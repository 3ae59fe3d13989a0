"""`scones-ops classify`: pictures by hand through the workflow."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scones_ops.commands import Subparsers, add_command
from scones_ops.console import say
from scones_ops.errors import WorkflowFailed
from scones_ops.infra import Infrastructure, Outputs
from scones_ops.settings import Settings
from scones_ops.workflow import Execution, classify, upload


def register(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "classify",
        "Send a picture through the workflow: a file, a key of the project's bucket, or an s3:// URI.",
        "scones-ops classify photo.jpg datasets/3f2a90c1d4e5/test/bike_s_000071.png",
        run,
    )
    parser.add_argument("picture", nargs="*", help="a file of this machine, an S3 key, or s3://bucket/key")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Classify each picture named; return 0 where each was classified with confidence, else 1."""
    if not args.picture:
        raise WorkflowFailed("no picture named: run `make classify IMAGE=photo.jpg`")
    outputs = Infrastructure(settings).outputs()
    executions = [classify_named(settings, outputs, name) for name in args.picture]
    for name, execution in zip(args.picture, executions, strict=True):
        say(describe(name, execution))
    broken = next((execution for execution in executions if execution.outcome == "broken"), None)
    if broken:
        raise WorkflowFailed(f"{broken.error or broken.status}: {broken.reason or 'no cause was given'}")
    return 0 if all(execution.outcome == "classified" for execution in executions) else 1


def classify_named(settings: Settings, outputs: Outputs, name: str) -> Execution:
    """Return the ended execution for a file, an S3 key or an s3:// URI. Raises WorkflowFailed."""
    uri = re.fullmatch(r"s3://([^/]+)/(.+)", name, re.DOTALL)
    if uri:
        return classify(settings, outputs, uri[2], bucket=uri[1])
    path = Path(name).expanduser()
    if path.is_file():
        return classify(settings, outputs, upload(settings, outputs, path))
    if path.is_absolute() or name.startswith(("./", "../", "~")):
        raise WorkflowFailed(f"{name} is not a file: name a picture file, or a key of the bucket")
    return classify(settings, outputs, name)


def describe(name: str, execution: Execution) -> str:
    """Return one line for people: label, confidence, route, seconds, or what happened instead."""
    took = f"{execution.seconds:.2f} s"
    if execution.outcome == "classified":
        route: Mapping[str, Any] = execution.record.get("route") or {}
        sent = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in route.items()) or "no route set"
        return f"{name}: {execution.label}, confidence {execution.confidence:.4f}, {sent}, {took}"
    if execution.outcome == "review":
        guess = f"best guess {execution.label}, {execution.confidence:.4f}" if execution.label else "no guess"
        return f"{name}: for review, no class reaches {execution.record.get('threshold')} ({guess}), {took}"
    if execution.outcome == "rejected":
        return f"{name}: rejected, {execution.error}: {execution.reason}, {took}"
    if execution.outcome == "skipped":
        return f"{name}: skipped, a folder and no picture, {took}"
    return f"{name}: failed, {execution.error or execution.status}, {took}"
