"""A local AWS for tests, and short ways to make what the tests need in it."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

ACCOUNT = "123456789012"
REGION = "us-east-1"
# The only one that the local AWS runs.
RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], Any], *, seconds: float = 20.0, what: str = "it") -> Any:
    """Return what the condition gives as soon as that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come within {seconds} s")


def zip_of(**files: str) -> bytes:
    """Return a zip with `name.py` for each keyword."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, source in files.items():
            archive.writestr(f"{name}.py", source)
    return buffer.getvalue()


class LocalAws:
    """One running server."""

    def __init__(self, port: int, home: Path) -> None:
        self.port, self.home = port, home
        self.url = f"http://127.0.0.1:{port}"
        with (home / "server.log").open("wb") as log:
            command = [
                sys.executable,
                "-m",
                "scones_ops.local.server",
                "--port",
                str(port),
                "--home",
                str(home),
            ]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(self.health, seconds=60, what="the local AWS")

    def health(self) -> dict[str, Any] | None:
        assert self.process.poll() is None, (self.home / "server.log").read_text()
        try:
            with urllib.request.urlopen(f"{self.url}/_scones/health", timeout=5) as answer:
                return dict(json.load(answer))
        except OSError:
            return None

    def end(self) -> None:
        self.process.terminate()
        assert self.process.wait(20) == 0

    def log(self) -> str:
        return (self.home / "server.log").read_text()

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id="AKIALOCALSCONES00000",
            aws_secret_access_key="any",
            config=Config(retries={"total_max_attempts": 1}, inject_host_prefix=False, read_timeout=120),
        )

    def role(self, service: str, *statements: dict[str, Any]) -> str:
        """Return the ARN of a new role that `service` may assume; it may do all that the statements allow."""
        name = f"role-{uuid.uuid4().hex[:8]}"
        trust = {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": f"{service}.amazonaws.com"},
        }
        iam = self.client("iam")
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))["Role"]
        allowed = statements or ({"Effect": "Allow", "Action": "*", "Resource": "*"},)
        iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=policy(*allowed))
        return str(role["Arn"])

    def function(self, source: str, **settings: Any) -> str:
        """Return the ARN of a new function whose handler is `handler` of `source`."""
        defaults = {
            "FunctionName": f"function-{uuid.uuid4().hex[:8]}",
            "Runtime": RUNTIME,
            "Handler": "code.handler",
            "Code": {"ZipFile": zip_of(code=source)},
        }
        settings.setdefault("Role", self.role("lambda"))
        return str(self.client("lambda").create_function(**defaults | settings)["FunctionArn"])

    def invoke(self, name: str, event: Any = None, **settings: Any) -> tuple[str | None, Any]:
        """Return (error kind or None, the answer as a value) of one invocation."""
        answer = self.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event), **settings)
        return answer.get("FunctionError"), json.loads(answer["Payload"].read())

    def machine(self, definition: dict[str, Any], **settings: Any) -> str:
        """Return the ARN of a new state machine."""
        settings.setdefault("roleArn", self.role("states"))
        made = self.client("stepfunctions").create_state_machine(
            name=f"machine-{uuid.uuid4().hex[:8]}", definition=json.dumps(definition), **settings
        )
        return str(made["stateMachineArn"])

    def run(self, definition: dict[str, Any], given: Any = None) -> dict[str, Any]:
        """Return the description of an execution of a machine made for it, when it has ended."""
        client = self.client("stepfunctions")
        started = client.start_execution(
            stateMachineArn=self.machine(definition), input=json.dumps({} if given is None else given)
        )
        return self.ended(started["executionArn"])

    def ended(self, execution_arn: str) -> dict[str, Any]:
        client = self.client("stepfunctions")

        def described() -> dict[str, Any] | None:
            found = client.describe_execution(executionArn=execution_arn)
            return None if found["status"] == "RUNNING" else found

        return dict(wait_for(described, seconds=60, what="the end of the execution"))

    def bucket(self, *, events: bool = False) -> str:
        """Return the name of a new versioned bucket, telling EventBridge of its objects if asked to."""
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        s3 = self.client("s3")
        s3.create_bucket(Bucket=name)
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        if events:
            s3.put_bucket_notification_configuration(
                Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}}
            )
        return name

    def queue(self) -> tuple[str, str]:
        """Return (url, arn) of a new queue that lets EventBridge in."""
        sqs = self.client("sqs")
        name = f"queue-{uuid.uuid4().hex[:8]}"
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
        let_in = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
        }
        url = sqs.create_queue(QueueName=name, Attributes={"Policy": policy(let_in)})["QueueUrl"]
        return url, arn

    def messages(self, url: str) -> list[dict[str, Any]]:
        found = self.client("sqs").receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], WaitTimeSeconds=0
        )
        return list(found.get("Messages", []))


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@contextlib.contextmanager
def running(home: Path) -> Iterator[LocalAws]:
    server = LocalAws(free_port(), home)
    try:
        yield server
    finally:
        server.end()
