"""The trained models of a bucket: a manifest each under models/, written once and never changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlparse

import botocore.exceptions

from scones_ops.aws import client
from scones_ops.errors import HandoffInvalid, ModelNotFound
from scones_ops.handoff import ModelRecord, read_record
from scones_ops.settings import Settings

PREFIX = "models/"
CHUNK = 1 << 20


def save(settings: Settings, bucket: str, record: ModelRecord) -> str:
    """Write the model's manifest and return its key. The same artifact trained again overwrites its own."""
    key = f"{PREFIX}{record.name}.json"
    body = json.dumps(record.to_json(), indent=2).encode() + b"\n"
    client(settings, "s3").put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")
    return key


def models(settings: Settings, bucket: str) -> list[ModelRecord]:
    """Return the records of all models in the bucket, newest first."""
    s3 = client(settings, "s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=PREFIX)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    records = [_read(s3, bucket, key) for key in keys if key.endswith(".json")]
    return sorted(records, key=lambda record: record.trained_at, reverse=True)


def find(settings: Settings, bucket: str, name: str) -> ModelRecord:
    """Return the record of the model called `name`. Raises ModelNotFound where there is none."""
    try:
        return _read(client(settings, "s3"), bucket, f"{PREFIX}{name}.json")
    except botocore.exceptions.ClientError as error:
        if error.response["Error"]["Code"] not in ("NoSuchKey", "404"):
            raise
        raise ModelNotFound(f"no model is called {name}: `scones-ops models list` shows them") from None


def check_artifact(settings: Settings, record: ModelRecord) -> None:
    """Read the model's artifact in S3 through and compare it with the record.

    Raises ModelNotFound where it is gone or its sha256 is another.
    """
    again = "train again with `make train`, or choose another with `scones-ops models use NAME`"
    digest = hashlib.sha256()
    try:
        for chunk in stream(settings, record.data_url):
            digest.update(chunk)
    except botocore.exceptions.ClientError as error:
        if error.response["Error"]["Code"] not in ("NoSuchKey", "NoSuchBucket", "404"):
            raise
        raise ModelNotFound(f"the artifact of {record.name}, {record.data_url}, is gone: {again}") from None
    if digest.hexdigest() != record.sha256:
        raise ModelNotFound(f"the artifact of {record.name}, {record.data_url}, was changed: {again}")


def stream(settings: Settings, url: str) -> Iterator[bytes]:
    """Yield the bytes of an s3:// object in chunks of CHUNK."""
    place = urlparse(url)
    answer = client(settings, "s3").get_object(Bucket=place.netloc, Key=place.path.lstrip("/"))
    yield from answer["Body"].iter_chunks(CHUNK)


def _read(s3: Any, bucket: str, key: str) -> ModelRecord:
    try:
        return read_record(json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()))
    except (ValueError, HandoffInvalid) as error:
        raise ModelNotFound(f"s3://{bucket}/{key} is no manifest of a model ({error}): remove it") from None
