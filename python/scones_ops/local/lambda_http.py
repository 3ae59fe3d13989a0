"""Just enough of HTTP/1.1 to serve the Runtime API to one worker over a kept-alive connection."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass

_REASONS = {200: "OK", 202: "Accepted"}


@dataclass(frozen=True)
class Request:
    """One whole request, and the connection that waits for its answer."""

    connection: Connection
    method: str
    path: str
    body: bytes


class Connection:
    """One connection of the worker; its requests come one after another."""

    def __init__(self, accepted: socket.socket) -> None:
        self.socket = accepted
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(30)
        self.is_closed = False
        self._data = bytearray()

    def receive(self) -> Request | None:
        """Read once; returns the request if it is now whole. Sets `is_closed` at the connection's end."""
        try:
            data = self.socket.recv(1 << 18)
        except OSError:
            data = b""
        if not data:
            self.close()
            return None
        self._data += data
        return self._whole_request()

    def answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send the answer to the request that waits."""
        lines = [f"HTTP/1.1 {status} {_REASONS[status]}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)

    def close(self) -> None:
        self.is_closed = True
        self.socket.close()

    def _whole_request(self) -> Request | None:
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return None
        first, *lines = self._data[:end].decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        total = end + 4 + int(headers.get("content-length", 0))
        if len(self._data) < total:
            return None
        body = bytes(self._data[end + 4 : total])
        del self._data[:total]
        method, path, _ = first.split(" ", 2)
        return Request(self, method, path, body)
