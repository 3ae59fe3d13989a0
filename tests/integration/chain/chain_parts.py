"""The chain as a user drives it: the commands in processes of their own, in a workspace of their own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import numpy as np

from data_helpers import meta, write_archive
from scones_ops.data.classes import OFFICIAL
from scones_ops.data.drawing import draw_vehicle
from scones_ops.settings import LOCAL_CREDENTIALS, Settings, load_settings

CLASSES = ("bicycle", "motorcycle")
PER_CLASS = {"train": 100, "test": 12}
ENDPOINT = "image-classifier-ep"


@dataclass(frozen=True)
class Stack:
    """One workspace: its environment, the commands, and clients that look at what they made."""

    env: dict[str, str]

    @property
    def settings(self) -> Settings:
        return load_settings(self.env)

    def scones(self, *arguments: str, timeout: float = 600, **more: str) -> subprocess.CompletedProcess[str]:
        """Run one command of `scones-ops` to its end."""
        return subprocess.run(
            [sys.executable, "-m", "scones_ops", *arguments],
            env=self.env | more, capture_output=True, text=True, timeout=timeout,
        )  # fmt: skip

    def succeed(self, *arguments: str, **more: str) -> str:
        """Return the standard output of a command that has to exit with 0."""
        done = self.scones(*arguments, **more)
        assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def interrupt(self, *arguments: str, at: str) -> tuple[int, str]:
        """Start a command, press Ctrl-C when it says `at`; return its exit status and all it said."""
        process = subprocess.Popen(
            [sys.executable, "-m", "scones_ops", *arguments], env=self.env, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            preexec_fn=hear_ctrl_c,
        )  # fmt: skip
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if at in line:
                os.killpg(process.pid, signal.SIGINT)
        return process.wait(), "".join(said)

    def client(self, service: str) -> Any:
        return boto3.client(
            service, region_name="us-east-1", endpoint_url=self.settings.local_url,
            aws_access_key_id=LOCAL_CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=LOCAL_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )  # fmt: skip

    def terraform(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Terraform by hand, with nothing but the variables that `scones-ops env` prints."""
        exports = self.succeed("env")
        script = f"{exports}\nterraform -chdir={self.settings.terraform_dir} {' '.join(arguments)}"
        return subprocess.run(["bash", "-c", script], env=self.env, capture_output=True, text=True)

    @cached_property
    def outputs(self) -> dict[str, Any]:
        shown = json.loads(self.terraform("output", "-json").stdout)
        return {name: entry["value"] for name, entry in shown.items()}

    @property
    def bucket(self) -> str:
        return str(self.outputs["bucket_name"])

    def keys(self, prefix: str) -> list[str]:
        """Return the bucket's keys under `prefix`."""
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def document(self, key: str) -> Any:
        return json.load(self.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"])

    def put(self, key: str, data: bytes) -> str:
        """Store an object and return its version."""
        return str(self.client("s3").put_object(Bucket=self.bucket, Key=key, Body=data)["VersionId"])

    def training_jobs(self) -> list[dict[str, Any]]:
        return list(self.client("sagemaker").list_training_jobs()["TrainingJobSummaries"])

    def messages(self, queue_url: str, holding: str) -> list[Any]:
        """Return the queue's messages that name `holding`, after waiting up to 20 s for the first."""
        found: list[Any] = []

        def look() -> bool:
            answer = self.client("sqs").receive_message(
                QueueUrl=queue_url, MaxNumberOfMessages=10, VisibilityTimeout=0
            )
            bodies = [message["Body"] for message in answer.get("Messages", [])]
            found.extend(json.loads(body) for body in bodies if holding in body)
            return bool(found)

        wait_for(look, 20, f"a message about {holding}")
        return found


def hear_ctrl_c() -> None:
    """Undo what a shell does to programs in the background, which the tests may be: it has Ctrl-C ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for(good: Callable[[], bool], seconds: float, what: str) -> None:
    """Return once `good`; fail after `seconds`."""
    end = time.monotonic() + seconds
    while not good():
        assert time.monotonic() < end, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.2)


def draw_archive(file: Path) -> Path:
    """Write a small archive of drawn pictures in CIFAR-100's layout and return `file`."""
    members: dict[str, Any] = {"meta": meta()}
    for offset, (split, count) in enumerate(PER_CLASS.items()):
        pictures = [(name, at) for at in range(count) for name in CLASSES]
        rows = [draw_vehicle(name, np.random.default_rng([7, offset, at])) for name, at in pictures]
        members[split] = {
            b"filenames": [f"{name}_{split}_{at:03d}.png".encode() for name, at in pictures],
            b"batch_label": b"drawn for a test",
            b"fine_labels": [OFFICIAL.index(name) for name, _ in pictures],
            b"coarse_labels": [0] * len(pictures),
            b"data": np.stack(rows),
        }
    return write_archive(file, members)


def new_stack(folder: Path) -> Stack:
    """Return a stack that shares neither port, build folder nor Terraform workspace with any other."""
    port = free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SCONES_"))}
    env |= {
        "TARGET": "local",
        "SCONES_LOCAL_PORT": str(port),
        "SCONES_WORKSPACE": f"test-{port}",
        "SCONES_BUILD": str(folder / "build"),
        "ARCHIVE": str(draw_archive(folder / "drawn.tar.gz")),
        # Two hundred pictures say little: the gate itself has tests of its own.
        "GATE_MIN_ACCURACY": "0.5",
        "GATE_MAX_CALIBRATION_ERROR": "0.5",
    }
    return Stack(env)


def free_port() -> int:
    """Return a free port below those that the system hands out to clients."""
    for port in range(4700, 4800):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise RuntimeError("no free port from 4700 to 4799")


def remove(stack: Stack) -> None:
    """End what the stack still runs and remove its Terraform workspace."""
    stack.scones("local", "down")
    state = stack.settings.terraform_dir / "terraform.tfstate.d" / stack.settings.workspace
    shutil.rmtree(state, ignore_errors=True)
