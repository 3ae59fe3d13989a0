"""One local AWS for the tests of the state machines."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from machine_parts import BUCKET, Stage, build

from scones_ops.settings import LOCAL_CREDENTIALS, Settings, load_settings


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    port = _free_port()
    home: Path = tmp_path_factory.mktemp("local-aws")
    saved = dict(os.environ)
    os.environ.update(LOCAL_CREDENTIALS, AWS_DEFAULT_REGION="us-east-1", AWS_EC2_METADATA_DISABLED="true")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        os.environ.pop(name, None)
    command = [sys.executable, "-m", "scones_ops.local.server", "--port", str(port), "--home", str(home)]
    with (home / "server.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _await_port(port, server)
        yield build(f"http://127.0.0.1:{port}")
    finally:
        server.terminate()
        server.wait(30)
        os.environ.clear()
        os.environ.update(saved)


def _free_port() -> int:
    """Return a free port below those that the system hands out: a client that waits on one of its own port
    numbers may end up connected to itself."""
    for port in range(4640, 4700):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise RuntimeError("no free port from 4640 to 4699")


def _await_port(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        if server.poll() is not None:
            raise RuntimeError(f"the local AWS ended with {server.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError("the local AWS does not answer")


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
