"""Checks of the machine a run needs: Python, Terraform, its provider, the port, the disk, the credentials."""

from __future__ import annotations

import shutil
import socket
import sys
from dataclasses import dataclass

from scones_ops import aws, infra
from scones_ops.errors import CredentialsMissing, LocalAwsUnavailable, ToolMissing
from scones_ops.local import control
from scones_ops.settings import Settings

PYTHON_AT_LEAST = (3, 11)
DISK_GB_AT_LEAST = 4.0


@dataclass(frozen=True)
class Finding:
    """One check's result: `mend` is empty where all is well."""

    subject: str
    found: str
    mend: str = ""

    @property
    def good(self) -> bool:
        return not self.mend


def examine(settings: Settings) -> list[Finding]:
    """Return a finding for each thing the target needs, in the order a newcomer meets them."""
    findings = [_python(), _terraform(), _provider(), _disk(settings)]
    findings.append(_port(settings) if settings.target == "local" else _credentials(settings))
    return findings


def _python() -> Finding:
    found = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] < PYTHON_AT_LEAST:
        return Finding("Python", found, "install Python 3.11 or newer, then: make PYTHON=python3.11 setup")
    return Finding("Python", found)


def _terraform() -> Finding:
    try:
        return Finding("Terraform", infra.terraform_version())
    except ToolMissing as error:
        return Finding("Terraform", "not usable", str(error))


def _provider() -> Finding:
    try:
        mirror = infra.find_provider_mirror()
    except ToolMissing as error:
        return Finding("AWS provider", "not usable", str(error))
    if mirror is not None:
        return Finding("AWS provider", f"mirror {mirror}")
    try:
        with socket.create_connection(("registry.terraform.io", 443), timeout=5):
            return Finding("AWS provider", "from registry.terraform.io")
    except OSError as error:
        return Finding(
            "AWS provider",
            f"no mirror, and registry.terraform.io cannot be reached ({error})",
            "connect to the network, or set TF_PLUGIN_DIR to what `terraform providers mirror` wrote",
        )


def _disk(settings: Settings) -> Finding:
    free = shutil.disk_usage(settings.root).free / 1e9
    found = f"{free:.1f} GB free"
    if free < DISK_GB_AT_LEAST:
        return Finding("Disk", found, f"free {DISK_GB_AT_LEAST:.0f} GB on the disk of {settings.root}")
    return Finding("Disk", found)


def _port(settings: Settings) -> Finding:
    if control.status(settings):
        return Finding("Port", f"{settings.local_port}, where the local AWS runs")
    try:
        control.require_free_port(settings.local_port)
    except LocalAwsUnavailable as error:
        return Finding("Port", f"{settings.local_port} is taken", str(error))
    return Finding("Port", f"{settings.local_port} is free")


def _credentials(settings: Settings) -> Finding:
    try:
        return Finding("Credentials", f"account {aws.account(settings)}, region {settings.region}")
    except CredentialsMissing as error:
        return Finding("Credentials", "not usable", str(error))
