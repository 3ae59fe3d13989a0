"""The state machines as text: complete, reachable, bounded in time, retried only where that can help."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ASL = Path(__file__).resolve().parents[2] / "asl"
# Longer than EXPRESS children live.
EXPRESS_SECONDS = 300
MAY_PASS = {
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.TooManyRequestsException",
    "EndpointThrottled",
    "S3.SdkClientException",
    "SQS.SdkClientException",
    "SQS.RequestThrottledException",
    "SQS.KmsThrottledException",
    "SNS.SdkClientException",
    "SNS.InternalErrorException",
    "SNS.ThrottledException",
    "SNS.KmsThrottlingException",
    "EventBridge.FailedEntry",
    "EventBridge.SdkClientException",
    "EventBridge.InternalException",
}


def documented(name: str) -> set[str]:
    """Return the placeholders that README.md's table under the file's name lists."""
    table = (ASL / "README.md").read_text().split(f"`{name}`\n\n| placeholder", 1)[1].split("\n\n", 1)[0]
    return {word for row in table.splitlines()[2:] for word in re.findall(r"`(\w+)`", row.split("|")[1])}


def placeholders(name: str) -> set[str]:
    return set(re.findall(r"\$\{(\w+)\}", (ASL / name).read_text()))


def render(name: str, **values: str) -> dict[str, Any]:
    """Return the definition with its placeholders filled with dummies."""
    dummies = {
        "partition": "aws",
        "threshold": "0.5",
        "classes_json": '["a", "b"]',
        "routes_json": '{"a": {"order_radius": "near", "loading_bay": "1"}}',
        "batch_max_concurrency": "5",
        "batch_child_type": "STANDARD",
    } | values
    text = re.sub(r"\$\{(\w+)\}", lambda match: dummies.get(match[1], match[1]), (ASL / name).read_text())
    definition: dict[str, Any] = json.loads(text)
    return definition


def classify_machine() -> dict[str, Any]:
    return render("classify.asl.json")


def batch_machine() -> dict[str, Any]:
    classify = classify_machine()
    states = ",".join(f"{json.dumps(name)}:{json.dumps(state)}" for name, state in classify["States"].items())
    return render("classify_batch.asl.json", classify_start_at=classify["StartAt"], classify_states=states)


def chains() -> Iterator[dict[str, Any]]:
    """Yield everything that has StartAt and States."""
    yield classify_machine()
    batch = batch_machine()
    yield batch
    yield batch["States"]["ClassifyAll"]["ItemProcessor"]


def tasks() -> list[tuple[str, dict[str, Any]]]:
    return [
        (name, state)
        for chain in chains()
        for name, state in chain["States"].items()
        if state["Type"] == "Task"
    ]


def successors(state: dict[str, Any]) -> set[str]:
    following = [state.get("Next"), state.get("Default")]
    following += [branch["Next"] for branch in state.get("Catch", []) + state.get("Choices", [])]
    return {name for name in following if name}


@pytest.mark.parametrize("name", ["classify.asl.json", "classify_batch.asl.json"])
def test_the_readme_lists_exactly_the_placeholders(name: str) -> None:
    assert placeholders(name) == documented(name)


@pytest.mark.parametrize("name", ["classify.asl.json", "classify_batch.asl.json"])
def test_terraform_finds_no_directive_of_its_own(name: str) -> None:
    assert "%{" not in (ASL / name).read_text()


def test_every_state_is_reachable_and_every_next_exists() -> None:
    for chain in chains():
        seen: set[str] = set()
        waiting = {chain["StartAt"]}
        while waiting:
            name = waiting.pop()
            seen.add(name)
            waiting |= successors(chain["States"][name]) - seen
        assert seen == set(chain["States"])


def test_every_task_is_bounded_retried_and_caught() -> None:
    for name, state in tasks():
        assert 0 < state["TimeoutSeconds"] <= 75, name
        assert state["Retry"], name
        assert "States.ALL" in state["Catch"][-1]["ErrorEquals"], name


def test_retries_back_off_with_full_jitter_and_an_end() -> None:
    for name, state in tasks():
        for retry in state["Retry"]:
            assert retry["JitterStrategy"] == "FULL", name
            assert retry["BackoffRate"] >= 2, name
            assert 1 <= retry["MaxAttempts"] <= 6, name
            assert retry["MaxDelaySeconds"] <= 20, name


def test_only_what_can_pass_is_retried() -> None:
    """No name that also stands for a refusal, as S3.S3Exception does for AccessDenied and KeyTooLongError."""
    services = {"lambda": ("Lambda.", "Endpoint"), "s3": ("S3.",), "sqs": ("SQS.",), "sns": ("SNS.",),
                "events": ("EventBridge.",)}  # fmt: skip
    for name, state in tasks():
        errors = {error for retry in state["Retry"] for error in retry["ErrorEquals"]}
        assert errors <= MAY_PASS, name
        starts = next(starts for service, starts in services.items() if f":{service}:" in state["Resource"])
        assert all(error.startswith(starts) for error in errors), name


def test_a_classification_ends_while_an_express_child_still_lives() -> None:
    assert classify_machine()["TimeoutSeconds"] <= EXPRESS_SECONDS


def test_no_failure_hides_the_first_error() -> None:
    """Once an outcome is known, every way on ends in a Fail state with the error that the record carries."""
    states = classify_machine()["States"]
    for start in ("Review", "Reject", "Breakage"):
        waiting, seen = {start}, set()
        while waiting:
            name = waiting.pop()
            seen.add(name)
            waiting |= successors(states[name]) - seen
        ends = [states[name] for name in seen if not successors(states[name])]
        assert ends and all(end["Type"] == "Fail" and end["ErrorPath"] == "$.error" for end in ends)
        for name in seen - {start}:
            for caught in states[name].get("Catch", []):
                assert caught["ResultPath"].startswith("$."), name


@pytest.mark.parametrize(
    ("outcome", "queue"), [("Review", "review_queue_url"), ("Reject", "dead_letter_queue_url")]
)
def test_no_way_from_an_outcome_to_its_end_passes_its_queue_by(outcome: str, queue: str) -> None:
    states = classify_machine()["States"]

    def ways(name: str, queued: tuple[str, ...], variable: str | None) -> Iterator[tuple[str, ...]]:
        """Yield the queues that each way from `name` to an end tries."""
        state = states[name]
        if ":sqs:" in state.get("Resource", ""):
            where = state["Parameters"]
            queued += (where.get("QueueUrl") or {"$queue": variable}[where["QueueUrl.$"]],)
        branches = [state, *state.get("Catch", [])]
        if state["Type"] == "Fail":
            yield queued
        for branch in branches:
            if "Next" in branch:
                yield from ways(branch["Next"], queued, branch.get("Assign", {}).get("queue", variable))

    assert set(ways(outcome, (), None)) == {(queue,)}


def test_functions_get_the_previous_answer_whole() -> None:
    states = classify_machine()["States"]
    assert states["Serialize"]["Parameters"]["Payload.$"] == "$"
    assert states["Classify"]["Parameters"]["Payload.$"] == "$"
    assert states["Filter"]["Arguments"]["Payload"] == "{% $states.input %}"
    assert [states[name]["OutputPath"] for name in ("Serialize", "Classify")] == ["$.Payload", "$.Payload"]


def test_the_batch_runs_the_very_states_of_the_single_machine() -> None:
    item = batch_machine()["States"]["ClassifyAll"]["ItemProcessor"]["States"]
    for name, state in classify_machine()["States"].items():
        assert item[name] == state
    assert set(item) == set(classify_machine()["States"])


def test_a_batch_tolerates_every_failure_and_writes_all_results() -> None:
    state = batch_machine()["States"]["ClassifyAll"]
    assert state["ToleratedFailurePercentage"] == 100
    assert state["ResultWriter"]["Parameters"] == {"Bucket": "bucket_name", "Prefix": "batch"}
    assert state["MaxConcurrency"] == 5


@pytest.mark.parametrize("machine", [classify_machine, batch_machine])
def test_pass_states_that_build_records_use_no_function_that_can_be_missing(machine: Any) -> None:
    """Only JSONata 2.0.6 and what Step Functions adds; `$` and `$$` alone are not allowed there."""
    known = {"max", "filter", "zip", "exists", "lookup", "string", "now", "length", "replace", "substring",
             "hash", "type", "contains", "parse"}  # fmt: skip
    expressions = re.findall(r"\{% (.*?) %\}", json.dumps(machine()))
    assert expressions
    for expression in expressions:
        assert set(re.findall(r"\$(\w+)\(", expression)) <= known
        assert not re.search(r"\$(?![A-Za-z/])", expression.replace("\\\\.*\\\\}$/", "")), expression


@pytest.mark.slow
@pytest.mark.parametrize("machine", [classify_machine, batch_machine])
def test_awss_own_schema_of_state_machines_takes_it(machine: Any, tmp_path: Path) -> None:
    definition = json.loads(
        re.sub(r'"(\w+_arn)"', r'"arn:aws:lambda:us-east-1:123456789012:function:\1"', json.dumps(machine()))
    )
    properties = {"RoleArn": "arn:aws:iam::123456789012:role/r", "Definition": definition}
    template = {
        "Resources": {"Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}}
    }
    path = tmp_path / "template.json"
    path.write_text(json.dumps(template))
    lint = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), path], capture_output=True, text=True, check=False
    )
    assert (lint.returncode, lint.stdout, lint.stderr) == (0, "", "")
