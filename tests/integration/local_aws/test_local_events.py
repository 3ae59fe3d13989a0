"""Objects and events reach the targets of rules."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import pytest
from local_aws_parts import LocalAws, policy, wait_for

ECHO = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}


def rule(aws: LocalAws, pattern: dict[str, Any], target: dict[str, Any]) -> str:
    name = f"rule-{uuid.uuid4().hex[:8]}"
    events = aws.client("events")
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    assert events.put_targets(Rule=name, Targets=[{"Id": "t"} | target])["FailedEntryCount"] == 0
    return name


def uploads(bucket: str, prefix: str) -> dict[str, Any]:
    return {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [bucket]}, "object": {"key": [{"prefix": prefix}]}},
    }


def outputs(aws: LocalAws, machine: str, count: int) -> list[Any]:
    client = aws.client("stepfunctions")

    def done() -> list[Any] | None:
        found = client.list_executions(stateMachineArn=machine, statusFilter="SUCCEEDED")["executions"]
        return found if len(found) >= count else None

    found = wait_for(done, what=f"{count} executions")
    return [json.loads(client.describe_execution(executionArn=e["executionArn"])["output"]) for e in found]


def test_an_upload_starts_the_machine_with_the_transformed_event(aws: LocalAws) -> None:
    bucket, machine = aws.bucket(events=True), aws.machine(ECHO)
    transformer = {
        "InputPathsMap": {
            "b": "$.detail.bucket.name",
            "k": "$.detail.object.key",
            "v": "$.detail.object.version-id",
        },
        "InputTemplate": '{"s3_bucket": <b>, "s3_key": <k>, "s3_version": <v>, "inferences": []}',
    }
    target = {"Arn": machine, "RoleArn": aws.role("events"), "InputTransformer": transformer}
    rule(aws, uploads(bucket, "incoming/"), target)
    s3 = aws.client("s3")
    key = 'incoming/a "photo" ü.png'
    version = s3.put_object(Bucket=bucket, Key=key, Body=b"x")["VersionId"]
    s3.put_object(Bucket=bucket, Key="elsewhere/a.png", Body=b"x")
    expected = {"s3_bucket": bucket, "s3_key": key, "s3_version": version, "inferences": []}
    assert outputs(aws, machine, 1) == [expected]


def test_every_way_to_create_an_object_is_one_event_in_aws_s_shape(aws: LocalAws) -> None:
    bucket = aws.bucket(events=True)
    url, queue = aws.queue()
    rule(aws, uploads(bucket, ""), {"Arn": queue})
    s3 = aws.client("s3")
    s3.put_object(Bucket=bucket, Key="put", Body=b"12345")
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "put"})
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=b"x")
    s3.complete_multipart_upload(
        Bucket=bucket, Key="parts", UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )  # fmt: skip
    found: list[Any] = []

    def three() -> bool:
        found.extend(json.loads(message["Body"]) for message in aws.messages(url))
        return len(found) >= 3

    wait_for(three, what="three events")
    time.sleep(0.2)
    assert not aws.messages(url)
    details = {event["detail"]["object"]["key"]: event["detail"] for event in found}
    assert {key: detail["reason"] for key, detail in details.items()} == {
        "put": "PutObject",
        "copy": "CopyObject",
        "parts": "CompleteMultipartUpload",
    }
    put = details["put"]["object"]
    assert put["size"] == 5 and put["etag"] == "827ccb0eea8a706c4c34a16891f84e7b"
    assert put["version-id"] and put["sequencer"]
    assert found[0]["time"].endswith("Z") and found[0]["resources"] == [f"arn:aws:s3:::{bucket}"]


def test_a_bucket_that_does_not_tell_starts_nothing(aws: LocalAws) -> None:
    bucket, machine = aws.bucket(), aws.machine(ECHO)
    rule(aws, uploads(bucket, ""), {"Arn": machine, "RoleArn": aws.role("events")})
    aws.client("s3").put_object(Bucket=bucket, Key="a", Body=b"x")
    time.sleep(0.3)
    assert aws.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"] == []


def test_what_cannot_be_delivered_lands_in_the_dead_letter_queue(aws: LocalAws) -> None:
    bucket, machine = aws.bucket(events=True), aws.machine(ECHO)
    url, queue = aws.queue()
    powerless = aws.role("events", {"Effect": "Allow", "Action": "states:StopExecution", "Resource": "*"})
    target = {"Arn": machine, "RoleArn": powerless, "DeadLetterConfig": {"Arn": queue}}
    rule(aws, uploads(bucket, ""), target)
    aws.client("s3").put_object(Bucket=bucket, Key="a", Body=b"x")
    (message,) = wait_for(lambda: aws.messages(url), what="the dead letter")
    assert json.loads(message["Body"])["detail"]["object"]["key"] == "a"
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert (attributes["ERROR_CODE"], attributes["TARGET_ARN"]) == ("NO_PERMISSIONS", machine)


@pytest.mark.parametrize("kind", ["sqs", "sns", "lambda"])
def test_put_events_reach_targets_that_let_eventbridge_in(aws: LocalAws, kind: str) -> None:
    url, queue = aws.queue()
    source = f"test.{uuid.uuid4().hex}"
    let_in = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "*",
        "Resource": "*",
    }
    if kind == "sqs":
        arn = queue
    elif kind == "sns":
        sns = aws.client("sns")
        arn = sns.create_topic(Name=source.replace(".", "-"), Attributes={"Policy": policy(let_in)})[
            "TopicArn"
        ]
        sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue)
    else:
        send = f"boto3.client('sqs').send_message(QueueUrl='{url}', MessageBody=event['source'])"
        arn = aws.function(f"import boto3\ndef handler(event, context):\n    {send}\n", Timeout=10)
        aws.client("lambda").add_permission(
            FunctionName=arn,
            StatementId="s",
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
        )
    rule(aws, {"source": [source]}, {"Arn": arn})
    entry = {"Source": source, "DetailType": "T", "Detail": "{}"}
    assert aws.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0
    (message,) = wait_for(lambda: aws.messages(url), what="the event")
    assert source in message["Body"]


def test_a_target_that_does_not_let_eventbridge_in_gets_nothing(aws: LocalAws) -> None:
    url = aws.client("sqs").create_queue(QueueName="closed")["QueueUrl"]
    source = f"test.{uuid.uuid4().hex}"
    rule(aws, {"source": [source]}, {"Arn": "arn:aws:sqs:us-east-1:123456789012:closed"})
    aws.client("events").put_events(Entries=[{"Source": source, "DetailType": "T", "Detail": "{}"}])
    wait_for(lambda: "does not let EventBridge" in aws.log(), what="the line in the log")
    assert not aws.messages(url)
