"""Executions read from what Step Functions tells, told in one line, and followed without hurry."""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from scones_ops.commands import classify as classify_command
from scones_ops.commands import classify_batch as batch_command
from scones_ops.errors import WorkflowFailed
from scones_ops.settings import Settings, load_settings
from scones_ops.workflow import BatchResult, Execution, batch, single, upload
from scones_ops.workflow.execution import build_execution

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RECORD = {
    "s3_bucket": "b", "s3_key": "k.png", "label": "bicycle", "confidence": 0.97, "inferences": [0.97, 0.03],
    "route": {"order_radius": "nearby", "loading_bay": "bay-1"}, "threshold": 0.93,
}  # fmt: skip


def execution(status: str = "SUCCEEDED", error: str | None = None, **values: Any) -> Execution:
    text = json.dumps(RECORD | values)
    return build_execution(
        key="k.png", arn="arn:x", status=status, error=error,
        cause=None if status == "SUCCEEDED" else text, output=text if status == "SUCCEEDED" else None,
        started_at=START, stopped_at=START + timedelta(seconds=1.5),
    )  # fmt: skip


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    # Given back by monkeypatch after the test, though the settings write them too.
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.setenv(name, "us-east-1" if "REGION" in name else "testing")
    return load_settings({"TARGET": "aws"})


@pytest.fixture
def stepfunctions() -> Iterator[Stubber]:
    client = boto3.client(
        "stepfunctions", region_name="us-east-1", aws_access_key_id="t", aws_secret_access_key="t"
    )
    with Stubber(client) as stub:
        yield stub


@pytest.mark.parametrize(
    ("status", "error", "outcome"),
    [
        ("SUCCEEDED", None, "classified"),
        ("FAILED", "ThresholdConfidenceNotMet", "review"),
        ("FAILED", "ImageInvalid", "rejected"),
        ("FAILED", "ImageNotFound", "rejected"),
        ("FAILED", "EventInvalid", "rejected"),
        ("FAILED", "EndpointUnavailable", "broken"),
        ("TIMED_OUT", None, "broken"),
    ],
)
def test_the_outcome_follows_from_status_and_error(status: str, error: str | None, outcome: str) -> None:
    assert execution(status, error).outcome == outcome


def test_a_failed_execution_keeps_label_and_scores_from_its_cause() -> None:
    failed = execution("FAILED", "ThresholdConfidenceNotMet")
    assert (failed.label, failed.confidence, failed.inferences) == ("bicycle", 0.97, (0.97, 0.03))
    assert failed.output is None
    assert failed.seconds == 1.5


@pytest.mark.parametrize("cause", [None, "", "plain text\nin two lines", "[1]", "{broken"])
def test_a_cause_that_is_no_record_is_told_as_it_is(cause: str | None) -> None:
    read = build_execution(
        key="k", arn="a", status="FAILED", error="States.Timeout", cause=cause, output=None,
        started_at=START, stopped_at=START,
    )  # fmt: skip
    assert read.record == {} and read.label is None
    assert read.reason == " ".join((cause or "").split())


def test_a_classified_picture_is_told_in_one_line() -> None:
    line = classify_command.describe("photo.jpg", execution())
    assert line == "photo.jpg: bicycle, confidence 0.9700, order radius nearby, loading bay bay-1, 1.50 s"


def test_review_and_rejection_are_told_in_one_line() -> None:
    review = execution("FAILED", "ThresholdConfidenceNotMet", confidence=0.6)
    assert classify_command.describe("p", review) == (
        "p: for review, no class reaches 0.93 (best guess bicycle, 0.6000), 1.50 s"
    )
    rejected = execution("FAILED", "ImageInvalid", reason="s3://b/k is empty")
    assert classify_command.describe("p", rejected) == "p: rejected, ImageInvalid: s3://b/k is empty, 1.50 s"


def test_a_folder_is_told_as_skipped() -> None:
    skipped = replace(execution(), record={"s3_key": "a/", "skipped": "folder marker"})
    assert classify_command.describe("a/", skipped) == "a/: skipped, a folder and no picture, 1.50 s"


class FakeInfrastructure:
    def __init__(self, settings: Settings) -> None: ...

    def outputs(self) -> Any:
        return SimpleNamespace(bucket_name="b", state_machine_arn="arn:m")


@pytest.mark.parametrize(
    ("result", "status", "told"),
    [
        (execution(), 0, "bicycle"),
        (execution("FAILED", "ThresholdConfidenceNotMet"), 1, "for review"),
        (execution("FAILED", "ImageInvalid", reason="is empty"), 1, "rejected, ImageInvalid: is empty"),
        (
            execution("FAILED", "EndpointUnavailable", reason="bring it back with `make deploy`"),
            1,
            "error: EndpointUnavailable: bring it back with `make deploy`",
        ),
    ],
)
def test_the_command_exits_with_0_for_a_certain_picture_only(
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    result: Execution,
    status: int,
    told: str,
) -> None:
    monkeypatch.setattr(classify_command, "Infrastructure", FakeInfrastructure)
    monkeypatch.setattr(classify_command, "classify", lambda *args, **more: result)
    parser = argparse.ArgumentParser()
    classify_command.register(parser.add_subparsers())
    args = parser.parse_args(["classify", "some/key.png"])
    try:
        returned = args.run(args, settings)
    except WorkflowFailed as error:
        returned = error.exit_status
        print(f"error: {error}")
    assert returned == status
    assert told in capsys.readouterr().out


