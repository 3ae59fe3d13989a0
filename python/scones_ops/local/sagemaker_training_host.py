"""The training instance: downloads the channels, runs the container, uploads what it made.

Run as `python -m scones_ops.local.sagemaker_training_host FOLDER EVENT_FD` with the job's role in the
environment. FOLDER holds job.json (the CreateTrainingJob request) and becomes the container's /opt/ml.
Standard output is the container's log. Each step is told as one line of JSON on EVENT_FD:
{"stage": "Downloading"|"Training"|"Uploading"}, and at last
{"outcome": "Completed"|"Failed"|"Stopped", "reason": text if failed}.
SIGTERM asks for a stop, as StopTrainingJob does: the container gets SIGTERM, `GRACE_SECONDS`, then SIGKILL.
Only after the first event: before it, SIGTERM would end this process without an outcome.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from scones_ops.local.processes import end_child, start_child
from scones_ops.local.s3_uris import split_s3_uri

GRACE_SECONDS = 120.0
_TRANSFERS = 8
_REASON_CHARACTERS = 1024


class JobFailed(Exception):
    """The job ends as Failed, and the text says why in SageMaker's form."""


class Host:
    """One job on this machine, in `folder`, which stands for /opt/ml."""

    def __init__(self, folder: Path, events: Any) -> None:
        self.folder = folder
        self.job: dict[str, Any] = json.loads((folder / "job.json").read_text())
        self.events = events
        self.stopping = threading.Event()
        self.container: subprocess.Popen[bytes] | None = None
        self.s3 = boto3.client(
            "s3", config=Config(max_pool_connections=_TRANSFERS, s3={"addressing_style": "path"})
        )

    def tell(self, **event: str) -> None:
        """Send one event to the server."""
        self.events.write(json.dumps(event) + "\n")
        self.events.flush()

    def run(self) -> None:
        """Do the whole job and tell its outcome."""
        try:
            self.tell(stage="Downloading")
            self._prepare()
            if not self.stopping.is_set():
                self.tell(stage="Training")
                self._train()
            self.tell(stage="Uploading")
            self._upload()
        except JobFailed as failure:
            self.tell(outcome="Failed", reason=str(failure))
        else:
            self.tell(outcome="Stopped" if self.stopping.is_set() else "Completed")

    def stop(self) -> None:
        """Ask the container to end, and end it after the grace period."""
        if self.stopping.is_set():
            return
        self.stopping.set()
        threading.Thread(target=self._end_container, daemon=True).start()

    def _end_container(self) -> None:
        container = self.container
        if container is None:
            return
        # The whole group: in AWS's container the script is signalled too, and may save its model.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(container.pid, signal.SIGTERM)
        try:
            container.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            end_child(container)

    def _prepare(self) -> None:
        """Write the container's configuration and download its channels."""
        for name in ("input/config", "input/data", "model", "output/data", "checkpoints", "code"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        channels = self.job.get("InputDataConfig") or []
        config = self.folder / "input" / "config"
        (config / "hyperparameters.json").write_text(json.dumps(self.job.get("HyperParameters") or {}))
        (config / "inputdataconfig.json").write_text(
            json.dumps({channel["ChannelName"]: _channel_config(channel) for channel in channels})
        )
        (config / "resourceconfig.json").write_text(
            json.dumps(_resource_config(self.job["ResourceConfig"]["InstanceType"]))
        )
        for channel in channels:
            source = channel["DataSource"]["S3DataSource"]["S3Uri"]
            self._download(source, self.folder / "input" / "data" / channel["ChannelName"])
        checkpoints = self.job.get("CheckpointConfig")
        if checkpoints:
            self._download(checkpoints["S3Uri"], self.folder / "checkpoints", required=False)

    def _download(self, uri: str, target: Path, *, required: bool = True) -> None:
        """Copy every object under the prefix to `target`, keyed by what follows the prefix."""
        bucket, prefix = split_s3_uri(uri)
        target.mkdir(parents=True, exist_ok=True)
        try:
            pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
            if required and not keys:
                raise JobFailed(f"ClientError: Data download failed:No S3 objects found under {uri}")
            with ThreadPoolExecutor(_TRANSFERS) as pool:
                for _ in pool.map(lambda key: self._download_one(bucket, key, prefix, target), keys):
                    pass
        except ClientError as error:
            detail = error.response["Error"]
            raise JobFailed(
                f"ClientError: Data download failed:{detail['Code']}: {detail['Message']}, URI: {uri}"
            ) from None
        except BotoCoreError as error:
            raise JobFailed(f"InternalServerError: Data download failed:{error}") from None

    def _download_one(self, bucket: str, key: str, prefix: str, target: Path) -> None:
        name = key[len(prefix) :].lstrip("/") or key.rsplit("/", 1)[-1]
        if key.endswith("/") or self.stopping.is_set():
            return
        file = (target / name).resolve()
        if not file.is_relative_to(target.resolve()):
            raise JobFailed(f"ClientError: Data download failed:the key {key} leads outside of the channel")
        file.parent.mkdir(parents=True, exist_ok=True)
        # One plain GET: the transfer manager's threads cost more than these small files.
        with file.open("wb") as out:
            for chunk in self.s3.get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(1 << 20):
                out.write(chunk)

    def _train(self) -> None:
        """Run sagemaker-training to its end. Raises JobFailed when the container fails on its own."""
        env = dict(os.environ)
        env |= {
            "SAGEMAKER_BASE_DIR": str(self.folder),
            "SAGEMAKER_TRAINING_MODULE": "scones_ops.local.sagemaker_training_container:main",
            "SAGEMAKER_JOB_NAME": self.job["TrainingJobName"],
            "TRAINING_JOB_NAME": self.job["TrainingJobName"],
            "TRAINING_JOB_ARN": self.job["_arn"],
            "SAGEMAKER_REGION": env["AWS_REGION"],
            # A job must not change the Python it shares with this server: what is there satisfies
            # requirements.txt, what is not fails at once, as with network isolation on AWS.
            "PIP_NO_INDEX": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_INPUT": "1",
            "PIP_ROOT_USER_ACTION": "ignore",
        }
        env |= self.job.get("Environment") or {}
        self.container = start_child(
            [sys.executable, "-m", "sagemaker_training.cli.train"],
            env=env, cwd=self.folder, stderr=subprocess.STDOUT,
        )  # fmt: skip
        if self.stopping.is_set():  # asked for while it started
            self._end_container()
        code = self.container.wait()
        end_child(self.container)  # whatever the script left running ends with its container
        if code != 0 and not self.stopping.is_set():
            raise JobFailed(_failure_reason(self.folder / "output" / "failure", code))

    def _upload(self) -> None:
        """Put model.tar.gz, output.tar.gz and the checkpoints where the request says."""
        base = (
            f"{self.job['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{self.job['TrainingJobName']}/output"
        )
        try:
            for name, source in (("model", "model"), ("output", "output/data")):
                folder = self.folder / source
                if any(folder.iterdir()):
                    archive = self.folder / f"{name}.tar.gz"
                    pack(folder, archive)
                    bucket, key = split_s3_uri(f"{base}/{name}.tar.gz")
                    self.s3.upload_file(str(archive), bucket, key)
            checkpoints = self.job.get("CheckpointConfig") or {}
            for file in sorted((self.folder / "checkpoints").rglob("*")) if checkpoints else []:
                if file.is_file():
                    bucket, prefix = split_s3_uri(checkpoints["S3Uri"])
                    relative = file.relative_to(self.folder / "checkpoints").as_posix()
                    self.s3.upload_file(str(file), bucket, f"{prefix.rstrip('/')}/{relative}")
        except (ClientError, BotoCoreError, boto3.exceptions.S3UploadFailedError) as error:
            raise JobFailed(f"ClientError: Artifact upload failed:{error}") from None


def pack(folder: Path, archive: Path) -> None:
    """Write the folder as a .tar.gz whose bytes depend on names and contents only: same model, same hash."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.mtime = 0
        member.mode = 0o755 if member.isdir() else 0o644
        return member

    with (
        archive.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=1, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in sorted(folder.rglob("*")):
            tar.add(path, arcname=path.relative_to(folder).as_posix(), recursive=False, filter=plain)


def _channel_config(channel: dict[str, Any]) -> dict[str, str]:
    """Return the channel as SageMaker writes it in inputdataconfig.json."""
    source = channel["DataSource"]["S3DataSource"]
    config = {
        "TrainingInputMode": channel.get("InputMode", "File"),
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
        "RecordWrapperType": channel.get("RecordWrapperType", "None"),
    }
    if channel.get("ContentType"):
        config["ContentType"] = channel["ContentType"]
    return config


def _resource_config(instance_type: str) -> dict[str, Any]:
    """Return resourceconfig.json for one host, whose name must resolve here: localhost, not algo-1."""
    return {
        "current_host": "localhost",
        "hosts": ["localhost"],
        "network_interface_name": "lo",
        "current_instance_type": instance_type,
        "current_group_name": "homogeneousCluster",
        "current_instance_group": "homogeneousCluster",
        "instance_groups": [
            {
                "instance_group_name": "homogeneousCluster",
                "instance_type": instance_type,
                "hosts": ["localhost"],
            }
        ],
    }


def _failure_reason(file: Path, code: int) -> str:
    """Return FailureReason: the container's own words (first 1,024 characters) and its exit status."""
    words = file.read_text(errors="replace")[:_REASON_CHARACTERS] if file.exists() else ""
    return f"AlgorithmError: {words}, exit code: {code if code >= 0 else 128 - code}"


def main(folder: Path, event_fd: int) -> None:
    """Run the job of `folder`, telling its steps on the open file descriptor `event_fd`."""
    with os.fdopen(event_fd, "w") as events:
        host = Host(folder, events)
        signal.signal(signal.SIGTERM, lambda *_: host.stop())
        host.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
