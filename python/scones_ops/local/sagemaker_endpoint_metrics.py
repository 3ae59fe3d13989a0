"""The metrics SageMaker itself publishes of every endpoint, in CloudWatch's namespace AWS/SageMaker."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.core.utils import utcnow

from scones_ops.local.context import CONTEXT

log = logging.getLogger("scones.local.sagemaker")

FLUSH_SECONDS = 5.0


@dataclass(frozen=True)
class Invocation:
    """One call of a container: the status it gave and the time it took."""

    endpoint: str
    variant: str
    status: int
    latency: timedelta


def metric_data(invocations: Iterable[Invocation], at: datetime) -> list[dict[str, Any]]:
    """Return PutMetricData's entries: each metric of each variant as a statistic set; ModelLatency in µs."""
    values: dict[tuple[str, str, str, str], list[float]] = {}
    for item in invocations:
        for name, unit, value in (
            ("Invocations", "None", 1.0),
            ("ModelLatency", "Microseconds", item.latency / timedelta(microseconds=1)),
            ("Invocation4XXErrors", "None", float(400 <= item.status < 500)),
            ("Invocation5XXErrors", "None", float(item.status >= 500)),
        ):
            values.setdefault((item.endpoint, item.variant, name, unit), []).append(value)
    return [
        {
            "MetricName": name,
            "Dimensions": [
                {"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}
            ],
            "Timestamp": at,
            "Unit": unit,
            "StatisticValues": {
                "SampleCount": len(numbers),
                "Sum": sum(numbers),
                "Minimum": min(numbers),
                "Maximum": max(numbers),
            },
        }
        for (endpoint, variant, name, unit), numbers in values.items()
    ]  # fmt: skip


class InvocationMetrics:
    """Gathers invocations and publishes them every FLUSH_SECONDS, once there is one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Invocation] = []
        self._thread: threading.Thread | None = None

    def add(self, invocation: Invocation) -> None:
        """Count one invocation."""
        with self._lock:
            self._waiting.append(invocation)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="endpoint metrics", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            time.sleep(FLUSH_SECONDS)
            with self._lock:
                waiting, self._waiting = self._waiting, []
            if not waiting:
                continue
            try:
                backend = cloudwatch_backends[CONTEXT.account][CONTEXT.region]
                backend.put_metric_data("AWS/SageMaker", metric_data(waiting, utcnow()))
            except Exception as error:
                # The endpoint serves on; what could not be published is lost, so that nothing piles up.
                log.warning("metrics of %s invocations are lost: %s", len(waiting), error)
