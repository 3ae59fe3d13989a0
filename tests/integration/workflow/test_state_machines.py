"""Every way through the two state machines, executed."""

from __future__ import annotations

import json
import time
from hashlib import sha256
from typing import Any

import pytest
from machine_parts import BUCKET, ROUTES, Stage, picture_bytes

from scones_ops.errors import WorkflowFailed
from scones_ops.settings import Settings
from scones_ops.workflow import classify, classify_many, classify_prefix

pytestmark = pytest.mark.slow

RECORD = {"s3_bucket", "s3_key", "label", "confidence", "inferences", "filtered", "route", "model",
          "threshold", "execution", "decided_at"}  # fmt: skip


def put(stage: Stage, key: str, body: bytes | None = None) -> str:
    stage.client("s3").put_object(Bucket=BUCKET, Key=key, Body=picture_bytes() if body is None else body)
    return key


def run(stage: Stage, event: object) -> dict[str, Any]:
    """Run the classify machine on any input and return DescribeExecution's answer."""
    client = stage.client("stepfunctions")
    arn = client.start_execution(stateMachineArn=stage.classify_arn, input=json.dumps(event))["executionArn"]
    for _ in range(600):
        answer: dict[str, Any] = client.describe_execution(executionArn=arn)
        if answer["status"] != "RUNNING":
            return answer
        time.sleep(0.1)
    raise AssertionError("the execution does not end")


def read(stage: Stage, key: str) -> Any:
    return json.loads(stage.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read())


def test_a_certain_picture_is_classified_recorded_and_announced(
    stage: Stage, settings: Settings, outputs: Any
) -> None:
    key = put(stage, "good/scores=0.9969943761825562,0.0030055944807827473/a.png")
    execution = classify(settings, outputs, key)
    assert execution.status == "SUCCEEDED", execution
    output = dict(execution.output or {})
    assert set(output) == RECORD
    assert execution.outcome == "classified"
    assert (output["label"], output["confidence"]) == ("bicycle", 0.9969943761825562)
    assert output["inferences"] == [0.9969943761825562, 0.0030055944807827473]
    assert output["filtered"] == [1.0, 0.0]
    assert output["route"] == ROUTES["bicycle"]
    assert (output["model"], output["threshold"]) == ("model-1", 0.93)
    assert output["execution"] == execution.arn
    assert (output["s3_bucket"], output["s3_key"]) == (BUCKET, key)
    assert read(stage, f"results/{key}/unversioned.json") == output
    announced = stage.messages(stage.decisions_url, 5)
    assert [(event["source"], event["detail-type"], event["detail"]) for event in announced] == [
        ("scones.unlimited", "VehicleClassified", output)
    ]
    for url in (stage.review_url, stage.dead_letter_url, stage.alerts_url):
        assert stage.messages(url) == []


def test_the_other_class_takes_the_other_route(stage: Stage, settings: Settings, outputs: Any) -> None:
    execution = classify(settings, outputs, put(stage, "good/scores=0.05,0.95/b.png"))
    assert (execution.label, execution.confidence) == ("motorcycle", 0.95)
    assert execution.record["route"] == ROUTES["motorcycle"]


def test_a_folder_of_the_console_is_skipped_without_a_message(
    stage: Stage, settings: Settings, outputs: Any
) -> None:
    execution = classify(settings, outputs, put(stage, "good/folder/", b""))
    assert (execution.status, execution.outcome) == ("SUCCEEDED", "skipped")
    assert execution.output == {"s3_key": "good/folder/", "skipped": "folder marker"}
    for url in (stage.review_url, stage.dead_letter_url, stage.alerts_url):
        assert stage.messages(url) == []


def test_a_version_names_the_record(stage: Stage) -> None:
    s3 = stage.client("s3")
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    key = "good/scores=1,0/versioned.png"
    version = s3.put_object(Bucket=BUCKET, Key=key, Body=picture_bytes())["VersionId"]
    event = {"inferences": [], "s3_key": key, "s3_bucket": BUCKET, "image_data": "", "s3_version": version}
    for _ in range(2):
        assert run(stage, event)["status"] == "SUCCEEDED"
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"results/{key}/")["Contents"]
    assert [item["Key"] for item in listed] == [f"results/{key}/{version}.json"]


@pytest.mark.parametrize("letter", ["v", "ü", "🚲", "/"])
def test_a_version_of_any_length_leaves_room_for_the_record(stage: Stage, letter: str) -> None:
    event = {"s3_key": "bad/" + "k" * 950, "s3_bucket": BUCKET}
    for version in (letter * 2000, letter * 2000 + "2"):
        answer = run(stage, event | {"s3_version": version})
        assert answer["status"] == "FAILED"
        record = json.loads(answer["cause"])
        assert (record["error"], record.get("recording_error")) == (answer["error"], None)
        assert answer["error"] in ("ImageNotFound", "EventInvalid")
    folder = stage.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=f"rejected/{event['s3_key']}/")
    keys = [item["Key"] for item in folder["Contents"]]
    assert any(key.endswith(f"{sha256(version.encode()).hexdigest()[:40]}.json") for key in keys)
    assert max(len(key.encode()) for key in keys) <= 1024


