"""The local AWS as a process: up, down, found again, and nothing left of it."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from local_aws_parts import ACCOUNT, LocalAws, free_port, running, wait_for

from scones_ops.errors import LocalAwsUnavailable
from scones_ops.local import control
from scones_ops.settings import SHARED_FILE, Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """Settings of a clone of its own, whose local AWS is ended after the test."""
    source = Path(__file__).resolve().parents[3] / SHARED_FILE
    (tmp_path / SHARED_FILE).parent.mkdir(parents=True)
    shutil.copy(source, tmp_path / SHARED_FILE)
    made = load_settings({"SCONES_LOCAL_PORT": str(free_port()), "SCONES_WORKSPACE": "test"}, tmp_path)
    yield made
    control.down(made)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def worker_pid(aws: LocalAws) -> int:
    source = "import os\ndef handler(event, context):\n    return os.getpid()\n"
    return int(aws.invoke(aws.function(source), {})[1])


def test_up_starts_one_server_and_down_ends_it(settings: Settings) -> None:
    assert control.status(settings) is None
    first = control.up(settings)
    assert control.up(settings).pid == control.ensure_up(settings).pid == first.pid
    assert first.port == settings.local_port and set(first.running) >= {"functions", "state machines"}
    assert control.down(settings) is True
    assert not alive(first.pid) and control.status(settings) is None
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", settings.local_port))
    assert control.down(settings) is False


def test_it_outlives_the_shell_that_started_it(settings: Settings) -> None:
    started = control.up(settings)
    assert os.getsid(started.pid) == started.pid


def test_a_stale_pid_file_is_no_server(settings: Settings) -> None:
    started = control.up(settings)
    os.kill(started.pid, signal.SIGKILL)
    wait_for(lambda: not alive(started.pid) or control.status(settings) is None)
    assert control.status(settings) is None
    # The pid may by now be anyone's: here it is this test's own, which must survive.
    (control.home_of(settings) / "server.pid").write_text(f"{os.getpid()}\n")
    assert control.down(settings) is False
    assert control.up(settings).pid != started.pid


def test_a_server_that_is_slow_to_answer_is_waited_for(settings: Settings) -> None:
    started = control.up(settings)
    os.kill(started.pid, signal.SIGSTOP)
    wake = threading.Timer(12, os.kill, (started.pid, signal.SIGCONT))  # each look waits 5 s
    wake.start()
    try:
        assert control.ensure_up(settings).pid == started.pid
    finally:
        wake.cancel()
        os.kill(started.pid, signal.SIGCONT)
    found = control.status(settings)
    assert found is not None and found.pid == started.pid


def test_a_server_that_does_not_answer_is_left_alone_and_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = control.up(settings)
    monkeypatch.setattr(control, "SLOW_SECONDS", 0.5)
    os.kill(started.pid, signal.SIGSTOP)
    try:
        with pytest.raises(LocalAwsUnavailable, match="make local-down") as caught:
            control.ensure_up(settings)
        assert f"pid {started.pid}" in str(caught.value) and "\n" not in str(caught.value)
    finally:
        os.kill(started.pid, signal.SIGCONT)
    assert control.ensure_up(settings).pid == started.pid


def test_the_server_of_another_folder_is_not_ended(settings: Settings, tmp_path: Path) -> None:
    other_home = tmp_path / "other"
    other_home.mkdir()
    with running(other_home) as other:
        # A pid that was ours and is by now that of another clone's server.
        control.home_of(settings).mkdir(parents=True)
        (control.home_of(settings) / "server.pid").write_text(f"{other.process.pid}\n")
        assert control.down(settings) is False
        assert other.health() is not None


def test_a_port_in_use_is_told_with_its_owner_and_the_way_out(settings: Settings) -> None:
    command = [sys.executable, "-m", "http.server", str(settings.local_port), "--bind", "127.0.0.1"]
    stranger = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:

        def listens() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", settings.local_port)) == 0

        wait_for(listens)
        assert control.status(settings) is None
        with pytest.raises(LocalAwsUnavailable) as caught:
            control.up(settings)
        message = str(caught.value)
        assert f"port {settings.local_port} " in message and "SCONES_LOCAL_PORT=" in message
        assert f"pid {stranger.pid} " in message and "\n" not in message
    finally:
        stranger.kill()
        stranger.wait()


def test_the_local_aws_of_another_workspace_is_a_stranger(settings: Settings) -> None:
    control.up(settings)
    other = replace(settings, workspace="other")
    assert control.status(other) is None
    with pytest.raises(LocalAwsUnavailable, match="another local AWS"):
        control.up(other)
    assert control.down(other) is False
    assert control.status(settings) is not None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_everything_dies_with_the_server(tmp_path: Path, number: signal.Signals) -> None:
    aws = LocalAws(free_port(), tmp_path)
    worker = worker_pid(aws)
    assert alive(worker)
    aws.process.send_signal(number)
    assert aws.process.wait(20) == (0 if number != signal.SIGKILL else -signal.SIGKILL)
    wait_for(lambda: not alive(worker), what="the worker's end")


def test_an_execution_under_way_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with running(tmp_path) as aws:
        client = aws.client("stepfunctions")
        definition = {"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": 60, "End": True}}}
        client.start_execution(stateMachineArn=aws.machine(definition))
        started = time.monotonic()
    assert time.monotonic() - started < 40


@pytest.mark.parametrize(
    ("service", "operation"),
    [("athena", "list_engine_versions"), ("xray", "get_groups"), ("braket", "search_devices")],
)
def test_what_is_not_implemented_answers_at_once_and_is_logged(
    aws: LocalAws, service: str, operation: str
) -> None:
    # With the SDK's own retries, which must not set in.
    client = boto3.client(
        service,
        region_name="us-east-1",
        endpoint_url=aws.url,
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )
    with pytest.raises(ClientError) as caught:
        getattr(client, operation)(**({"filters": []} if service == "braket" else {}))
    assert caught.value.response["ResponseMetadata"]["RetryAttempts"] == 0
    assert caught.value.response["Error"]["Code"] == "UnknownOperationException"
    assert f"of {service}" in caught.value.response["Error"]["Message"]
    assert f"not implemented: {service} " in aws.log()


def test_the_user_s_own_aws_settings_do_not_reach_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").write_text("[default]\nregion = eu-west-1\n[profile x]\nregion = eu-west-2\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "missing")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "mine")
    with running(tmp_path) as aws:
        monkeypatch.undo()
        names = "os.environ.get('AWS_PROFILE'), os.environ['AWS_REGION']"
        source = f"import os\ndef handler(event, context):\n    return [{names}]\n"
        assert aws.invoke(aws.function(source), {})[1] == [None, "us-east-1"]


def ask(aws: LocalAws, method: str, path: str, **headers: str) -> tuple[int, str]:
    """Return (status, body) of a request with exactly these headers."""
    connection = http.client.HTTPConnection("127.0.0.1", aws.port, timeout=10)
    try:
        connection.request(method, path, headers={"Host": f"127.0.0.1:{aws.port}"} | headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("PUT", "/made-by-a-web-page", {"Origin": "https://example.com"}),
        ("PUT", "/made-by-a-web-page", {"Origin": "null"}),
        ("GET", "/made-by-a-web-page", {"Sec-Fetch-Site": "cross-site"}),
        ("OPTIONS", "/made-by-a-web-page", {"Origin": "https://example.com"}),
        ("GET", "/_scones/health", {"Host": "example.com"}),
        ("PUT", "/made-by-a-web-page", {"Host": "rebound.example.com:4566"}),
        ("PUT", "/made-by-a-web-page", {"Host": "127.0.0.1"}),
        ("POST", "/moto-api/reset", {}),
        ("GET", "/moto-api/data.json", {}),
    ],
)
def test_a_web_page_can_neither_read_nor_change_anything(
    aws: LocalAws, method: str, path: str, headers: dict[str, str]
) -> None:
    bucket = aws.bucket()
    status, body = ask(aws, method, path, **headers)
    assert status == 403 and len(body.splitlines()) == 1
    buckets = {found["Name"] for found in aws.client("s3").list_buckets()["Buckets"]}
    assert bucket in buckets and "made-by-a-web-page" not in buckets


def test_it_answers_as_localhost_too(aws: LocalAws) -> None:
    assert ask(aws, "GET", "/_scones/health", Host=f"localhost:{aws.port}")[0] == 200
    client = boto3.client(
        "sts",
        region_name="us-east-1",
        endpoint_url=f"http://localhost:{aws.port}",
        aws_access_key_id="AKIALOCALSCONES00000",
        aws_secret_access_key="any",
    )
    assert client.get_caller_identity()["Account"] == ACCOUNT


def test_a_bucket_that_denies_plain_http_can_be_used(aws: LocalAws) -> None:
    bucket, s3 = aws.bucket(), aws.client("s3")
    deny = (
        '{"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*", '
        '"Condition": {"Bool": {"aws:SecureTransport": "false"}}}]}'
    )
    s3.put_bucket_policy(Bucket=bucket, Policy=deny)
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"x"
