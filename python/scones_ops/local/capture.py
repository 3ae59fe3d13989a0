"""Data capture of an endpoint: what went in and out, as SageMaker writes it to S3.

JSON Lines under DestinationS3Uri/<endpoint>/<variant>/yyyy/mm/dd/hh/mm-ss-mmm-<uuid>.jsonl, in UTC, named by
the time of its first record. SageMaker closes a file after about a minute; this writer after `FLUSH_SECONDS`.
"""

from __future__ import annotations

import base64
import json
import logging
import secrets
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from scones_ops.local.s3_uris import split_s3_uri

log = logging.getLogger("scones.local.sagemaker")

FLUSH_SECONDS = 2.0
_MOST_BYTES = 4_000_000

Put = Callable[[str, str, bytes], None]  # bucket, key, body


@dataclass(frozen=True)
class CaptureSettings:
    """DataCaptureConfig of an endpoint configuration."""

    percentage: int
    bucket: str
    prefix: str  # without a slash at the end
    modes: frozenset[str]  # of "Input", "Output"
    csv_types: frozenset[str]
    json_types: frozenset[str]

    @classmethod
    def from_config(cls, config: dict[str, Any] | None) -> CaptureSettings | None:
        """Return the settings, or None where nothing is captured."""
        if not config or not config.get("EnableCapture"):
            return None
        bucket, prefix = split_s3_uri(config["DestinationS3Uri"])
        modes: set[str] = set()
        for option in config.get("CaptureOptions") or []:
            mode = option["CaptureMode"]
            modes |= {"Input", "Output"} if mode == "InputAndOutput" else {mode}
        types = config.get("CaptureContentTypeHeader") or {}
        return cls(
            percentage=config["InitialSamplingPercentage"],
            bucket=bucket,
            prefix=prefix.rstrip("/"),
            modes=frozenset(modes),
            csv_types=frozenset(types.get("CsvContentTypes") or ()),
            json_types=frozenset(types.get("JsonContentTypes") or ()),
        )


@dataclass(frozen=True)
class Exchange:
    """One invocation: what the container got and gave."""

    variant: str
    content_type: str
    body: bytes
    answer_type: str
    answer: bytes
    at: datetime
    event_id: str
    inference_id: str | None = None
    custom_attributes: str | None = None


def capture_record(exchange: Exchange, settings: CaptureSettings) -> str:
    """Return the exchange as one line, with SageMaker's keys in SageMaker's order (eventVersion 0)."""
    data: dict[str, Any] = {}
    if "Input" in settings.modes:
        data["endpointInput"] = _side("INPUT", exchange.content_type, exchange.body, settings)
    if "Output" in settings.modes:
        data["endpointOutput"] = _side("OUTPUT", exchange.answer_type, exchange.answer, settings)
    metadata: dict[str, Any] = {"eventId": exchange.event_id}
    if exchange.custom_attributes:
        metadata["customAttributes"] = [exchange.custom_attributes]
    if exchange.inference_id:
        metadata["inferenceId"] = exchange.inference_id
    metadata["inferenceTime"] = exchange.at.strftime("%Y-%m-%dT%H:%M:%SZ")
    record = {"captureData": data, "eventMetadata": metadata, "eventVersion": "0"}
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False)


def _side(mode: str, content_type: str, body: bytes, settings: CaptureSettings) -> dict[str, str]:
    kind = content_type.split(";")[0].strip().lower()
    side = {"observedContentType": content_type, "mode": mode}
    for encoding, types in (("JSON", settings.json_types), ("CSV", settings.csv_types)):
        if kind in types:
            return {**side, "data": body.decode(errors="replace"), "encoding": encoding}
    return {**side, "data": base64.b64encode(body).decode(), "encoding": "BASE64"}


def capture_key(prefix: str, endpoint: str, variant: str, first: datetime, unique: str) -> str:
    """Return the S3 key of the file whose first record is of that time (UTC)."""
    folder = f"{prefix}/{endpoint}" if prefix else endpoint
    millisecond = first.microsecond // 1000
    return f"{folder}/{variant}/{first:%Y/%m/%d/%H/%M-%S}-{millisecond:03d}-{unique}.jsonl"


class CaptureWriter:
    """Gathers the records of one endpoint and writes them in the background."""

    def __init__(self, endpoint: str, settings: CaptureSettings, put: Put) -> None:
        self.endpoint = endpoint
        self.settings = settings
        self._put = put
        self._waiting: dict[str, list[tuple[datetime, str]]] = {}
        self._bytes = 0
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"capture {endpoint}", daemon=True)
        self._thread.start()

    def add(self, exchange: Exchange) -> None:
        """Take the exchange in, if the sample takes it."""
        if secrets.randbelow(100) >= self.settings.percentage or not self.settings.modes:
            return
        line = capture_record(exchange, self.settings)
        with self._changed:
            self._waiting.setdefault(exchange.variant, []).append((exchange.at, line))
            self._bytes += len(line)
            self._changed.notify()

    def close(self) -> None:
        """Write what waits and end; safe to call twice."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        closed = False
        while not closed:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._waiting)
                self._changed.wait_for(lambda: self._closed or self._bytes > _MOST_BYTES, FLUSH_SECONDS)
                waiting, self._waiting, self._bytes, closed = self._waiting, {}, 0, self._closed
            for variant, records in waiting.items():
                self._write(variant, records)

    def _write(self, variant: str, records: list[tuple[datetime, str]]) -> None:
        key = capture_key(self.settings.prefix, self.endpoint, variant, records[0][0], str(uuid.uuid4()))
        body = "".join(f"{line}\n" for _, line in records).encode()
        try:
            self._put(self.settings.bucket, key, body)
        except Exception as error:
            # The endpoint serves on: as on AWS, capture that cannot be written is lost.
            log.warning("data capture of %s is lost: %s", self.endpoint, error)


def new_exchange(**values: Any) -> Exchange:
    """Return an exchange of now with an id of its own."""
    return Exchange(at=datetime.now(UTC), event_id=str(uuid.uuid4()), **values)
