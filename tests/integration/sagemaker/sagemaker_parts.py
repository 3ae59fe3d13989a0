"""What the SageMaker tests share: clients of their local AWS, its bucket and roles, small archives."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import socket
import subprocess
import sys
import tarfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from scones_ops.settings import LOCAL_ACCOUNT, LOCAL_CREDENTIALS

BUCKET = "sagemaker-tests"
ROLE = f"arn:aws:iam::{LOCAL_ACCOUNT}:role/sagemaker-tests"
REGISTRY = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
TRAINING_IMAGE = f"{REGISTRY}/pytorch-training:2.6.0-cpu-py312"
SERVING_IMAGE = f"{REGISTRY}/pytorch-inference:2.6.0-cpu-py312"

ROLE_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject", "s3:ListBucket"],
            "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
        },
        {
            "Effect": "Allow",
            "Action": [
                "logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"
            ],
            "Resource": "*",
        },
    ],
}  # fmt: skip


@dataclass(frozen=True)
class LocalAws:
    """A running local AWS: its address and clients of it."""

    url: str
    pid: int
    home: Path

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=LOCAL_CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=LOCAL_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"total_max_attempts": 1}, max_pool_connections=16, read_timeout=90),
        )

    def environment(self) -> dict[str, str]:
        """The variables that point any AWS client at it."""
        return {
            **LOCAL_CREDENTIALS,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def put(self, key: str, body: bytes) -> str:
        """Store an object and return its address."""
        self.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)
        return f"s3://{BUCKET}/{key}"

    def get(self, uri: str) -> bytes:
        bucket, key = uri.removeprefix("s3://").split("/", 1)
        body: bytes = self.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        return body

    def keys(self, prefix: str) -> list[str]:
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def log_lines(self, group: str, stream_prefix: str) -> list[str]:
        """Return the messages of the streams whose name starts so."""
        logs = self.client("logs")
        streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=stream_prefix)
        return [
            event["message"]
            for stream in streams["logStreams"]
            for event in logs.get_log_events(
                logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
            )["events"]
        ]


@contextlib.contextmanager
def started_server(home: Path) -> Iterator[LocalAws]:
    """A local AWS on a free port, with a bucket and roles; ended by its own process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "scones_ops.local.server", "--port", str(port), "--home", str(home)]
    with (home / "server.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    local = LocalAws(f"http://127.0.0.1:{port}", server.pid, home)
    try:
        wait_until(lambda: answers(port) or server.poll() is not None, 60, "the local AWS answers")
        assert server.poll() is None, (home / "server.log").read_text()
        create_bucket_and_roles(local)
        yield local
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_scones/health", timeout=1) as answer:
            return answer.status == 200
    except OSError:
        return False


def health(local: LocalAws) -> dict[str, int]:
    """How many of each thing run in it."""
    with urllib.request.urlopen(f"{local.url}/_scones/health", timeout=5) as answer:
        running: dict[str, int] = json.load(answer)["running"]
        return running


def create_bucket_and_roles(local: LocalAws) -> None:
    local.client("s3").create_bucket(Bucket=BUCKET)
    iam = local.client("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sagemaker.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    iam.create_role(RoleName="sagemaker-tests", AssumeRolePolicyDocument=json.dumps(trust))
    iam.put_role_policy(RoleName="sagemaker-tests", PolicyName="all", PolicyDocument=json.dumps(ROLE_POLICY))
    trust["Statement"][0]["Principal"] = {"Service": "lambda.amazonaws.com"}
    iam.create_role(RoleName="not-for-sagemaker", AssumeRolePolicyDocument=json.dumps(trust))


def wait_until(done: Callable[[], Any], seconds: float, what: str) -> Any:
    """Return what `done` returns once it is true; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = done()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


def tar_of(files: Mapping[str, str | bytes]) -> bytes:
    """Return a .tar.gz with these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def alive(pid: int) -> bool:
    """Whether a process with this id runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children_of(pid: int) -> list[int]:
    """The process ids of all descendants."""
    found: list[int] = []
    for entry in (path.name for path in Path("/proc").iterdir()):
        if entry.isdigit():
            try:
                parent = int(Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()[1])
            except FileNotFoundError:
                continue
            if parent == pid:
                found += [int(entry), *children_of(int(entry))]
    return found


def family_of(pid: int, word: str) -> list[int]:
    """The living descendants with this word in their command line, each with its own descendants."""
    found: list[int] = []
    for child in children_of(pid):
        with contextlib.suppress(FileNotFoundError):
            if word in Path(f"/proc/{child}/cmdline").read_text() and alive(child):
                found += [child, *children_of(child)]
    return found
