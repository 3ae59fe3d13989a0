"""The service the training tests talk to: the SageMaker, S3 and CloudWatch Logs protocols on a free port.

It completes a job at once and runs nothing; what a job would leave (log, artifact) is put there first.
"""

from __future__ import annotations

import contextlib
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer
from training_parts import dataset, settings_for

from scones_ops.aws import client
from scones_ops.data import Dataset
from scones_ops.handoff import ModelRecord
from scones_ops.settings import Settings
from scones_ops.training import follow, job, train_model

BUCKET, JOB = "scones-test", "scones-unlimited-20260102-030405-abcd"
ARTIFACT = f"training/{JOB}/output/model.tar.gz"
ROLE = "arn:aws:iam::123456789012:role/scones-unlimited-training"


@contextlib.contextmanager
def service() -> Iterator[int]:
    """The port of a running service."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


@contextlib.contextmanager
def connected(folder: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings that lead to the service, with an empty bucket; the next job is called JOB."""
    settings = settings_for(folder, SCONES_LOCAL_PORT=str(port))
    for name in (*settings.environment(), "AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"):
        monkeypatch.setenv(name, "")  # so that what apply_environment sets is undone after the test
        monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(job, "job_name", lambda settings: JOB)
    monkeypatch.setattr(follow, "POLL_SECONDS", 0.01)
    client(settings, "s3").create_bucket(Bucket=BUCKET)
    yield settings
    urllib.request.urlopen(f"{settings.local_url}/moto-api/reset", data=b"").close()


def put(settings: Settings, key: str, body: bytes) -> None:
    client(settings, "s3").put_object(Bucket=BUCKET, Key=key, Body=body)


def keys(settings: Settings, prefix: str) -> list[str]:
    answer = client(settings, "s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix)
    return [item["Key"] for item in answer.get("Contents", [])]


def train(
    settings: Settings, folder: Path, kind: str = "archive", data: Dataset | None = None
) -> ModelRecord:
    """Train on `data`, else on a small data set of that kind."""
    data = data or dataset(folder, kind=kind)
    return train_model(
        settings,
        dataset_uri=f"s3://{BUCKET}/datasets/{data.dataset_id}",
        dataset=data,
        bucket=BUCKET,
        training_role_arn=ROLE,
    )
