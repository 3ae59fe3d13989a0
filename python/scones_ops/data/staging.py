"""The data set into S3, in parallel, leaving alone what is there already."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.exceptions

from scones_ops.aws import client
from scones_ops.console import progress, say
from scones_ops.data.dataset import MANIFEST, SPLITS, Dataset
from scones_ops.errors import DatasetInvalid, InfrastructureFailed
from scones_ops.settings import Settings

THREADS = 16
PREFIX = "datasets"
_TYPES = {".png": "image/png", ".lst": "text/tab-separated-values", ".json": "application/json"}


@dataclass(frozen=True)
class _Upload:
    """A file on its way; `sha256` is what the manifest promises, or "" where it promises nothing."""

    file: Path
    key: str
    sha256: str = ""


@dataclass(frozen=True)
class _Stored:
    """What the bucket says of an object: its size in bytes and its ETag without the quotes."""

    size: int
    etag: str


def stage_dataset(settings: Settings, dataset: Dataset, bucket: str) -> str:
    """Return s3://`bucket`/datasets/<id>, after uploading there whatever of `dataset` is not there yet.

    dataset.json goes last: where it is, all is. Interrupted, the next call goes on.
    Raises DatasetInvalid where a file differs from its manifest, InfrastructureFailed where S3 refuses.
    """
    prefix = f"{PREFIX}/{dataset.dataset_id}"
    uploads = [_Upload(dataset.file(p), f"{prefix}/{p.path}", p.sha256) for p in dataset.pictures]
    uploads += [_Upload(dataset.folder / f"{name}.lst", f"{prefix}/{name}.lst") for name in SPLITS]
    manifest = _Upload(dataset.folder / MANIFEST, f"{prefix}/{MANIFEST}")
    s3 = client(settings, "s3", connections=THREADS)
    try:
        stored = _list(s3, bucket, f"{prefix}/")
        sent = _send_all(s3, bucket, uploads, stored)
        sent += _send(s3, bucket, manifest, stored)
    except s3.exceptions.NoSuchBucket:
        raise InfrastructureFailed(
            f"bucket {bucket} does not exist: `make deploy` creates it with the rest of the infrastructure"
        ) from None
    except botocore.exceptions.ClientError as error:
        reason = error.response["Error"]
        raise InfrastructureFailed(
            f"S3 refuses {error.operation_name} on bucket {bucket} ({reason.get('Code')}: "
            f"{reason.get('Message')}): check the credentials' rights and run the same command again"
        ) from error
    note = " of generated data" if dataset.generated else ""
    say(f"s3://{bucket}/{prefix}: {sent} files{note} uploaded, {len(uploads) + 1 - sent} were there already")
    return f"s3://{bucket}/{prefix}"


def _list(s3: Any, bucket: str, prefix: str) -> Mapping[str, _Stored]:
    """Return what is stored below `prefix`, by key: one request a thousand objects."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    objects = (item for page in pages for item in page.get("Contents", ()))
    return {item["Key"]: _Stored(item["Size"], item["ETag"].strip('"')) for item in objects}


def _send_all(s3: Any, bucket: str, uploads: Iterable[_Upload], stored: Mapping[str, _Stored]) -> int:
    """Send `uploads` in parallel and return how many were needed; the first error stops the rest."""
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="staging")
    try:
        tasks = [pool.submit(_send, s3, bucket, upload, stored) for upload in uploads]
        done = progress(as_completed(tasks), total=len(tasks), label="staging to S3", unit="files")
        return sum(task.result() for task in done)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _send(s3: Any, bucket: str, upload: _Upload, stored: Mapping[str, _Stored]) -> bool:
    """Upload one file unless it is there already; return whether it was needed."""
    data = upload.file.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if upload.sha256 and digest != upload.sha256:
        raise DatasetInvalid(
            f"{upload.file} is not what {MANIFEST} says: remove {upload.file.parents[1]} and run `make data`"
        )
    if _is_there(s3, bucket, upload.key, data, digest, stored.get(upload.key)):
        return False
    kind = _TYPES[upload.file.suffix]
    s3.put_object(Bucket=bucket, Key=upload.key, Body=data, ContentType=kind, Metadata={"sha256": digest})
    return True


def _is_there(s3: Any, bucket: str, key: str, data: bytes, digest: str, stored: _Stored | None) -> bool:
    """Tell whether the stored object has these bytes. Under a KMS key an ETag is no MD5: ask the object."""
    if stored is None or stored.size != len(data):
        return False
    if stored.etag == hashlib.md5(data, usedforsecurity=False).hexdigest():
        return True
    head = s3.head_object(Bucket=bucket, Key=key)
    return bool(head["Metadata"].get("sha256") == digest)
