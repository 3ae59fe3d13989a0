"""Distributed Map: child executions, tolerated failures, results in S3 in AWS's format."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from local_aws_parts import LocalAws, wait_for


def machine(bucket: str, **more: Any) -> dict[str, Any]:
    """Return a machine that looks at each object under `in/` and fails for those whose name holds "bad"."""
    item = {
        "StartAt": "Look",
        "States": {
            "Look": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.key", "StringMatches": "*bad*", "Next": "Bad"}],
                "Default": "Good",
            },
            "Bad": {"Type": "Fail", "Error": "BadItem", "Cause": "its name says so"},
            "Good": {
                "Type": "Pass",
                "Parameters": {"id.$": "$$.Execution.Id", "key.$": "$.key"},
                "End": True,
            },
        },
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": more.pop("child_type", "STANDARD")},
    }
    state = {
        "Type": "Map",
        "Label": "Items",
        "ItemProcessor": item,
        "ItemReader": {
            "Resource": "arn:aws:states:::s3:listObjectsV2",
            "Parameters": {"Bucket": bucket, "Prefix.$": "$.prefix"},
        },
        "ItemSelector": {"key.$": "$$.Map.Item.Value.Key", "size.$": "$$.Map.Item.Value.Size"},
        "ResultWriter": {
            "Resource": "arn:aws:states:::s3:putObject",
            "Parameters": {"Bucket": bucket, "Prefix": "out"},
        },
        "MaxConcurrency": 4,
        "End": True,
        **more,
    }
    return {"StartAt": "Each", "States": {"Each": state}}


def fill(aws: LocalAws, bucket: str, *, good: int, bad: int) -> None:
    s3 = aws.client("s3")
    for name in [f"{n:03d}" for n in range(good)] + [f"{n:03d}-bad" for n in range(bad)]:
        s3.put_object(Bucket=bucket, Key=f"in/{name}", Body=b"x")


def read(aws: LocalAws, bucket: str, key: str) -> Any:
    return json.loads(aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())


@pytest.mark.parametrize("child_type", ["STANDARD", "EXPRESS"])
def test_results_are_written_as_aws_writes_them(aws: LocalAws, child_type: str) -> None:
    bucket = aws.bucket()
    fill(aws, bucket, good=7, bad=3)
    definition = machine(bucket, ToleratedFailurePercentage=50, child_type=child_type)
    done = aws.run(definition, {"prefix": "in/"})
    assert done["status"] == "SUCCEEDED", done
    output = json.loads(done["output"])
    manifest = read(aws, bucket, output["ResultWriterDetails"]["Key"])
    assert manifest["MapRunArn"] == output["MapRunArn"]
    assert manifest["DestinationBucket"] == bucket
    files = manifest["ResultFiles"]
    assert files["PENDING"] == []
    good = read(aws, bucket, files["SUCCEEDED"][0]["Key"])
    bad = read(aws, bucket, files["FAILED"][0]["Key"])
    assert (len(good), len(bad)) == (7, 3)
    assert {(entry["Status"], entry["Error"], entry["Cause"]) for entry in bad} == {
        ("FAILED", "BadItem", "its name says so")
    }
    assert json.loads(good[0]["Input"]) == {"key": "in/000", "size": 1}
    assert json.loads(good[0]["Output"]) == {"id": good[0]["ExecutionArn"], "key": "in/000"}
    assert len({entry["ExecutionArn"] for entry in good + bad}) == 10


def test_a_run_can_be_described_and_its_children_listed(aws: LocalAws) -> None:
    bucket, client = aws.bucket(), aws.client("stepfunctions")
    fill(aws, bucket, good=3, bad=1)
    done = aws.run(machine(bucket, ToleratedFailureCount=1), {"prefix": "in/"})
    (run,) = client.list_map_runs(executionArn=done["executionArn"])["mapRuns"]
    described = client.describe_map_run(mapRunArn=run["mapRunArn"])
    assert described["status"] == "SUCCEEDED"
    counts = described["itemCounts"]
    assert (counts["total"], counts["succeeded"], counts["failed"], counts["pending"]) == (4, 3, 1, 0)
    children = client.list_executions(mapRunArn=run["mapRunArn"])["executions"]
    assert sorted(child["status"] for child in children) == ["FAILED"] + ["SUCCEEDED"] * 3
    failed = next(child for child in children if child["status"] == "FAILED")
    assert client.describe_execution(executionArn=failed["executionArn"])["error"] == "BadItem"


def test_without_tolerance_one_failure_fails_the_run_and_the_results_are_still_written(aws: LocalAws) -> None:
    bucket = aws.bucket()
    fill(aws, bucket, good=5, bad=1)
    failed = aws.run(machine(bucket), {"prefix": "in/"})
    assert (failed["status"], failed["error"]) == ("FAILED", "States.ExceedToleratedFailureThreshold")
    keys = [
        item["Key"] for item in aws.client("s3").list_objects_v2(Bucket=bucket, Prefix="out/")["Contents"]
    ]
    assert any(key.endswith("/FAILED_0.json") for key in keys)
    assert any(key.endswith("/manifest.json") for key in keys)


def test_what_never_began_is_written_as_pending_and_no_item_is_lost(aws: LocalAws) -> None:
    bucket = aws.bucket()
    aws.client("s3").put_object(Bucket=bucket, Key="in/0-bad", Body=b"x")
    fill(aws, bucket, good=30, bad=0)
    definition = machine(bucket, MaxConcurrency=2)
    items = definition["States"]["Each"]["ItemProcessor"]["States"]
    items["Look"]["Default"], items["Slow"] = "Slow", {"Type": "Wait", "Seconds": 1, "Next": "Good"}
    failed = aws.run(definition, {"prefix": "in/"})
    assert failed["error"] == "States.ExceedToleratedFailureThreshold"
    listed = aws.client("s3").list_objects_v2(Bucket=bucket, Prefix="out/")["Contents"]
    manifest = read(
        aws, bucket, next(item["Key"] for item in listed if item["Key"].endswith("manifest.json"))
    )
    entries = {
        group: [entry for file in files for entry in read(aws, bucket, file["Key"])]
        for group, files in manifest["ResultFiles"].items()
    }
    pending = [json.loads(entry["Input"])["Key"] for entry in entries["PENDING"]]
    begun = [json.loads(entry["Input"])["key"] for entry in entries["FAILED"] + entries["SUCCEEDED"]]
    assert len(pending) >= 25 and pending == sorted(pending)
    assert sorted(pending + begun) == sorted(["in/0-bad", *(f"in/{n:03d}" for n in range(30))])
    assert {entry["Status"] for entry in entries["FAILED"]} <= {"FAILED", "ABORTED"}


def test_a_stopped_execution_aborts_its_run(aws: LocalAws) -> None:
    bucket, client = aws.bucket(), aws.client("stepfunctions")
    fill(aws, bucket, good=5, bad=0)
    definition = machine(bucket, MaxConcurrency=1)
    wait = {"Type": "Wait", "Seconds": 1, "End": True}
    definition["States"]["Each"]["ItemProcessor"] |= {"StartAt": "W", "States": {"W": wait}}
    arn = client.start_execution(stateMachineArn=aws.machine(definition), input='{"prefix": "in/"}')
    (run,) = wait_for(lambda: client.list_map_runs(executionArn=arn["executionArn"])["mapRuns"])
    (child,) = wait_for(lambda: client.list_executions(mapRunArn=run["mapRunArn"])["executions"])
    client.stop_execution(executionArn=arn["executionArn"])
    described = client.describe_map_run(mapRunArn=run["mapRunArn"])
    assert described["status"] == "ABORTED" and described["itemCounts"]["pending"] == 0
    time.sleep(2.5)
    (same,) = client.list_executions(mapRunArn=run["mapRunArn"])["executions"]
    assert (same["executionArn"], same["status"]) == (child["executionArn"], "ABORTED")
    assert client.describe_map_run(mapRunArn=run["mapRunArn"])["status"] == "ABORTED"


def test_more_failures_than_tolerated_fail_the_run(aws: LocalAws) -> None:
    bucket = aws.bucket()
    fill(aws, bucket, good=4, bad=4)
    assert aws.run(machine(bucket, ToleratedFailureCount=3), {"prefix": "in/"})["status"] == "FAILED"
    assert aws.run(machine(bucket, ToleratedFailureCount=4), {"prefix": "in/"})["status"] == "SUCCEEDED"


def test_nothing_under_the_prefix_is_a_run_of_nothing(aws: LocalAws) -> None:
    assert aws.run(machine(aws.bucket()), {"prefix": "in/"})["status"] == "SUCCEEDED"


def test_more_objects_than_one_page_are_all_read(aws: LocalAws) -> None:
    bucket = aws.bucket()
    fill(aws, bucket, good=1005, bad=0)
    done = aws.run(machine(bucket), {"prefix": "in/"})
    manifest = read(aws, bucket, json.loads(done["output"])["ResultWriterDetails"]["Key"])
    assert len(read(aws, bucket, manifest["ResultFiles"]["SUCCEEDED"][0]["Key"])) == 1005


def test_maps_in_parallel_branches_write_their_own_results(aws: LocalAws) -> None:
    bucket = aws.bucket()
    fill(aws, bucket, good=12, bad=0)
    slow, quick = machine(bucket), machine(bucket)
    for branch, prefix in ((slow, "in/"), (quick, "in/00")):
        branch["States"]["Each"]["ItemReader"]["Parameters"] = {"Bucket": bucket, "Prefix": prefix}
    items = slow["States"]["Each"]["ItemProcessor"]
    items["StartAt"], items["States"]["Pause"] = "Pause", {"Type": "Wait", "Seconds": 1, "Next": "Look"}
    branches = [slow, quick]
    done = aws.run({"StartAt": "P", "States": {"P": {"Type": "Parallel", "Branches": branches, "End": True}}})
    assert done["status"] == "SUCCEEDED", done
    first, second = json.loads(done["output"])
    assert first["MapRunArn"] != second["MapRunArn"]
    for output, count in ((first, 12), (second, 10)):
        manifest = read(aws, bucket, output["ResultWriterDetails"]["Key"])
        assert manifest["MapRunArn"] == output["MapRunArn"]
        assert len(read(aws, bucket, manifest["ResultFiles"]["SUCCEEDED"][0]["Key"])) == count
