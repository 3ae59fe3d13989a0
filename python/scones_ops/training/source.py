"""The training code as SageMaker takes it: one sourcedir.tar.gz, the same bytes for the same source."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

import botocore.exceptions

from scones_ops.aws import client
from scones_ops.settings import Settings

PACKAGE = Path(__file__).resolve().parents[1]
ENTRY_POINT = "train.py"


@dataclass(frozen=True)
class Source:
    """The archive's bytes, and `version`: the first 12 hex digits of its files' digest."""

    archive: bytes
    version: str


def source_files() -> dict[str, bytes]:
    """Return what the training job needs, by name in the archive.

    The entry point and its requirements lie at the root, where sagemaker-training looks for them; its helpers
    keep their package name, so that `import scones_ops.container…` means the same there and here.
    """
    container = PACKAGE / "container"
    files = {
        ENTRY_POINT: container / ENTRY_POINT,
        "requirements.txt": container / "requirements-train.txt",
        "scones_ops/__init__.py": PACKAGE / "__init__.py",
    }
    for path in (*container.glob("*.py"), container / "requirements-inference.txt"):
        if path.name != ENTRY_POINT:
            files[f"scones_ops/container/{path.name}"] = path
    return {name: path.read_bytes() for name, path in sorted(files.items())}


def pack(files: dict[str, bytes]) -> Source:
    """Return `files` as a gzipped tar: sorted, with fixed times, owners and modes."""
    digest = hashlib.sha256()
    tar_bytes = io.BytesIO()
    with tarfile.open(fileobj=tar_bytes, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in sorted(files.items()):
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), 0o644, 0
            tar.addfile(entry, io.BytesIO(content))
    return Source(gzip.compress(tar_bytes.getvalue(), mtime=0), digest.hexdigest()[:12])


def upload(settings: Settings, bucket: str, source: Source) -> str:
    """Put the archive under training/source/ unless it is there, and return its s3:// address."""
    s3 = client(settings, "s3")
    key = f"training/source/{source.version}/sourcedir.tar.gz"
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except botocore.exceptions.ClientError as error:
        if error.response["Error"]["Code"] not in ("404", "NoSuchKey", "NotFound"):
            raise
        s3.put_object(Bucket=bucket, Key=key, Body=source.archive, ContentType="application/gzip")
    return f"s3://{bucket}/{key}"