def test_no_picture_named_is_an_error_with_an_example(settings: Settings) -> None:
    with pytest.raises(WorkflowFailed, match="make classify IMAGE="):
        classify_command.run(argparse.Namespace(picture=[]), settings)


@pytest.mark.parametrize("name", ["/no/such/file.png", "./missing.png", "~/missing.png"])
def test_a_path_that_is_no_file_is_not_taken_for_a_key(settings: Settings, name: str) -> None:
    with pytest.raises(WorkflowFailed, match="is not a file"):
        classify_command.classify_named(settings, FakeInfrastructure(settings).outputs(), name)


def test_an_s3_uri_names_bucket_and_key(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr(
        classify_command, "classify", lambda s, o, key, bucket=None: seen.update(key=key, bucket=bucket)
    )
    classify_command.classify_named(settings, FakeInfrastructure(settings).outputs(), "s3://other/a/b c.png")
    assert seen == {"key": "a/b c.png", "bucket": "other"}


def test_a_file_is_uploaded_where_no_rule_watches(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "my photo+1.jpg"
    path.write_bytes(b"\xff\xd8\xff picture")
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="pictures")
        outputs: Any = SimpleNamespace(bucket_name="pictures")
        key = upload(settings, outputs, path)
        assert key == upload(settings, outputs, path)
        assert key.startswith("adhoc/") and key.endswith("/my photo+1.jpg")
        stored = s3.get_object(Bucket="pictures", Key=key)
        assert (stored["Body"].read(), stored["ContentType"]) == (path.read_bytes(), "image/jpeg")


def test_an_execution_that_aws_does_not_know_yet_is_asked_for_again(
    stepfunctions: Stubber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single.time, "sleep", lambda seconds: None)
    stepfunctions.add_client_error("describe_execution", "ExecutionDoesNotExist")
    stepfunctions.add_response("describe_execution", {
        "executionArn": "arn:x", "stateMachineArn": "arn:m", "status": "RUNNING", "startDate": START,
    })  # fmt: skip
    assert single.describe_execution(stepfunctions.client, "arn:x")["status"] == "RUNNING"


@pytest.mark.parametrize(
    ("code", "hint"), [("StateMachineDoesNotExist", "make deploy"), ("AccessDeniedException", "AWS_PROFILE")]
)
def test_a_machine_that_cannot_be_started_names_the_fix(stepfunctions: Stubber, code: str, hint: str) -> None:
    stepfunctions.add_client_error("start_execution", code, "no")
    with pytest.raises(WorkflowFailed, match=hint):
        single.start_execution(stepfunctions.client, "arn:aws:states:us-east-1:1:stateMachine:m", {})


def test_the_first_question_comes_about_when_executions_end_and_later_ones_ever_more_rarely() -> None:
    pace = single._Pace()
    for _ in range(40):
        pace.learn(START, START + timedelta(seconds=2))
    first, *later = itertools.islice(pace.pauses(), 12)
    assert 1.4 < first < 1.7
    assert later == sorted(later)
    assert later[0] < 0.5 and later[-1] == 2.0


@pytest.mark.parametrize(
    "moment", ["2026-01-02T03:04:05.000Z", "2026-01-02T03:04:05+00:00", START.timestamp()]
)
def test_moments_of_result_files_are_read_in_any_form(moment: str | float) -> None:
    assert batch._moment(moment) == START


def test_a_result_without_its_error_is_looked_up(stepfunctions: Stubber) -> None:
    stepfunctions.add_response("describe_execution", {
        "executionArn": "arn:child", "stateMachineArn": "arn:m", "status": "FAILED", "startDate": START,
        "stopDate": START, "error": "ImageInvalid", "cause": json.dumps({"reason": "is empty"}),
    })  # fmt: skip
    item = {"ExecutionArn": "arn:child", "Status": "FAILED", "Input": '{"s3_key": "a.png"}',
            "StartDate": "2026-01-02T03:04:05Z", "StopDate": "2026-01-02T03:04:06Z"}  # fmt: skip
    read = batch._read_item(stepfunctions.client, item)
    assert (read.key, read.error, read.reason, read.outcome) == (
        "a.png",
        "ImageInvalid",
        "is empty",
        "rejected",
    )


def test_a_batch_is_told_with_counts_rate_classes_and_failures() -> None:
    members = (execution(), execution(), execution("FAILED", "ImageInvalid", reason="is empty"),
               execution("FAILED", "ThresholdConfidenceNotMet"))  # fmt: skip
    result = BatchResult("in/", "arn", "batch/1/manifest.json", members, START, START + timedelta(seconds=2))
    assert batch_command.describe(result) == [
        "in/: 4 objects in 2.0 s (2.0/s): 2 classified, 1 review, 1 rejected",
        "  bicycle: 2",
        "  k.png: ImageInvalid: is empty",
    ]
