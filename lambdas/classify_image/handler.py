"""Classify image: sends the picture to the SageMaker endpoint and answers with its scores, one a class."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError, ReadTimeoutError

from shared.errors import EndpointThrottled, EndpointUnavailable, EventInvalid, ImageInvalid, InferenceFailed
from shared.events import is_score, read_body, read_text

READ_TIMEOUT = 20  # seconds; two attempts fit into the function's 60

BUSY = {"ThrottlingException", "Throttling", "TooManyRequestsException", "ServiceUnavailable",
        "ServiceUnavailableException", "ModelNotReadyException", "InternalFailure",
        "InternalDependencyException"}  # fmt: skip
# What the container answers when it is the picture that it cannot use.
PICTURE_REFUSED = {400, 413, 415, 422}
CONTAINER_BUSY = {429, 503}
NOT_THERE = re.compile(
    r"endpoint\b.*\b(not found|could not be found|does not exist|not in ?service)|could not find endpoint",
    re.IGNORECASE | re.DOTALL,
)


def lambda_handler(event: object, context: object) -> dict[str, Any]:
    """Return `{statusCode, body: '{"inferences": [...]}'}`, the scores in the order of the classes.

    Raises EventInvalid, ImageInvalid, EndpointUnavailable, EndpointThrottled, InferenceFailed.
    """
    picture = decode(read_text(read_body(event), "image_data"))
    scores = read_scores(invoke(os.environ["ENDPOINT_NAME"], picture))
    return {"statusCode": 200, "body": json.dumps({"inferences": scores})}


def decode(image_data: str) -> bytes:
    """Return the bytes of the base64 text `image_data`. Raises EventInvalid."""
    try:
        return base64.b64decode(image_data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise EventInvalid(f"image_data is not base64 text: {error}") from None


def content_type(picture: bytes) -> str:
    """Return the MIME type the picture's first bytes tell, or application/x-image."""
    if picture.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if picture.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    return "application/x-image"


def invoke(endpoint: str, picture: bytes) -> bytes:
    """Return what the endpoint answers to `picture`. Raises as `lambda_handler` does."""
    try:
        answer = runtime().invoke_endpoint(
            EndpointName=endpoint, ContentType=content_type(picture), Accept="application/json", Body=picture
        )
        data: bytes = answer["Body"].read()
        return data
    except ClientError as error:
        raise named_error(endpoint, error) from None
    except ReadTimeoutError:
        raise InferenceFailed(f"endpoint {endpoint} did not answer within {READ_TIMEOUT} s") from None
    except (ConnectionError, HTTPClientError) as error:
        raise EndpointThrottled(f"endpoint {endpoint} cannot be reached: {error}") from None


def named_error(endpoint: str, error: ClientError) -> Exception:
    """Return the error of the contract that SageMaker's `error` stands for, or `error` itself."""
    unknown: Exception = error
    code, message = str(error.response["Error"]["Code"]), str(error.response["Error"].get("Message", ""))
    if code in BUSY:
        return EndpointThrottled(f"endpoint {endpoint} is busy: {code}")
    if code in ("ValidationError", "ValidationException") and NOT_THERE.search(message):
        command = os.environ.get("DEPLOY_COMMAND", "make deploy")
        return EndpointUnavailable(f"endpoint {endpoint} is not in service: bring it back with `{command}`")
    if code == "ModelError":
        status = int(error.response.get("OriginalStatusCode", 500))
        said = " ".join(str(error.response.get("OriginalMessage") or message).split())[:500]
        if status in PICTURE_REFUSED:
            return ImageInvalid(f"the model refused the picture ({status}): {said}")
        if status in CONTAINER_BUSY:
            return EndpointThrottled(f"the model's container is busy ({status}): {said}")
        return InferenceFailed(f"the model failed ({status}): {said}")
    if code in ("ValidationError", "ValidationException"):
        return InferenceFailed(f"endpoint {endpoint} refused the request: {message}")
    return unknown


def read_scores(answer: bytes) -> list[float]:
    """Return the scores in the endpoint's answer. Raises InferenceFailed."""
    try:
        scores = json.loads(answer)
    except ValueError:
        raise InferenceFailed(f"the endpoint's answer is not JSON: {answer[:100]!r}") from None
    if not isinstance(scores, list) or not scores or not all(is_score(score) for score in scores):
        raise InferenceFailed(f"the endpoint's answer is not a list of scores from 0 to 1: {answer[:100]!r}")
    classes = json.loads(os.environ.get("CLASSES", "[]"))
    if classes and len(scores) != len(classes):
        raise InferenceFailed(
            f"the endpoint answers {len(scores)} scores for the {len(classes)} classes {', '.join(classes)}: "
            "deploy a model that was trained for them"
        )
    return [float(score) for score in scores]


@cache
def runtime() -> Any:
    """Return the SageMaker runtime client, one for the life of this worker."""
    config = Config(
        connect_timeout=3, read_timeout=READ_TIMEOUT, retries={"mode": "standard", "total_max_attempts": 2}
    )
    return boto3.client("sagemaker-runtime", config=config)
