"""`train --job NAME`: a job that an earlier command submitted and lost is taken up again."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from botocore.exceptions import ClientError
from sagemaker.core.resources import TrainingJob
from training_parts import dataset, facts, model_tar
from training_service import ARTIFACT, BUCKET, JOB, connected, put, service, train

from scones_ops import infra
from scones_ops.aws import client
from scones_ops.commands import train as command
from scones_ops.data.dataset import Dataset, content_id
from scones_ops.errors import GateNotPassed, TrainingFailed
from scones_ops.handoff import read_handoff
from scones_ops.settings import Settings
from scones_ops.training import adopt_job
from scones_ops.training.adopt import serving_image


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with service() as port:
        yield port


@pytest.fixture
def settings(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    with connected(tmp_path, port, monkeypatch) as settings:
        yield settings


def staged(settings: Settings, folder: Path, **changes: Any) -> Dataset:
    """A data set whose manifest is in the bucket."""
    plain = replace(dataset(folder), **changes)
    data = replace(plain, dataset_id=content_id(plain.classes, plain.pictures))
    put(settings, f"datasets/{data.dataset_id}/dataset.json", data.manifest())
    return data


def test_a_lost_job_is_taken_up_judged_recorded_and_handed_over(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = staged(settings, tmp_path)
    put(settings, ARTIFACT, model_tar(facts()))
    made = train(settings, tmp_path, data=data)
    outputs = SimpleNamespace(bucket_name=BUCKET)
    monkeypatch.setattr(infra, "Infrastructure", lambda settings: SimpleNamespace(outputs=lambda: outputs))
    parser = argparse.ArgumentParser()
    command.register(parser.add_subparsers())
    args = parser.parse_args(["train", "--job", JOB])
    assert args.run(args, settings) == 0
    handoff = read_handoff(settings)
    assert handoff is not None and handoff.model == made
    assert f"{made.name} of training job {JOB} handed over" in capsys.readouterr().out


def test_a_job_that_is_taken_up_passes_the_gate_or_is_not_recorded(
    settings: Settings, tmp_path: Path
) -> None:
    data = staged(settings, tmp_path)
    put(settings, ARTIFACT, model_tar(facts(right=60, of=80)))
    for attempt in (
        lambda: train(settings, tmp_path, data=data),
        lambda: adopt_job(settings, JOB, bucket=BUCKET),
    ):
        with pytest.raises(GateNotPassed):
            attempt()


def test_a_builtin_jobs_own_container_serves_its_model(tmp_path: Path, settings: Settings) -> None:
    submitted = SimpleNamespace(
        hyper_parameters={"num_layers": "18"}, algorithm_specification=SimpleNamespace(training_image="own")
    )
    assert serving_image(settings, submitted) == "own"


def test_a_job_that_cannot_be_taken_up_is_said_in_one_line(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = staged(settings, tmp_path, classes=("cat", "dog"))
    put(settings, ARTIFACT, model_tar({**facts(), "classes": ["cat", "dog"]}))
    train(settings, tmp_path, data=data)
    with pytest.raises(TrainingFailed, match="CLASSES=cat,dog"):
        adopt_job(settings, JOB, bucket=BUCKET)
    with pytest.raises(TrainingFailed, match="none of this project's"):
        adopt_job(settings, JOB, bucket="another")
    put(settings, f"datasets/{data.dataset_id}/dataset.json", b"{}")
    with pytest.raises(TrainingFailed, match="is damaged"):
        adopt_job(settings, JOB, bucket=BUCKET)
    client(settings, "s3").delete_object(Bucket=BUCKET, Key=f"datasets/{data.dataset_id}/dataset.json")
    with pytest.raises(TrainingFailed, match="is gone"):
        adopt_job(settings, JOB, bucket=BUCKET)
    not_found = ClientError(
        {"Error": {"Code": "ValidationException", "Message": "Requested resource not found."}},
        "DescribeTrainingJob",
    )
    monkeypatch.setattr(TrainingJob, "get", Mock(side_effect=not_found))
    with pytest.raises(TrainingFailed, match="no training job job-9"):
        adopt_job(settings, "job-9", bucket=BUCKET)
