"""Serialize image: answers with the picture at s3://s3_bucket/s3_key as base64 text, small enough to travel.

Step Functions drops a state's payload above 256 KiB, so the picture shrinks to at most 224 px a side, and its
encoding stays below MAX_ENCODED_BYTES whatever it shows.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ParamValidationError
from picture import PictureInvalid, encode, open_picture

from shared.errors import EventInvalid, FolderMarker, ImageInvalid, ImageNotFound
from shared.events import read_body, read_text

MAX_SOURCE_BYTES = 20 * 1024 * 1024

# 405: the version asked for is a delete marker.
NOT_FOUND = {"NoSuchKey", "NoSuchVersion", "NoSuchBucket", "404", "MethodNotAllowed", "405"}
WRONG_NAME = {"InvalidBucketName", "KeyTooLongError", "InvalidURI", "InvalidArgument"}


def lambda_handler(event: object, context: object) -> dict[str, Any]:
    """Return `{statusCode, body: {image_data, s3_bucket, s3_key, inferences}}`.

    Raises EventInvalid, ImageNotFound, FolderMarker, ImageInvalid.
    """
    body = read_body(event)
    bucket, key = read_text(body, "s3_bucket"), read_text(body, "s3_key")
    data = read_object(bucket, key, read_version(body))
    if key.endswith("/") and not data:
        raise FolderMarker(f"s3://{bucket}/{key} is a folder")
    try:
        encoded = encode(open_picture(data))
    except PictureInvalid as error:
        raise ImageInvalid(f"s3://{bucket}/{key} {error}") from error
    image_data = base64.b64encode(encoded).decode("ascii")
    return {
        "statusCode": 200,
        "body": {"image_data": image_data, "s3_bucket": bucket, "s3_key": key, "inferences": []},
    }


def read_version(body: Mapping[str, Any]) -> str | None:
    """Return the version of the object that is meant, or None for the newest. Raises EventInvalid."""
    # EventBridge writes "" where the event has no version.
    return read_text(body, "s3_version") if body.get("s3_version") else None


def read_object(bucket: str, key: str, version: str | None) -> bytes:
    """Return the object's bytes. Raises EventInvalid, ImageNotFound, ImageInvalid."""
    where = {"Bucket": bucket, "Key": key} | ({"VersionId": version} if version else {})
    try:
        answer = s3().get_object(**where)
    except ParamValidationError as error:
        raise EventInvalid(f"S3 cannot have s3://{bucket}/{key}: {_one_line(error)}") from None
    except ClientError as error:
        code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
        # To a caller without s3:ListBucket, S3 says so instead of "not found".
        if code in NOT_FOUND or (code == "AccessDenied" and "s3:ListBucket" in message):
            suffix = f" in version {version}" if version else ""
            raise ImageNotFound(f"s3://{bucket}/{key} does not exist{suffix} ({code})") from None
        if code in WRONG_NAME:
            raise EventInvalid(f"S3 cannot have s3://{bucket}/{key}: {code}, {message}") from None
        raise
    size = answer["ContentLength"]
    with answer["Body"] as stream:
        if size > MAX_SOURCE_BYTES:
            raise ImageInvalid(
                f"s3://{bucket}/{key} has {size:,} bytes, more than the {MAX_SOURCE_BYTES:,} that are read"
            )
        data: bytes = stream.read()
    return data


@cache
def s3() -> Any:
    """Return the S3 client, one for the life of this worker."""
    config = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2})
    return boto3.client("s3", config=config)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
