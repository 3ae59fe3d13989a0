"""Clients and log streams that act as a role, as SageMaker does with the role it is given.

Whatever the role may not do on AWS (read the channel, write the artifact, write the log) fails here too,
since every call goes through the front door of this server with a session of that role.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from scones_ops.local.context import CONTEXT
from scones_ops.local.credentials import role_environment

log = logging.getLogger("scones.local.sagemaker")

# CloudWatch Logs refuses an event above 256 KiB and a call above 1 MiB or 10,000 events.
_EVENT_BYTES = 250_000
_CALL_BYTES = 1_000_000
_CALL_EVENTS = 1_000
_FLUSH_SECONDS = 0.5

_lock = threading.Lock()
_session: boto3.session.Session | None = None
_clients: dict[tuple[str, str, str], tuple[str, Any]] = {}  # with the key id of its session


def role_client(service: str, role_arn: str, session_name: str) -> Any:
    """Return a boto3 client of `service` that acts as the role; the same one while its session lives."""
    global _session
    env = role_environment(role_arn, session_name)
    key = (service, role_arn, session_name)
    with _lock:
        kept = _clients.get(key)
        if kept is not None and kept[0] == env["AWS_ACCESS_KEY_ID"]:
            return kept[1]
        _session = _session or boto3.session.Session()
        client = _session.client(
            service,
            region_name=CONTEXT.region,
            endpoint_url=CONTEXT.url,
            aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=env["AWS_SESSION_TOKEN"],
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 2}),
        )
        _clients[key] = (env["AWS_ACCESS_KEY_ID"], client)
        return client


def container_environment(role_arn: str, session_name: str, home: Path) -> dict[str, str]:
    """Return the environment of a process that stands for an AWS container: the role's, and little else.

    `home` takes the place of the user's own, so that nothing of theirs is read or written.
    """
    for folder in (home, home / "tmp"):
        folder.mkdir(parents=True, exist_ok=True)
    kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "LD_LIBRARY_PATH") if name in os.environ}
    return {
        **kept,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        **role_environment(role_arn, session_name),
    }


class RoleLog:
    """A stream of CloudWatch Logs that a role writes, in the background and in order."""

    def __init__(self, role_arn: str, session_name: str, group: str, stream: str) -> None:
        self._role_arn = role_arn
        self._session_name = session_name
        self.group = group
        self.stream = stream
        self._events: list[dict[str, Any]] = []
        self._wake = threading.Condition()
        self._closed = False
        self._created = False
        self._thread = threading.Thread(target=self._run, name=f"log {stream}", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Add one line, stamped with the time of the call; empty lines are dropped, as AWS refuses them."""
        text = line.rstrip().encode()[:_EVENT_BYTES].decode(errors="ignore")
        if text:
            with self._wake:
                self._events.append({"timestamp": int(time.time() * 1000), "message": text})

    def close(self) -> None:
        """Write what is left and end; safe to call twice."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        closed = False
        while not closed:
            with self._wake:
                if not self._closed:
                    self._wake.wait(_FLUSH_SECONDS)
                events, self._events, closed = self._events, [], self._closed
            try:
                self._put(events)
            except (ClientError, BotoCoreError) as error:
                # On AWS too, a role without logs permissions trains and serves without a log.
                log.warning("no log %s %s: %s", self.group, self.stream, error)

    def _put(self, events: list[dict[str, Any]]) -> None:
        if not events:
            return
        client = role_client("logs", self._role_arn, self._session_name)
        if not self._created:
            for create, args in (
                (client.create_log_group, {"logGroupName": self.group}),
                (client.create_log_stream, {"logGroupName": self.group, "logStreamName": self.stream}),
            ):
                try:
                    create(**args)
                except client.exceptions.ResourceAlreadyExistsException:
                    pass
                except ClientError as error:
                    # Terraform owns the group where the role may only write to it.
                    if "AccessDenied" not in error.response["Error"]["Code"] or "logStreamName" in args:
                        raise
            self._created = True
        while events:
            size, count = 0, 0
            while count < min(len(events), _CALL_EVENTS) and size < _CALL_BYTES - _EVENT_BYTES:
                size += len(events[count]["message"].encode()) + 26
                count += 1
            client.put_log_events(
                logGroupName=self.group, logStreamName=self.stream, logEvents=events[:count]
            )
            events = events[count:]
