"""The three handlers as their zips hold them, S3 by moto, and the endpoint stubbed at the client."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber
from contract_parts import BUCKET, ENDPOINT, load_handler
from moto import mock_aws


@pytest.fixture(autouse=True)
def aws_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("ENDPOINT_NAME", ENDPOINT)
    monkeypatch.setenv("THRESHOLD", "0.93")
    monkeypatch.delenv("CLASSES", raising=False)
    monkeypatch.delenv("DEPLOY_COMMAND", raising=False)


@pytest.fixture
def s3() -> Iterator[Any]:
    """An S3 client with the bucket BUCKET, versioned."""
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield client


@pytest.fixture
def serialize(s3: Any) -> ModuleType:
    return load_handler("serialize_image")


@pytest.fixture
def filter_classes() -> ModuleType:
    return load_handler("filter_classes")


@pytest.fixture
def classify() -> ModuleType:
    return load_handler("classify_image")


@pytest.fixture
def endpoint(classify: ModuleType) -> Iterator[Stubber]:
    """A stub in front of the classify handler's client; every answer put there must be asked for."""
    with Stubber(classify.runtime()) as stub:
        yield stub
        stub.assert_no_pending_responses()


@pytest.fixture
def answers(endpoint: Stubber) -> Callable[..., None]:
    """Make the endpoint answer the next call with `scores`, and check what it is asked."""

    def put(scores: Any, **expected: Any) -> None:
        body = json.dumps(scores).encode()
        endpoint.add_response(
            "invoke_endpoint",
            {"Body": StreamingBody(io.BytesIO(body), len(body)), "ContentType": "application/json"},
            {"EndpointName": ENDPOINT, "Accept": "application/json", **expected} if expected else None,
        )

    return put
