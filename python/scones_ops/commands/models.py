"""`scones-ops models`: the trained models of the bucket, and the way back to an older one."""

from __future__ import annotations

import argparse

from scones_ops.aws import account
from scones_ops.commands import Subparsers, add_command
from scones_ops.console import say
from scones_ops.errors import ModelNotFound
from scones_ops.handoff import ModelRecord, endpoint_wanted, read_handoff, write_handoff
from scones_ops.settings import Settings


def register(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "models",
        "List the trained models, or hand one of them over again.",
        "scones-ops models use scones-unlimited-0123456789ab",
        run,
    )
    parser.add_argument("action", nargs="?", choices=("list", "use"), default="list")
    parser.add_argument("name", nargs="?", metavar="NAME", help="the model to use")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """List the models, or write the handoff file for the one named."""
    from scones_ops.infra import Infrastructure
    from scones_ops.training import registry

    if args.action == "use" and not args.name:
        raise ModelNotFound("models use needs a NAME: `scones-ops models list` shows them")
    account(settings)
    bucket = Infrastructure(settings).outputs().bucket_name
    if args.action == "list":
        _list(registry.models(settings, bucket), _current(settings))
        return 0
    record = registry.find(settings, bucket, args.name)
    if record.classes != settings.classes:
        raise ModelNotFound(
            f"{record.name} was trained for other classes than {', '.join(settings.classes)}: "
            f"set CLASSES={','.join(record.classes)}, or choose another model"
        )
    registry.check_artifact(settings, record)
    path = write_handoff(settings, record, endpoint_wanted(settings))
    say(f"{record.name} is handed over in {path}: `make deploy` serves it")
    return 0


def table(records: list[ModelRecord], current: str | None) -> list[str]:
    """Return a line a model, newest first, after a heading; `*` marks the one that is handed over."""
    width = max(len(record.name) for record in records)
    lines = [f"  {'name':{width}}  {'trained at':20}  accuracy  data"]
    for record in records:
        mark = "*" if record.name == current else " "
        data = "generated" if record.generated else "archive"
        accuracy = record.metrics.get("validation_accuracy", float("nan"))
        lines.append(f"{mark} {record.name:{width}}  {record.trained_at:20}  {accuracy:8.3f}  {data}")
    return lines


def _list(records: list[ModelRecord], current: str | None) -> None:
    if not records:
        say("no trained model yet: `make train` makes one")
        return
    for line in table(records, current):
        say(line)


def _current(settings: Settings) -> str | None:
    handoff = read_handoff(settings)
    return handoff.model.name if handoff else None
