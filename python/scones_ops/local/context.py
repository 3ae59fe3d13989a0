"""Where this local AWS runs: filled in once by the server before any extension is installed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from scones_ops.settings import LOCAL_ACCOUNT


@dataclass
class Context:
    """Port and working folder of the server, and the account and region that it plays."""

    port: int = 0
    home: Path = Path()
    account: str = LOCAL_ACCOUNT
    region: str = "us-east-1"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def folder(self, name: str) -> Path:
        """Return `home/name`, created if missing: a place for one service's files."""
        path = self.home / name
        path.mkdir(parents=True, exist_ok=True)
        return path


# One per process, and never rebound, so that `from ... import CONTEXT` always sees the server's values.
CONTEXT = Context()


def configure(port: int, home: Path, region: str | None = None) -> Context:
    """Fill in CONTEXT and return it."""
    CONTEXT.port = port
    CONTEXT.home = home.resolve()
    CONTEXT.region = region or os.environ.get("AWS_REGION", "us-east-1")
    return CONTEXT
