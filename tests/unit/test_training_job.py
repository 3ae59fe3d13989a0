"""A training job against the SageMaker, S3 and CloudWatch Logs protocols, from the request to the manifest.

The server completes a job at once and runs nothing; what a job would leave (log, artifact) is put there
first.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from training_parts import facts, model_tar, record
from training_service import ARTIFACT, BUCKET, JOB, ROLE, connected, keys, put, service, train

from scones_ops import infra
from scones_ops.aws import client
from scones_ops.commands import models
from scones_ops.errors import GateNotPassed, ModelNotFound, TrainingFailed
from scones_ops.handoff import read_handoff, write_handoff
from scones_ops.settings import Settings
from scones_ops.training import follow, registry


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with service() as port:
        yield port


@pytest.fixture
def settings(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    with connected(tmp_path, port, monkeypatch) as settings:
        yield settings


def test_a_good_model_is_recorded_under_the_digest_of_its_artifact(
    settings: Settings, tmp_path: Path
) -> None:
    tar = model_tar(facts())
    put(settings, ARTIFACT, tar)
    made = train(settings, tmp_path)
    digest = hashlib.sha256(tar).hexdigest()
    assert (made.sha256, made.name) == (digest, f"scones-unlimited-{digest[:12]}")
    assert made.data_url == f"s3://{BUCKET}/{ARTIFACT}"
    assert "pytorch-inference" in made.image_uri
    assert made.metrics["validation_calibration_error"] == 0.03
    assert registry.find(settings, BUCKET, made.name) == made
    registry.check_artifact(settings, made)


def test_the_service_takes_the_request_as_it_was_meant(settings: Settings, tmp_path: Path) -> None:
    put(settings, ARTIFACT, model_tar(facts()))
    train(settings, tmp_path)
    told = client(settings, "sagemaker").describe_training_job(TrainingJobName=JOB)
    assert told["RoleArn"] == ROLE
    assert told["ResourceConfig"]["InstanceType"] == settings.training_instance_type
    submitted = told["HyperParameters"]["sagemaker_submit_directory"].strip('"')
    assert keys(settings, "training/source/") == [submitted.removeprefix(f"s3://{BUCKET}/")]
    tags = client(settings, "sagemaker").list_tags(ResourceArn=told["TrainingJobArn"])["Tags"]
    assert {"Key": "Project", "Value": settings.prefix} in tags


def test_a_model_that_fails_the_gate_leaves_no_manifest(settings: Settings, tmp_path: Path) -> None:
    put(settings, ARTIFACT, model_tar(facts(right=60, of=80)))
    with pytest.raises(GateNotPassed):
        train(settings, tmp_path)
    assert keys(settings, "models/") == []


def test_generated_data_are_named_wherever_the_model_is(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(settings, ARTIFACT, model_tar(facts()))
    assert train(settings, tmp_path, kind="generated").generated
    assert "generated data" in capsys.readouterr().out


def test_the_jobs_log_is_shown_while_it_is_followed(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = client(settings, "logs")
    logs.create_log_group(logGroupName=follow.LOG_GROUP)
    stream = f"{JOB}/algo-1-1"
    logs.create_log_stream(logGroupName=follow.LOG_GROUP, logStreamName=stream)
    now = int(time.time() * 1000)  # the service drops what is older than two weeks
    logs.put_log_events(
        logGroupName=follow.LOG_GROUP,
        logStreamName=stream,
        logEvents=[{"timestamp": now + i, "message": f"epoch={i}/2"} for i in (1, 2)],
    )
    put(settings, ARTIFACT, model_tar(facts()))
    train(settings, tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "epoch=" in line] == ["  | epoch=1/2", "  | epoch=2/2"]


def test_a_missing_artifact_is_said_in_one_line(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match="left no artifact"):
        train(settings, tmp_path)


def test_an_artifact_that_is_no_archive_is_said_in_one_line(settings: Settings, tmp_path: Path) -> None:
    put(settings, ARTIFACT, model_tar(facts())[:100])
    with pytest.raises(TrainingFailed, match=r"cannot be read as a model\.tar\.gz"):
        train(settings, tmp_path)


def test_a_model_of_other_classes_is_refused(settings: Settings, tmp_path: Path) -> None:
    put(settings, ARTIFACT, model_tar({**facts(), "classes": ["motorcycle", "bicycle"]}))
    with pytest.raises(TrainingFailed, match="motorcycle"):
        train(settings, tmp_path)


def test_an_artifact_that_was_changed_or_removed_is_not_used(settings: Settings, tmp_path: Path) -> None:
    put(settings, ARTIFACT, model_tar(facts()))
    made = train(settings, tmp_path)
    put(settings, ARTIFACT, model_tar(facts(right=75)))
    with pytest.raises(ModelNotFound, match="was changed"):
        registry.check_artifact(settings, made)
    client(settings, "s3").delete_object(Bucket=BUCKET, Key=ARTIFACT)
    with pytest.raises(ModelNotFound, match="is gone"):
        registry.check_artifact(settings, made)


def test_models_are_listed_newest_first_and_an_unknown_name_is_said(settings: Settings) -> None:
    old, new = record(), record(name="scones-unlimited-bbbbbbbbbbbb", trained_at="2026-02-02T03:04:05Z")
    for one in (old, new):
        registry.save(settings, BUCKET, one)
    assert registry.models(settings, BUCKET) == [new, old]
    with pytest.raises(ModelNotFound, match="models list"):
        registry.find(settings, BUCKET, "nothing")


def test_a_manifest_that_someone_damaged_is_named(settings: Settings) -> None:
    put(settings, "models/x.json", b"{}")
    with pytest.raises(ModelNotFound, match=r"models/x\.json"):
        registry.models(settings, BUCKET)


def models_command(settings: Settings, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    outputs = SimpleNamespace(bucket_name=BUCKET)
    monkeypatch.setattr(infra, "Infrastructure", lambda settings: SimpleNamespace(outputs=lambda: outputs))
    parser = argparse.ArgumentParser()
    models.register(parser.add_subparsers())
    args = parser.parse_args(["models", *arguments])
    assert args.run(args, settings) == 0


def test_an_older_model_can_be_handed_over_again(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put(settings, ARTIFACT, model_tar(facts()))
    old = train(settings, tmp_path)
    new = record(name="scones-unlimited-bbbbbbbbbbbb", trained_at="2099-02-02T03:04:05Z")
    registry.save(settings, BUCKET, new)
    write_handoff(settings, new, False)

    models_command(settings, monkeypatch, "use", old.name)
    handoff = read_handoff(settings)
    assert handoff is not None and handoff.model == old
    assert handoff.endpoint_enabled is False, "an endpoint that is off stays off"
    capsys.readouterr()
    models_command(settings, monkeypatch)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [new.name, "*"] and old.name in lines[2]


def test_a_model_whose_artifact_was_changed_is_not_handed_over(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(settings, "training/job-1/output/model.tar.gz", b"something else")
    registry.save(settings, BUCKET, record())
    with pytest.raises(ModelNotFound, match="was changed"):
        models_command(settings, monkeypatch, "use", record().name)
    assert read_handoff(settings) is None


def test_a_model_of_other_classes_is_not_handed_over(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.save(settings, BUCKET, record(classes=("cat", "dog")))
    with pytest.raises(ModelNotFound, match="CLASSES=cat,dog"):
        models_command(settings, monkeypatch, "use", record().name)


@dataclass
class Ended:
    """An ended job, as far as its outcome is read from it."""

    training_job_status: str
    failure_reason: str | None = None
    secondary_status: str = ""
    training_job_name: str = JOB


def test_a_failure_says_what_the_script_said_and_where_the_log_is() -> None:
    reason = (
        'AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage "ChannelInvalid: bike.png is not\n'
        ' a picture"\nCommand "/opt/conda/bin/python3.12 train.py --seed 0", exit code: 1'
    )
    with pytest.raises(TrainingFailed) as caught:
        follow._outcome(Ended("Failed", reason))
    message = str(caught.value)
    assert "failed: ChannelInvalid: bike.png is not a picture; its log" in message
    assert follow.LOG_GROUP in message and "\n" not in message


def test_a_stopped_job_says_why() -> None:
    with pytest.raises(TrainingFailed, match="stopped: MaxRuntimeExceeded"):
        follow._outcome(Ended("Stopped", secondary_status="MaxRuntimeExceeded"))
