"""`scones-ops doctor`: is this machine ready, and if not, what mends it?"""

from __future__ import annotations

import argparse

from scones_ops.commands import Subparsers, add_command
from scones_ops.console import say
from scones_ops.doctor import examine
from scones_ops.settings import Settings


def register(subparsers: Subparsers) -> None:
    add_command(
        subparsers,
        "doctor",
        "Check Python, Terraform, its provider, the port, the disk and the credentials.",
        "scones-ops --target aws doctor",
        run,
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    findings = examine(settings)
    for finding in findings:
        say(f"{'ok ' if finding.good else 'BAD'}  {finding.subject}: {finding.found}")
        if not finding.good:
            say(f"     mend: {finding.mend}")
    return 0 if all(finding.good for finding in findings) else 1
