"""What the local AWS tells of itself."""

import json
import logging
from typing import Any

import pytest

from scones_ops.local import web
from scones_ops.local.context import CONTEXT


def health() -> tuple[str, dict[str, Any]]:
    head: list[str] = []
    request = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": web.HEALTH_PATH,
        "HTTP_HOST": f"localhost:{CONTEXT.port}",
    }
    body = b"".join(web.application()(request, lambda status, _headers: head.append(status)))
    return head[0], json.loads(body)


def test_a_counter_that_fails_is_logged_and_the_server_is_still_healthy(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> int:
        raise RuntimeError("dictionary changed size")

    monkeypatch.setattr(web, "COUNTERS", {"functions": broken, "executions": lambda: 3})
    with caplog.at_level(logging.ERROR):
        status, told = health()
    assert status.startswith("200") and told["running"] == {"executions": 3}
    assert "counting functions" in caplog.text and "dictionary changed size" in caplog.text
