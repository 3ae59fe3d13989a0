"""Files that are there whole or not at all, so that Ctrl-C at any moment leaves nothing half-written."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_whole(path: Path, content: bytes) -> Path:
    """Put `content` at `path` in one step, or leave what was there; makes the folder. Returns `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def write_json(path: Path, document: Mapping[str, Any]) -> Path:
    """Write `document` as readable JSON, whole or not at all, and return `path`."""
    return write_whole(path, (json.dumps(document, indent=2) + "\n").encode())
