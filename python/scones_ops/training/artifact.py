"""What a finished training job left in S3: the digest of model.tar.gz, and what model.json in it says."""

from __future__ import annotations

import hashlib
import json
import tarfile
import tempfile
from dataclasses import dataclass
from typing import Any

import botocore.exceptions

from scones_ops.errors import TrainingFailed
from scones_ops.settings import Settings
from scones_ops.training.registry import stream

LARGEST_FACTS = 64 << 20  # bytes; model.json holds a line a validation picture


@dataclass(frozen=True)
class Artifact:
    """`facts` is the parsed model.json, None where the algorithm writes none (SageMaker's own ones)."""

    url: str
    sha256: str
    facts: dict[str, Any] | None


def read_artifact(settings: Settings, url: str) -> Artifact:
    """Download the artifact at `url` to a temporary file and return what it holds.

    Raises TrainingFailed where it is missing or no gzipped tar.
    """
    digest = hashlib.sha256()
    try:
        with tempfile.TemporaryFile() as file:
            for chunk in stream(settings, url):
                digest.update(chunk)
                file.write(chunk)
            file.seek(0)
            with tarfile.open(fileobj=file, mode="r:gz") as tar:
                facts = _facts(tar)
    except botocore.exceptions.ClientError as error:
        if error.response["Error"]["Code"] not in ("NoSuchKey", "404"):
            raise
        raise TrainingFailed(f"the training job left no artifact at {url}: train again") from None
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise TrainingFailed(f"{url} cannot be read as a model.tar.gz ({error}): train again") from None
    return Artifact(url, digest.hexdigest(), facts)


def _facts(tar: tarfile.TarFile) -> dict[str, Any] | None:
    """Return the parsed model.json of the archive; nothing is extracted to disk."""
    for entry in tar:
        if entry.name.removeprefix("./") == "model.json" and entry.isfile() and entry.size <= LARGEST_FACTS:
            content = tar.extractfile(entry)
            assert content is not None  # it is a file
            facts: dict[str, Any] = json.loads(content.read())
            return facts
    return None