def test_low_confidence_is_an_outcome_with_label_and_scores(
    stage: Stage, settings: Settings, outputs: Any
) -> None:
    key = put(stage, "unsure/scores=0.4,0.6/c.png")
    execution = classify(settings, outputs, key)
    assert (execution.status, execution.error) == ("FAILED", "ThresholdConfidenceNotMet")
    assert (execution.outcome, execution.label, execution.confidence) == ("review", "motorcycle", 0.6)
    assert execution.inferences == (0.4, 0.6)
    record = dict(execution.record)
    assert set(record) == RECORD | {"error", "reason"}
    assert record["reason"] == "no class reaches the threshold 0.93: the best score is 0.6"
    assert read(stage, f"review/{key}/unversioned.json") == record
    assert stage.messages(stage.review_url) == [record]
    assert stage.messages(stage.alerts_url) == []


@pytest.mark.parametrize(
    ("key", "body", "error"),
    [
        ("bad/text.png", b"just text", "ImageInvalid"),
        ("bad/missing.png", None, "ImageNotFound"),
        ("bad/raise=ImageInvalid.png", picture_bytes(), "ImageInvalid"),
    ],
)
def test_a_bad_picture_is_rejected(
    stage: Stage, settings: Settings, outputs: Any, key: str, body: bytes | None, error: str
) -> None:
    if body is not None:
        put(stage, key, body)
    execution = classify(settings, outputs, key)
    assert (execution.status, execution.error, execution.outcome) == ("FAILED", error, "rejected")
    record = dict(execution.record)
    assert set(record) == RECORD | {"error", "reason", "event"}
    assert (record["s3_key"], record["label"], record["inferences"]) == (key, None, None)
    assert record["event"]["s3_key"] == key
    assert read(stage, f"rejected/{key}/unversioned.json") == record
    assert stage.messages(stage.dead_letter_url) == [record]
    assert stage.messages(stage.review_url) == stage.messages(stage.alerts_url) == []


@pytest.mark.parametrize(
    "event",
    [{}, [], "text", 7, None, {"s3_key": 7}, {"s3_bucket": BUCKET}, {"s3_key": "", "s3_bucket": BUCKET},
     {"body": {"s3_bucket": BUCKET}}, {"body": "not json"}, {"s3_key": ["a"], "s3_bucket": {"b": 1}}],
)  # fmt: skip
def test_an_event_without_a_key_is_rejected_under_the_executions_name(stage: Stage, event: object) -> None:
    answer = run(stage, event)
    assert (answer["status"], answer["error"]) == ("FAILED", "EventInvalid")
    record = json.loads(answer["cause"])
    assert record["event"] == event
    assert read(stage, f"rejected/unnamed/{answer['name']}/unversioned.json") == record
    assert stage.messages(stage.dead_letter_url) == [record]


def test_a_huge_bad_event_is_rejected_without_being_repeated(stage: Stage) -> None:
    answer = run(stage, {"image_data": "x" * 200_000})
    assert answer["error"] == "EventInvalid"
    assert json.loads(answer["cause"])["event"] is None


@pytest.mark.parametrize("error", ["EndpointUnavailable", "InferenceFailed", "RuntimeError"])
def test_a_breakage_alerts_and_keeps_its_name(
    stage: Stage, settings: Settings, outputs: Any, error: str
) -> None:
    key = put(stage, f"broken/raise={error}/d.png")
    execution = classify(settings, outputs, key)
    assert (execution.status, execution.error, execution.outcome) == ("FAILED", error, "broken")
    assert "`make deploy`" in execution.reason
    assert stage.messages(stage.alerts_url, 5) == [dict(execution.record)]
    assert stage.messages(stage.dead_letter_url) == stage.messages(stage.review_url) == []


@pytest.mark.parametrize(
    ("key", "error"),
    [("unsure/scores=0.4,0.6/r.png", "ThresholdConfidenceNotMet"), ("bad/missing.png", "ImageNotFound")],
)
def test_a_picture_whose_record_cannot_be_written_is_queued_and_alerts_and_keeps_its_outcome(
    stage: Stage, settings: Settings, outputs: Any, key: str, error: str
) -> None:
    if error == "ThresholdConfidenceNotMet":
        put(stage, key)
    outputs.state_machine_arn = stage.unrecorded_arn
    execution = classify(settings, outputs, key)
    assert (execution.status, execution.error) == ("FAILED", error)
    assert "NoSuchBucket" in json.dumps(execution.record["recording_error"])
    assert execution.record["reason"]
    assert stage.messages(stage.alerts_url, 5) == [dict(execution.record)]
    queues = [stage.review_url, stage.dead_letter_url]
    if error == "ImageNotFound":
        queues.reverse()
    assert [stage.messages(url) for url in queues] == [[dict(execution.record)], []]


