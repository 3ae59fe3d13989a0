"""Data capture: records, keys and the writer, without a server."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime

from scones_ops.local import capture
from scones_ops.local.capture import CaptureSettings, CaptureWriter, Exchange

CONFIG = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 100,
    "DestinationS3Uri": "s3://bucket/data_capture/",
    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    "CaptureContentTypeHeader": {
        "JsonContentTypes": ["application/json"],
        "CsvContentTypes": ["text/csv"],
    },
}
AT = datetime(2026, 3, 4, 5, 6, 7, 89_000, tzinfo=UTC)


def settings(**changes: object) -> CaptureSettings:
    found = CaptureSettings.from_config({**CONFIG, **changes})
    assert found
    return found


def exchange(**changes: object) -> Exchange:
    values: dict[str, object] = {
        "variant": "AllTraffic",
        "content_type": "image/png",
        "body": b"\x89PNG\xff",
        "answer_type": "application/json",
        "answer": b"[0.75, 0.25]",
        "at": AT,
        "event_id": "an-id",
    }
    return Exchange(**{**values, **changes})  # type: ignore[arg-type]


def test_a_record_has_sagemakers_keys_in_sagemakers_order() -> None:
    line = capture.capture_record(exchange(), settings())
    picture = base64.b64encode(b"\x89PNG\xff").decode()
    assert line == (
        '{"captureData":{"endpointInput":{"observedContentType":"image/png","mode":"INPUT",'
        f'"data":"{picture}","encoding":"BASE64"}},'
        '"endpointOutput":{"observedContentType":"application/json","mode":"OUTPUT",'
        '"data":"[0.75, 0.25]","encoding":"JSON"}},'
        '"eventMetadata":{"eventId":"an-id","inferenceTime":"2026-03-04T05:06:07Z"},"eventVersion":"0"}'
    )


def test_text_stays_text_only_for_the_content_types_named() -> None:
    record = json.loads(capture.capture_record(exchange(content_type="text/csv; charset=utf-8"), settings()))
    assert record["captureData"]["endpointInput"]["encoding"] == "CSV"
    record = json.loads(capture.capture_record(exchange(), settings(CaptureContentTypeHeader=None)))
    assert record["captureData"]["endpointOutput"]["encoding"] == "BASE64"


def test_only_the_chosen_sides_are_captured() -> None:
    record = json.loads(
        capture.capture_record(exchange(), settings(CaptureOptions=[{"CaptureMode": "Output"}]))
    )
    assert list(record["captureData"]) == ["endpointOutput"]


def test_an_inference_id_and_custom_attributes_are_told() -> None:
    record = json.loads(
        capture.capture_record(exchange(inference_id="mine", custom_attributes="a=b"), settings())
    )
    assert record["eventMetadata"]["inferenceId"] == "mine"
    assert record["eventMetadata"]["customAttributes"] == ["a=b"]


def test_the_key_is_endpoint_variant_hour_and_the_time_of_the_first_record() -> None:
    key = capture.capture_key("data_capture", "ep", "AllTraffic", AT, "u-u-i-d")
    assert key == "data_capture/ep/AllTraffic/2026/03/04/05/06-07-089-u-u-i-d.jsonl"
    assert capture.capture_key("", "ep", "v", AT, "u").startswith("ep/v/2026/")


def test_capture_that_is_off_has_no_settings() -> None:
    assert CaptureSettings.from_config(None) is None
    assert CaptureSettings.from_config({**CONFIG, "EnableCapture": False}) is None


def test_the_writer_batches_records_of_a_variant_into_one_file() -> None:
    files: list[tuple[str, str, bytes]] = []
    writer = CaptureWriter("ep", settings(), lambda *file: files.append(file))
    for number in range(5):
        writer.add(exchange(event_id=str(number)))
    writer.add(exchange(variant="other"))
    writer.close()
    assert len(files) == 2
    bucket, key, body = files[0]
    assert bucket == "bucket" and key.startswith("data_capture/ep/AllTraffic/2026/03/04/05/06-07-089-")
    assert body.endswith(b"\n")
    ids = [json.loads(line)["eventMetadata"]["eventId"] for line in body.splitlines()]
    assert ids == ["0", "1", "2", "3", "4"]


def test_the_writer_writes_by_itself_after_a_while() -> None:
    files: list[tuple[str, str, bytes]] = []
    writer = CaptureWriter("ep", settings(), lambda *file: files.append(file))
    writer.add(exchange())
    deadline = time.monotonic() + capture.FLUSH_SECONDS + 5
    while not files and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(files) == 1
    writer.close()
    assert len(files) == 1


def test_a_share_of_the_invocations_is_sampled() -> None:
    lines: list[bytes] = []
    writer = CaptureWriter(
        "ep", settings(InitialSamplingPercentage=30), lambda _b, _k, body: lines.append(body)
    )
    for _ in range(2000):
        writer.add(exchange())
    writer.close()
    taken = sum(body.count(b"\n") for body in lines)
    assert 450 < taken < 750


def test_a_write_that_fails_does_not_end_the_writer() -> None:
    bodies: list[bytes] = []

    def put(_bucket: str, _key: str, body: bytes) -> None:
        if not bodies:
            bodies.append(b"failed")
            raise OSError("no such bucket")
        bodies.append(body)

    writer = CaptureWriter("ep", settings(), put)
    writer.add(exchange(variant="one"))
    writer.add(exchange(variant="two"))
    writer.close()
    assert len(bodies) == 2 and bodies[1].startswith(b'{"captureData"')
