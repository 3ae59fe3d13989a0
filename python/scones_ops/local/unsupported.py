"""What is not implemented answers at once, with an error that no client retries, and is logged.

Moto answers an unknown operation with a server error, which Terraform and the SDKs retry for minutes.
"""

from __future__ import annotations

from pathlib import Path


def install(home: Path) -> None:
    """Filled in below."""
