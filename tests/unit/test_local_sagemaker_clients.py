"""The clients that act as a role: kept while its session lives, and no longer."""

from __future__ import annotations

import pytest

from scones_ops.local import role_clients

ROLE = "arn:aws:iam::123456789012:role/r"


def test_a_client_is_kept_for_a_session_and_replaced_by_the_next_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "first", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}
    monkeypatch.setattr(role_clients, "role_environment", lambda *_: keys)
    monkeypatch.setattr(role_clients, "_clients", {})
    first = role_clients.role_client("s3", ROLE, "session")
    assert role_clients.role_client("s3", ROLE, "session") is first
    assert role_clients.role_client("logs", ROLE, "session") is not first
    keys["AWS_ACCESS_KEY_ID"] = "second"  # the session was renewed
    second = role_clients.role_client("s3", ROLE, "session")
    assert second is not first and role_clients.role_client("s3", ROLE, "session") is second
    assert len(role_clients._clients) == 2
