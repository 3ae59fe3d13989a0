"""What a Lambda worker writes, cut into log events, and the platform's own lines around an invocation.

Format: https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html#python-logging-output
"""

from __future__ import annotations

import base64
import math
import time
from dataclasses import dataclass, field

from moto.logs.models import logs_backends

# awslambdaric frames what the logging module writes: type (4 bytes, starts with these three), length (4),
# microseconds (8), message. 0xA5 begins no UTF-8 character, so a frame is told from a printed line.
_FRAME_START = b"\xa5\x5a\x00"
_FRAME_HEAD = 16
_TAIL_BYTES = 4096


@dataclass
class LogCutter:
    """Collects a worker's output and yields whole events: one for each frame and for each printed line."""

    _rest: bytes = b""
    events: list[tuple[int, str]] = field(default_factory=list)

    def feed(self, data: bytes) -> None:
        """Take the next bytes of output."""
        self._rest += data
        while self._rest:
            cut = self._frame() if self._rest.startswith(_FRAME_START) else self._line()
            if not cut:
                return

    def take(self) -> list[tuple[int, str]]:
        """Return the (milliseconds, message) events so far, an unfinished line included, and forget them."""
        if self._rest and not self._rest.startswith(_FRAME_START):
            self._add(self._rest)
            self._rest = b""
        events, self.events = self.events, []
        return events

    def _frame(self) -> bool:
        if len(self._rest) < _FRAME_HEAD:
            return False
        length = int.from_bytes(self._rest[4:8], "big")
        if len(self._rest) < _FRAME_HEAD + length:
            return False
        self._add(self._rest[_FRAME_HEAD : _FRAME_HEAD + length])
        self._rest = self._rest[_FRAME_HEAD + length :]
        return True

    def _line(self) -> bool:
        end = self._rest.find(b"\n")
        frame = self._rest.find(_FRAME_START)
        if frame >= 0 and (end < 0 or frame < end):
            self._add(self._rest[:frame])
            self._rest = self._rest[frame:]
            return True
        if end < 0:
            return False
        self._add(self._rest[: end + 1])
        self._rest = self._rest[end + 1 :]
        return True

    def _add(self, text: bytes) -> None:
        self.events.append((now_ms(), text.decode(errors="replace").replace("\r", "\n")))


@dataclass(frozen=True)
class Report:
    """The measures of one invocation; milliseconds and megabytes."""

    duration_ms: float
    memory_size_mb: int
    memory_used_mb: int
    init_ms: float | None = None
    status: str = ""

    def line(self, request_id: str) -> str:
        """Return AWS's REPORT line."""
        parts = [
            f"REPORT RequestId: {request_id}",
            f"Duration: {self.duration_ms:.2f} ms",
            f"Billed Duration: {math.ceil(self.duration_ms + (self.init_ms or 0))} ms",
            f"Memory Size: {self.memory_size_mb} MB",
            f"Max Memory Used: {self.memory_used_mb} MB",
        ]
        if self.init_ms is not None:
            parts.append(f"Init Duration: {self.init_ms:.2f} ms")
        if self.status:
            parts.append(self.status)
        return "\t".join(parts) + "\t\n"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def write_events(account: str, region: str, group: str, stream: str, events: list[tuple[int, str]]) -> None:
    """Append the events to the log stream, creating group and stream as the service does."""
    backend = logs_backends[account][region]
    backend.ensure_log_group(group)
    if stream not in backend.groups[group].streams:
        backend.create_log_stream(group, stream)
    backend.put_log_events(
        group,
        stream,
        [{"timestamp": stamp, "message": text.rstrip("\n")} for stamp, text in events if text.strip()],
    )


def tail(events: list[tuple[int, str]]) -> str:
    """Return the last 4 KB of the log as the Invoke answer carries it: base64."""
    text = "".join(text if text.endswith("\n") else text + "\n" for _, text in events).encode()
    return base64.b64encode(text[-_TAIL_BYTES:]).decode()
