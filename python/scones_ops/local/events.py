"""EventBridge: what S3 and PutEvents send reaches the rules' targets, transformed as the rule says.

Moto knows few targets and swallows every failure. Event format of S3:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
"""

from __future__ import annotations

import logging
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moto.events.models import Rule, events_backends
from moto.s3 import notifications as s3_notifications

from scones_ops.local.events_input import InputInvalid, target_input
from scones_ops.local.events_targets import DeliveryFailed, deliver, send_to_dead_letter_queue

log = logging.getLogger("scones.local.events")

# How S3 names the request behind an event.
S3_REASONS = {
    "ObjectCreated:Put": "PutObject",
    "ObjectCreated:Post": "POST Object",
    "ObjectCreated:Copy": "CopyObject",
    "ObjectCreated:CompleteMultipartUpload": "CompleteMultipartUpload",
    "ObjectRemoved:Delete": "DeleteObject",
    "ObjectRemoved:DeleteMarkerCreated": "DeleteObject",
}

_deliveries: ThreadPoolExecutor


def install(home: Path) -> None:
    """Make events reach their targets."""
    global _deliveries
    _deliveries = ThreadPoolExecutor(max_workers=8, thread_name_prefix="event")
    Rule.send_to_targets = _send_to_targets
    s3_notifications._send_event_bridge_message = _send_s3_event


def close() -> None:
    """Drop the events that have not been delivered."""
    _deliveries.shutdown(wait=False, cancel_futures=True)


def _send_to_targets(self: Rule, original_event: dict[str, Any], transform_input: bool = True) -> None:
    """Deliver the event to the rule's targets if it is enabled and matches; returns before it has arrived."""
    if self.state == "DISABLED" or not (self.event_pattern and self.event_pattern.get_pattern()):
        return
    event = {name: value for name, value in original_event.items() if name != "ingestion-time"}
    event["time"] = _time_text(event.get("time"))
    if not self.event_pattern.matches_event(event):
        return
    for target in list(self.targets):
        _deliveries.submit(_deliver, self, dict(target), event)


def _deliver(rule: Rule, target: dict[str, Any], event: dict[str, Any]) -> None:
    try:
        deliver(rule.account_id, rule.region_name, target, target_input(target, event, rule))
    except InputInvalid as error:
        failure = DeliveryFailed("INVALID_JSON", str(error))
    except DeliveryFailed as error:
        failure = error
    except Exception:
        log.exception("rule %s: target %s", rule.name, target.get("Arn"))
        failure = DeliveryFailed("INTERNAL_ERROR", "the local AWS failed: read its log")
    else:
        return
    log.warning("rule %s: target %s: %s", rule.name, target.get("Arn"), failure)
    queue = (target.get("DeadLetterConfig") or {}).get("Arn")
    if queue:
        try:
            send_to_dead_letter_queue(queue, rule.arn, target["Arn"], event, failure)
        except Exception as error:
            log.error("rule %s: the event is lost, dead-letter queue %s: %s", rule.name, queue, error)


def _send_s3_event(account_id: str, bucket: Any, event_name: str, key: Any) -> None:
    """Put S3's event on the default bus."""
    name = str(getattr(event_name, "value", event_name)).removeprefix("s3:")
    if name == "ObjectCreated:Put" and key.multipart is not None:
        return  # S3 tells of the completed upload only, moto also of the object that it makes then.
    kind = s3_notifications._detail_type(event_name)
    item = {"key": key.name, "sequencer": f"{time.time_ns():016X}"}
    if kind == "Object Created":
        item |= {"size": key.size, "etag": key.etag.strip('"')}
    if getattr(bucket, "is_versioned", False):
        item["version-id"] = key.version_id
    detail: dict[str, Any] = {
        "version": "0",
        "bucket": {"name": bucket.name},
        "object": item,
        "request-id": uuid.uuid4().hex[:16].upper(),
        "requester": account_id,
        "source-ip-address": "127.0.0.1",
    }
    if name in S3_REASONS:
        detail["reason"] = S3_REASONS[name]
    if kind == "Object Deleted":
        marker = name == "ObjectRemoved:DeleteMarkerCreated"
        detail["deletion-type"] = "Delete Marker Created" if marker else "Permanently Deleted"
    event = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": kind,
        "source": "aws.s3",
        "account": account_id,
        "time": time.time(),
        "region": bucket.region_name,
        "resources": [bucket.arn],
        "detail": detail,
    }
    bus = events_backends[account_id][bucket.region_name].event_buses["default"]
    for rule in list(bus.rules.values()):
        rule.send_to_targets(event)


def _time_text(value: Any) -> str:
    """Return an event's time as EventBridge writes it: UTC to the second."""
    if isinstance(value, str):
        return value
    moment = (
        value if isinstance(value, datetime) else datetime.fromtimestamp(float(value or time.time()), UTC)
    )
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