def test_a_result_that_cannot_be_written_is_a_breakage(
    stage: Stage, settings: Settings, outputs: Any
) -> None:
    outputs.state_machine_arn = stage.unrecorded_arn
    execution = classify(settings, outputs, put(stage, "good/scores=1,0/r.png"))
    assert (execution.status, execution.outcome) == ("FAILED", "broken")
    assert "S3" in (execution.error or "")
    assert stage.messages(stage.alerts_url, 5) == [dict(execution.record)]


def test_an_alert_that_cannot_be_sent_hides_no_error(stage: Stage, settings: Settings, outputs: Any) -> None:
    outputs.state_machine_arn = stage.silent_arn
    execution = classify(settings, outputs, put(stage, "broken/raise=EndpointUnavailable/s.png"))
    assert (execution.status, execution.error) == ("FAILED", "EndpointUnavailable")
    assert "`make deploy`" in execution.reason
    assert "SNS" in execution.record["alerting_error"]["Error"]


@pytest.mark.parametrize(
    "name",
    [
        "a b+c%20d&e=f.png",
        "ünïcödé 自転車 🚲.png",
        "quote'\"\\$x{}.png",
        "x" * 950,
        "ü" * 450,
        "a//b/./c.png",
        "{% $x %}",
    ],
    ids=["marks", "unicode", "quotes", "950 letters", "900 bytes", "slashes", "expression"],
)
@pytest.mark.parametrize(
    ("scores", "folder"), [("1,0", "results"), ("0.5,0.5", "review"), ("none", "rejected")]
)
def test_any_key_that_s3_takes_works(
    stage: Stage, settings: Settings, outputs: Any, name: str, scores: str, folder: str
) -> None:
    key = put(stage, f"k/scores={scores}/{name}", b"no picture" if folder == "rejected" else None)
    execution = classify(settings, outputs, key)
    assert execution.record["s3_key"] == key, execution
    assert execution.outcome == {"results": "classified"}.get(folder, folder)
    listed = stage.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=f"{folder}/k/scores={scores}/")[
        "Contents"
    ]
    records = [read(stage, item["Key"]) for item in listed]
    assert [record["s3_key"] for record in records].count(key) == 1


@pytest.mark.parametrize(("scores", "folder"), [("1,0", "results"), ("0.5,0.5", "review")])
def test_two_keys_of_1024_bytes_have_two_records(
    stage: Stage, settings: Settings, outputs: Any, scores: str, folder: str
) -> None:
    start = f"long/scores={scores}/"
    keys = [put(stage, start + "y" * (1024 - len(start) - 1) + end) for end in "ab"]
    for key in keys + keys:
        assert classify(settings, outputs, key).record["s3_key"] == key
    listed = stage.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=f"{folder}/long/")["Contents"]
    assert sorted(read(stage, item["Key"])["s3_key"] for item in listed) == keys


def test_many_are_all_accounted_for(stage: Stage, settings: Settings, outputs: Any) -> None:
    keys = [put(stage, f"many/scores={'1,0' if n % 3 else '0.5,0.5'}/{n}.png") for n in range(30)]
    executions = list(classify_many(settings, outputs, iter(keys), in_flight=8))
    assert sorted(execution.key for execution in executions) == sorted(keys)
    assert [e.outcome for e in executions].count("review") == 10
    assert all(execution.stopped_at >= execution.started_at for execution in executions)


def test_a_prefix_is_classified_item_by_item(stage: Stage, settings: Settings, outputs: Any) -> None:
    good = [put(stage, f"batch-in/scores=0.01,0.99/{n} ü+.png") for n in range(12)]
    unsure = put(stage, "batch-in/scores=0.5,0.5/e.png")
    text = put(stage, "batch-in/text.png", b"text")
    broken = put(stage, "batch-in/raise=InferenceFailed/f.png")
    put(stage, "batch-in/folder/", b"")
    seen: list[tuple[int, int]] = []
    result = classify_prefix(settings, outputs, "batch-in/", lambda done, total: seen.append((done, total)))
    assert result.counts == {"classified": 12, "review": 1, "rejected": 1, "broken": 1, "skipped": 1}
    by_key = {execution.key: execution for execution in result.executions}
    assert {key for key in good if by_key[key].label == "motorcycle"} == set(good)
    assert by_key[unsure].inferences == (0.5, 0.5)
    assert by_key[text].error == "ImageInvalid"
    assert by_key[broken].error == "InferenceFailed"
    assert seen[-1] == (16, 16)
    assert len({execution.record["execution"] for execution in result.executions if execution.label}) == 13
    assert read(stage, f"rejected/{text}/unversioned.json")["error"] == "ImageInvalid"
    assert len(stage.messages(stage.review_url)) == 1


def test_an_empty_prefix_says_so(settings: Settings, outputs: Any) -> None:
    with pytest.raises(WorkflowFailed, match="nothing under"):
        classify_prefix(settings, outputs, "no/such/prefix/")


def test_a_machine_that_is_gone_names_the_command(settings: Settings, outputs: Any) -> None:
    outputs.state_machine_arn += "-gone"
    with pytest.raises(WorkflowFailed, match="make deploy"):
        classify(settings, outputs, "a.png")
