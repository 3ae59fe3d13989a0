"""What the local AWS has to tell: its server's log, and the log groups of CloudWatch Logs in it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# Where each service writes, as on AWS.
SERVICES = {
    "lambda": "/aws/lambda/",
    "training": "/aws/sagemaker/TrainingJobs",
    "endpoint": "/aws/sagemaker/Endpoints/",
    "states": "/aws/vendedlogs/states/",
}
POLL_SECONDS = 0.5


def server_lines(path: Path, *, last: int, follow: bool) -> Iterator[str]:
    """Yield the last lines of the server's log, and with `follow` those that come after, for ever."""
    if not path.exists():
        return
    with path.open(errors="replace") as log:
        for line in deque(log, maxlen=last):
            yield line.rstrip("\n")
        while follow:
            line = log.readline()
            if line:
                yield line.rstrip("\n")
            else:
                time.sleep(POLL_SECONDS)


def group_lines(client: Any, prefix: str, *, last: int, follow: bool) -> Iterator[str]:
    """Yield the last events of the log groups under `prefix`, oldest first, each as `time group message`.

    `client` is boto3's of CloudWatch Logs. With `follow`, later events are yielded too, for ever.
    """
    seen: set[str] = set()
    first = True
    while first or follow:
        events = [event for event in _events(client, prefix) if event["eventId"] not in seen]
        for event in events[-last:] if first else events:
            yield _line(event)
        seen.update(event["eventId"] for event in events)
        first = False
        if follow:
            time.sleep(POLL_SECONDS)


def _events(client: Any, prefix: str) -> list[dict[str, Any]]:
    events = []
    for page in client.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix):
        for group in page["logGroups"]:
            name = group["logGroupName"]
            for part in client.get_paginator("filter_log_events").paginate(
                logGroupName=name, interleaved=True
            ):
                events += [event | {"group": name} for event in part["events"]]
    return sorted(events, key=lambda event: event["timestamp"])


def _line(event: dict[str, Any]) -> str:
    moment = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d} {event['group']} {event['message'].rstrip()}"
