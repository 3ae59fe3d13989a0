"""`scones-ops deploy`: the handed-over model, served and checked."""

from __future__ import annotations

import argparse
import time

from scones_ops.aws import account
from scones_ops.commands import Subparsers, add_command
from scones_ops.console import say
from scones_ops.errors import HandoffInvalid
from scones_ops.handoff import read_handoff, write_handoff
from scones_ops.infra import Infrastructure
from scones_ops.local import control
from scones_ops.settings import Settings
from scones_ops.training.registry import check_artifact


def register(subparsers: Subparsers) -> None:
    add_command(
        subparsers,
        "deploy",
        "Apply Terraform with the trained model, and check that it is what serves.",
        "scones-ops --target aws deploy",
        run,
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    start = time.monotonic()
    handoff = read_handoff(settings)
    if handoff is None:
        raise HandoffInvalid(f"no model has been handed over ({settings.handoff_file}): run `make train`")
    model = handoff.model
    if model.classes != settings.classes:
        raise HandoffInvalid(
            f"model {model.name} tells {', '.join(model.classes)} apart, not {', '.join(settings.classes)}: "
            "run `make train` with the same CLASSES"
        )
    if settings.target == "local":
        control.ensure_up(settings)
    account(settings)
    check_artifact(settings, model)
    write_handoff(settings, model, endpoint_enabled=True)
    infrastructure = Infrastructure(settings)
    infrastructure.apply()
    outputs = infrastructure.verify_endpoint()
    note = " (generated data)" if model.generated else ""
    say(
        f"endpoint {outputs.endpoint_name} serves {model.name}{note}, sha256 {model.sha256}: "
        f"{time.monotonic() - start:.0f} s"
    )
    return 0
