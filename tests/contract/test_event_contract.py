"""The six events of the workflow, as real handlers take and give them."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import jsonschema
import numpy as np
import pytest
from contract_parts import BUCKET, load_handler, picture_bytes, validate
from PIL import Image

KEY = "test/bicycle_s_000513.png"
SCORES = [0.9969943761825562, 0.0030055944807827473]
SERIALIZE_IN = {"inferences": [], "s3_key": KEY, "s3_bucket": BUCKET, "image_data": ""}


def forms(answer: dict[str, Any]) -> list[Any]:
    """Return an answer in every form in which the next step may get it."""
    body = answer["body"]
    body_object = json.loads(body) if isinstance(body, str) else body
    return [
        {"statusCode": 200, "body": body_object},
        {"statusCode": 200, "body": json.dumps(body_object)},
        {"body": body_object},
        body_object,
    ]


@pytest.fixture
def pixels(s3: Any) -> np.ndarray:
    """The pixels, (32, 32, 3) uint8, of the picture at KEY."""
    values = np.random.default_rng(7).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=picture_bytes(Image.fromarray(values)))
    return values


@pytest.mark.parametrize("form", range(4))
def test_serialize_takes_every_form_and_answers_in_the_contracts_shape(
    serialize: ModuleType, pixels: np.ndarray, form: int
) -> None:
    event = forms({"body": SERIALIZE_IN})[form]
    validate(event, "serialize_image_in")
    answer = serialize.lambda_handler(event, None)
    validate(answer, "serialize_image_out")
    body = answer["body"]
    assert set(answer) == {"statusCode", "body"}
    assert (body["s3_bucket"], body["s3_key"], body["inferences"]) == (BUCKET, KEY, [])
    decoded = Image.open(io.BytesIO(base64.b64decode(body["image_data"])))
    assert np.array_equal(np.asarray(decoded), pixels)


def test_a_version_in_the_event_changes_nothing_in_the_answers_shape(
    serialize: ModuleType, s3: Any, pixels: np.ndarray
) -> None:
    version = s3.list_object_versions(Bucket=BUCKET)["Versions"][0]["VersionId"]
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"overwritten by something else")
    event = SERIALIZE_IN | {"s3_version": version}
    validate(event, "serialize_image_in")
    answer = serialize.lambda_handler(event, None)
    validate(answer, "serialize_image_out")
    assert len(answer["body"]["image_data"]) > 1000


@pytest.mark.parametrize("version", ["", None])
def test_an_empty_version_means_the_newest(
    serialize: ModuleType, pixels: np.ndarray, version: object
) -> None:
    event = SERIALIZE_IN | {"s3_version": version}
    validate(event, "serialize_image_in")
    assert serialize.lambda_handler(event, None)["statusCode"] == 200


@pytest.mark.parametrize("form", range(4))
def test_classify_takes_every_form_and_answers_with_json_text(
    classify: ModuleType, answers: Callable[..., None], form: int
) -> None:
    png = picture_bytes(Image.new("RGB", (32, 32), "red"))
    image_data = base64.b64encode(png).decode()
    before = {"statusCode": 200, "body": SERIALIZE_IN | {"image_data": image_data}}
    event = forms(before)[form]
    validate(event, "classify_image_in")
    answers(SCORES, Body=png, ContentType="image/png")
    answer = classify.lambda_handler(event, None)
    validate(answer, "classify_image_out")
    assert answer == {
        "statusCode": 200,
        "body": '{"inferences": [0.9969943761825562, 0.0030055944807827473]}',
    }
    validate(json.loads(answer["body"]), "classify_image_out", "body")


@pytest.mark.parametrize("form", range(4))
def test_filter_takes_every_form_and_answers_with_ones_and_zeros(
    filter_classes: ModuleType, form: int
) -> None:
    before = {
        "statusCode": 200,
        "body": '{"inferences": [0.9969943761825562, 0.0030055944807827473]}',
    }
    event = forms(before)[form]
    validate(event, "filter_classes_in")
    answer = filter_classes.lambda_handler(event, None)
    validate(answer, "filter_classes_out")
    assert answer == {"statusCode": 200, "body": {"inferences": [1.0, 0.0]}}


def test_each_answer_is_the_next_steps_event(
    serialize: ModuleType,
    classify: ModuleType,
    filter_classes: ModuleType,
    answers: Callable[..., None],
    pixels: np.ndarray,
) -> None:
    answers(SCORES)
    serialized = json.loads(json.dumps(serialize.lambda_handler(SERIALIZE_IN, None)))
    validate(serialized, "classify_image_in")
    classified = json.loads(json.dumps(classify.lambda_handler(serialized, None)))
    validate(classified, "filter_classes_in")
    filtered = json.loads(json.dumps(filter_classes.lambda_handler(classified, None)))
    assert filtered["body"]["inferences"] == [1.0, 0.0]


@pytest.mark.parametrize("name", ["serialize_image", "classify_image", "filter_classes"])
def test_what_the_schemas_refuse_the_handlers_refuse(name: str, s3: Any) -> None:
    handler = load_handler(name)
    for event in (
        {},
        [],
        "text",
        None,
        7,
        {"body": None},
        {"body": "not json"},
        {"body": "[]"},
        {"body": {}},
    ):
        if event != {"body": "not json"} and event != {"body": "[]"}:  # text is judged by what it holds
            with pytest.raises(jsonschema.ValidationError):
                validate(event, f"{name}_in")
        with pytest.raises(Exception) as caught:
            handler.lambda_handler(event, None)
        assert type(caught.value).__name__ == "EventInvalid", event
        assert "\n" not in str(caught.value)
