"""Every error of the contract, by its class name: that name is all the state machine sees."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from contract_parts import BUCKET, ENDPOINT, picture_bytes
from PIL import Image

IMAGE_DATA = base64.b64encode(picture_bytes(Image.new("RGB", (8, 8)))).decode()


def error_of(handler: ModuleType, event: object) -> tuple[str, str]:
    """Return class name and message of what the handler raises."""
    with pytest.raises(Exception) as caught:
        handler.lambda_handler(event, None)
    assert "\n" not in str(caught.value)
    return type(caught.value).__name__, str(caught.value)


# --- serialize ---


def test_a_missing_picture_is_not_found(serialize: ModuleType) -> None:
    name, message = error_of(serialize, {"s3_bucket": BUCKET, "s3_key": "gone.png"})
    assert name == "ImageNotFound"
    assert f"s3://{BUCKET}/gone.png" in message


@pytest.mark.parametrize(
    ("key", "data", "error"),
    [("a/", b"", "FolderMarker"), ("a.png", b"", "ImageInvalid"), ("b/", b"text", "ImageInvalid")],
)
def test_only_an_empty_object_whose_key_ends_in_a_slash_is_a_folder(
    serialize: ModuleType, s3: Any, key: str, data: bytes, error: str
) -> None:
    s3.put_object(Bucket=BUCKET, Key=key, Body=data)
    assert error_of(serialize, {"s3_bucket": BUCKET, "s3_key": key})[0] == error


def test_a_missing_bucket_is_not_found(serialize: ModuleType) -> None:
    assert error_of(serialize, {"s3_bucket": "no-such-bucket", "s3_key": "a.png"})[0] == "ImageNotFound"


def test_a_missing_version_is_not_found(serialize: ModuleType, s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="a.png", Body=b"x")
    event = {"s3_bucket": BUCKET, "s3_key": "a.png", "s3_version": "3HL4kqtJvjVBH40Nrjfkd00000000000"}
    assert error_of(serialize, event)[0] == "ImageNotFound"


def test_a_deleted_picture_is_not_found(serialize: ModuleType, s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="a.png", Body=b"x")
    s3.delete_object(Bucket=BUCKET, Key="a.png")
    assert error_of(serialize, {"s3_bucket": BUCKET, "s3_key": "a.png"})[0] == "ImageNotFound"


def test_access_denied_is_not_found_only_where_s3_names_the_missing_list_permission(
    serialize: ModuleType,
) -> None:
    event = {"s3_bucket": BUCKET, "s3_key": "a.png"}
    with Stubber(serialize.s3()) as stub:
        stub.add_client_error(
            "get_object", "AccessDenied", "User: arn:x is not authorized to perform: s3:ListBucket on y", 403
        )
        stub.add_client_error(
            "get_object", "AccessDenied", "User: arn:x is not authorized to perform: s3:GetObject on y", 403
        )
        assert error_of(serialize, event)[0] == "ImageNotFound"
        with pytest.raises(ClientError):
            serialize.lambda_handler(event, None)


@pytest.mark.parametrize("key", ["a b+c%20d.png", "mit Umlaut ü.png", "自転車.png", 'quote".png', "x" * 1024])
def test_keys_are_taken_as_they_are(serialize: ModuleType, s3: Any, key: str) -> None:
    s3.put_object(Bucket=BUCKET, Key=key, Body=picture_bytes(Image.new("RGB", (4, 4))))
    assert serialize.lambda_handler({"s3_bucket": BUCKET, "s3_key": key}, None)["body"]["s3_key"] == key


@pytest.mark.parametrize(
    "event",
    [
        {"s3_bucket": BUCKET},
        {"s3_key": "a.png"},
        {"s3_bucket": BUCKET, "s3_key": ""},
        {"s3_bucket": BUCKET, "s3_key": 7},
        {"s3_bucket": BUCKET, "s3_key": ["a.png"]},
        {"s3_bucket": "Not A Bucket", "s3_key": "a.png"},
        {"s3_bucket": BUCKET, "s3_key": "a.png", "s3_version": 7},
    ],
)
def test_an_event_that_names_no_object_is_invalid(serialize: ModuleType, event: object) -> None:
    assert error_of(serialize, event)[0] == "EventInvalid"


def test_bytes_that_are_no_picture_are_invalid(serialize: ModuleType, s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="notes.png", Body=b"just text\n" * 1_000_000)
    name, message = error_of(serialize, {"s3_bucket": BUCKET, "s3_key": "notes.png"})
    assert name == "ImageInvalid"
    assert f"s3://{BUCKET}/notes.png is not a picture" in message


def test_a_file_above_the_limit_is_refused_without_reading_it(serialize: ModuleType, s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="big.png", Body=b"\0" * (serialize.MAX_SOURCE_BYTES + 1))
    name, message = error_of(serialize, {"s3_bucket": BUCKET, "s3_key": "big.png"})
    assert name == "ImageInvalid"
    assert "20,971,521 bytes" in message


# --- classify ---


@pytest.mark.parametrize("image_data", ["not base64!", "abc", ""])
def test_image_data_that_is_not_base64_is_an_invalid_event(classify: ModuleType, image_data: str) -> None:
    assert error_of(classify, {"image_data": image_data})[0] == "EventInvalid"


@pytest.mark.parametrize(
    "message",
    [
        f"Endpoint {ENDPOINT} of account 123456789012 not found.",
        f'Could not find endpoint "arn:aws:sagemaker:us-east-1:123456789012:endpoint/{ENDPOINT}".',
        f"Endpoint {ENDPOINT} is not in service: its status is Creating.",
        f"Endpoint {ENDPOINT} of account 123456789012 is not InService.",
    ],
)
def test_an_endpoint_that_is_gone_names_the_command(
    classify: ModuleType, endpoint: Stubber, message: str
) -> None:
    endpoint.add_client_error("invoke_endpoint", "ValidationError", message, 400)
    name, told = error_of(classify, {"image_data": IMAGE_DATA})
    assert name == "EndpointUnavailable"
    assert ENDPOINT in told
    assert "`make deploy`" in told


def test_the_command_is_a_setting(
    classify: ModuleType, endpoint: Stubber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPLOY_COMMAND", "make deploy TARGET=aws")
    endpoint.add_client_error("invoke_endpoint", "ValidationError", "Endpoint x of account 1 not found.", 400)
    assert "`make deploy TARGET=aws`" in error_of(classify, {"image_data": IMAGE_DATA})[1]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ThrottlingException", 400),
        ("ServiceUnavailable", 503),
        ("ModelNotReadyException", 429),
        ("InternalFailure", 500),
    ],
)
def test_what_passes_by_itself_is_throttled(
    classify: ModuleType, endpoint: Stubber, code: str, status: int
) -> None:
    endpoint.add_client_error("invoke_endpoint", code, "later", status)
    assert error_of(classify, {"image_data": IMAGE_DATA})[0] == "EndpointThrottled"


@pytest.mark.parametrize(
    ("status", "expected"),
    [(400, "ImageInvalid"), (413, "ImageInvalid"), (415, "ImageInvalid"), (422, "ImageInvalid"),
     (429, "EndpointThrottled"), (503, "EndpointThrottled"),
     (404, "InferenceFailed"), (500, "InferenceFailed")],
)  # fmt: skip
def test_the_containers_status_tells_picture_from_model(
    classify: ModuleType, endpoint: Stubber, status: int, expected: str
) -> None:
    endpoint.add_client_error(
        "invoke_endpoint",
        "ModelError",
        "Received an error from primary",
        424,
        modeled_fields={"OriginalStatusCode": status, "OriginalMessage": "line one\nline two"},
    )
    name, message = error_of(classify, {"image_data": IMAGE_DATA})
    assert name == expected
    assert "line one line two" in message


def test_another_validation_error_is_the_models(classify: ModuleType, endpoint: Stubber) -> None:
    endpoint.add_client_error("invoke_endpoint", "ValidationError", "Body is too long", 400)
    assert error_of(classify, {"image_data": IMAGE_DATA})[0] == "InferenceFailed"


def test_a_denied_call_keeps_awss_own_error(classify: ModuleType, endpoint: Stubber) -> None:
    endpoint.add_client_error("invoke_endpoint", "AccessDeniedException", "no", 403)
    assert error_of(classify, {"image_data": IMAGE_DATA})[0] == "ClientError"


@pytest.mark.parametrize(
    "answer",
    [{}, [], "x", [0.5, "a"], [0.5, None], [1.5], [-0.1, 1], [True, False], [[0.5, 0.5]], [float("nan")]],
)
def test_an_answer_that_is_not_scores_is_a_failed_inference(
    classify: ModuleType, answers: Callable[..., None], answer: object
) -> None:
    answers(answer)
    assert error_of(classify, {"image_data": IMAGE_DATA})[0] == "InferenceFailed"


def test_scores_for_other_classes_are_a_failed_inference(
    classify: ModuleType, answers: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLASSES", json.dumps(["bicycle", "motorcycle"]))
    answers([0.1, 0.2, 0.7])
    name, message = error_of(classify, {"image_data": IMAGE_DATA})
    assert name == "InferenceFailed"
    assert "3 scores for the 2 classes bicycle, motorcycle" in message


def test_an_endpoint_that_cannot_be_reached_is_throttled(
    classify: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        client = classify.boto3.client(
            "sagemaker-runtime", endpoint_url=url, config=Config(retries={"total_max_attempts": 1})
        )
        monkeypatch.setattr(classify, "runtime", lambda: client)
        assert error_of(classify, {"image_data": IMAGE_DATA})[0] == "EndpointThrottled"


def test_jpeg_is_sent_as_jpeg(classify: ModuleType, answers: Callable[..., None]) -> None:
    jpeg = picture_bytes(Image.new("RGB", (8, 8)), "JPEG")
    answers([1.0, 0.0], Body=jpeg, ContentType="image/jpeg")
    assert classify.lambda_handler({"image_data": base64.b64encode(jpeg).decode()}, None)["statusCode"] == 200


# --- filter ---


@pytest.mark.parametrize(
    ("scores", "expected"), [([0.93, 0.07], [1.0, 0.0]), ([0.1, 0.95, 1], [0.0, 1.0, 1.0])]
)
def test_a_score_at_the_threshold_reaches_it(
    filter_classes: ModuleType, scores: list[float], expected: list[float]
) -> None:
    answer = filter_classes.lambda_handler({"inferences": scores}, None)
    assert answer["body"]["inferences"] == expected


def test_no_class_at_the_threshold_is_an_outcome_of_its_own(filter_classes: ModuleType) -> None:
    name, message = error_of(filter_classes, {"inferences": [0.9299999, 0.0700001]})
    assert name == "ThresholdConfidenceNotMet"
    assert "0.93" in message and "0.9299999" in message


@pytest.mark.parametrize(
    "scores",
    [None, [], "0.9", [0.5, "0.5"], [float("nan"), 1.0], [float("inf")], [1.2], [-0.1], [True], {"a": 1}],
)
def test_scores_that_are_no_probabilities_are_an_invalid_event(
    filter_classes: ModuleType, scores: object
) -> None:
    assert error_of(filter_classes, {"inferences": scores})[0] == "EventInvalid"


@pytest.mark.parametrize("threshold", ["0", "1.01", "nan", "high"])
def test_a_threshold_that_cannot_be_used_is_our_fault_not_the_events(
    filter_classes: ModuleType, monkeypatch: pytest.MonkeyPatch, threshold: str
) -> None:
    monkeypatch.setenv("THRESHOLD", threshold)
    assert error_of(filter_classes, {"inferences": [1.0]})[0] == "ValueError"
