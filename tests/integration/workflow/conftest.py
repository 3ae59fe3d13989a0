"""One local AWS for the tests of the state machines."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from machine_parts import BUCKET, Stage, build

from scones_ops.settings import LOCAL_CREDENTIALS, Settings, load_settings


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    home: Path = tmp_path_factory.mktemp("local-aws")
    saved = dict(os.environ)
    os.environ.update(LOCAL_CREDENTIALS, AWS_DEFAULT_REGION="us-east-1", AWS_EC2_METADATA_DISABLED="true")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        os.environ.pop(name, None)
    port, server = _start(home)
    try:
        yield build(f"http://127.0.0.1:{port}")
    finally:
        server.terminate()
        server.wait(30)
        os.environ.clear()
        os.environ.update(saved)


def _start(home: Path) -> tuple[int, subprocess.Popen[bytes]]:
    """Return (port, process) of a new local AWS that answers.

    The ports are below those that the system hands out: a client that waits on one of its own port numbers
    may end up connected to itself. Another test run may look at the same ones, so that a free port is ours
    only once our own process answers on it.
    """
    for port in range(4640, 4700):
        if _answering_pid(port) != 0:
            continue
        command = [sys.executable, "-m", "scones_ops.local.server", "--port", str(port), "--home", str(home)]
        with (home / "server.log").open("w") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log)
        end = time.monotonic() + 60
        while server.poll() is None and time.monotonic() < end:
            if _answering_pid(port) == server.pid:
                return port, server
            time.sleep(0.1)
        if server.poll() is None:
            server.kill()
        # It ends at once where the port has been taken meanwhile.
        server.wait(30)
    raise RuntimeError(
        f"no local AWS came up on a port from 4640 to 4699: {(home / 'server.log').read_text()}"
    )


def _answering_pid(port: int) -> int | None:
    """Return the pid of the local AWS on `port`, 0 if nothing listens there, None if something else does."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) != 0:
            return 0
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_scones/health", timeout=5) as answer:
            return int(json.load(answer)["pid"])
    except (OSError, ValueError, KeyError):
        return None


@pytest.fixture
def settings(stage: Stage, tmp_path: Path) -> Iterator[Settings]:
    """Settings that point at the stage; the environment they set is put back."""
    saved = dict(os.environ)
    yield load_settings({"SCONES_LOCAL_PORT": stage.url.rsplit(":", 1)[1], "TARGET": "local"})
    os.environ.clear()
    os.environ.update(saved)


@pytest.fixture(autouse=True)
def empty_queues(stage: Stage) -> None:
    for url in (stage.review_url, stage.dead_letter_url, stage.alerts_url, stage.decisions_url):
        while stage.messages(url):
            pass


@pytest.fixture
def outputs(stage: Stage) -> Any:
    """The part of Terraform's outputs that the workflow reads."""
    return SimpleNamespace(
        bucket_name=BUCKET, state_machine_arn=stage.classify_arn, batch_state_machine_arn=stage.batch_arn
    )
