"""State machines execute as on AWS."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError
from local_aws_parts import LocalAws, wait_for

COUNT = (
    "class TooMany(Exception): pass\n"
    "def handler(event, context):\n"
    "    if event['n'] >= event.get('limit', 100): raise TooMany('%d' % event['n'])\n"
    "    return event | {'n': event['n'] + 1}\n"
)


def invoke(function: str, **more: Any) -> dict[str, Any]:
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": function, "Payload.$": "$"},
        "OutputPath": "$.Payload",
        "TimeoutSeconds": 20,
    }
    return task | (more if "Next" in more else {"End": True, **more})


def single(state: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"StartAt": "A", "States": {"A": {"End": True} | state}, **more}


def code_of(call: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


def test_a_chain_of_functions_hands_on_its_output(aws: LocalAws) -> None:
    function = aws.function(COUNT)
    states = {"A": invoke(function, Next="B"), "B": invoke(function, Next="C"), "C": invoke(function)}
    done = aws.run({"StartAt": "A", "States": states}, {"n": 1})
    assert (done["status"], json.loads(done["output"])) == ("SUCCEEDED", {"n": 4})


def test_the_class_of_an_exception_can_be_caught_and_fails_by_its_name(aws: LocalAws) -> None:
    function = aws.function(COUNT)
    caught = invoke(function, Catch=[{"ErrorEquals": ["TooMany"], "ResultPath": "$.error", "Next": "B"}])
    done = aws.run({"StartAt": "A", "States": {"A": caught, "B": {"Type": "Succeed"}}}, {"n": 100})
    assert json.loads(json.loads(done["output"])["error"]["Cause"])["errorMessage"] == "100"
    failed = aws.run(single(invoke(function)), {"n": 100})
    assert (failed["status"], failed["error"]) == ("FAILED", "TooMany")


@pytest.mark.parametrize(
    ("body", "error"),
    [("import os; os._exit(1)", "Runtime.ExitError"), ("import time; time.sleep(9)", "Sandbox.Timedout")],
)
def test_a_broken_function_fails_by_aws_s_names(aws: LocalAws, body: str, error: str) -> None:
    function = aws.function(f"def handler(event, context):\n    {body}\n", Timeout=1)
    assert aws.run(single(invoke(function)))["error"] == error


def test_a_task_that_overruns_its_state_times_out(aws: LocalAws) -> None:
    function = aws.function("import time\ndef handler(event, context):\n    time.sleep(60)\n", Timeout=90)
    started = time.monotonic()
    assert aws.run(single(invoke(function, TimeoutSeconds=1)))["error"] == "States.Timeout"
    assert time.monotonic() - started < 30


def test_retries_wait_no_longer_than_said_and_start_anew_in_a_state_entered_again(aws: LocalAws) -> None:
    bucket = aws.bucket()
    source = (
        "import boto3\n"
        "class Flaky(Exception): pass\n"
        "def handler(event, context):\n"
        f"    s3 = boto3.client('s3'); bucket = '{bucket}'\n"
        "    tries = s3.list_objects_v2(Bucket=bucket).get('KeyCount', 0) + 1\n"
        "    s3.put_object(Bucket=bucket, Key=str(tries), Body=b'')\n"
        "    if tries % 3: raise Flaky(tries)\n"
        "    return {'tries': tries}\n"
    )
    retry = {
        "ErrorEquals": ["Flaky"],
        "IntervalSeconds": 1,
        "MaxAttempts": 2,
        "BackoffRate": 100,
        "MaxDelaySeconds": 2,
        "JitterStrategy": "FULL",
    }
    again = {"Variable": "$.tries", "NumericLessThan": 6, "Next": "A"}
    states = {
        "A": invoke(aws.function(source, Timeout=10), Next="B", Retry=[retry]),
        "B": {"Type": "Choice", "Choices": [again], "Default": "C"},
        "C": {"Type": "Succeed"},
    }
    started = time.monotonic()
    done = aws.run({"StartAt": "A", "States": states})
    assert (done["status"], json.loads(done["output"])) == ("SUCCEEDED", {"tries": 6})
    assert time.monotonic() - started < 45


def test_states_act_as_the_machine_s_role(aws: LocalAws) -> None:
    state = {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:sts:getCallerIdentity"}
    role = aws.role("states")
    client = aws.client("stepfunctions")
    started = client.start_execution(stateMachineArn=aws.machine(single(state), roleArn=role))
    arn = json.loads(aws.ended(started["executionArn"])["output"])["Arn"]
    assert arn == role.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + "/stepfunctions"


def test_services_are_called_and_their_errors_named_as_by_aws(aws: LocalAws) -> None:
    bucket = aws.bucket()
    put = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:s3:putObject",
        "Parameters": {"Bucket": bucket, "Key.$": "$.key", "Body.$": "$"},
        "ResultSelector": {"etag.$": "$.ETag"},
    }
    assert aws.run(single(put), {"key": "a.json"})["status"] == "SUCCEEDED"
    body = aws.client("s3").get_object(Bucket=bucket, Key="a.json")["Body"].read()
    assert json.loads(body) == {"key": "a.json"}
    get = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:s3:getObject",
        "Parameters": {"Bucket": bucket, "Key": "a.json"},
    }
    assert json.loads(json.loads(aws.run(single(get))["output"])["Body"]) == {"key": "a.json"}
    put["Parameters"]["Bucket"] = "no-such-bucket-here"
    assert aws.run(single(put), {"key": "a"})["error"] == "S3.NoSuchBucketException"


def test_parameters_of_the_sdk_are_translated_into_the_api_s_names_and_kinds(aws: LocalAws) -> None:
    url, _ = aws.queue()
    machine = aws.machine(single({"Type": "Pass"}))
    states = {
        "A": {
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:sqs:sendMessage",
            "Parameters": {"QueueUrl": url, "MessageBody": {"a": 1}},
            "Next": "B",
        },
        "B": {
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:sfn:describeStateMachine",
            "Parameters": {"StateMachineArn": machine},
            "End": True,
        },
    }
    done = aws.run({"StartAt": "A", "States": states})
    assert done["status"] == "SUCCEEDED", (done["error"], done["cause"])
    assert json.loads(done["output"])["StateMachineArn"] == machine
    assert [json.loads(message["Body"]) for message in aws.messages(url)] == [{"a": 1}]


def test_queue_topic_bus_and_other_machines_are_reached(aws: LocalAws) -> None:
    url, queue_arn = aws.queue()
    topic = aws.client("sns").create_topic(Name="alerts-test")["TopicArn"]
    aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)
    inner = aws.machine(single({"Type": "Pass", "Result": {"x": 1}}))
    detail = {"Source": "test", "DetailType": "T", "Detail": {"a": 1}}
    resources: dict[str, dict[str, Any]] = {
        "sqs:sendMessage": {"QueueUrl": url, "MessageBody": "from sqs"},
        "sns:publish": {"TopicArn": topic, "Message": "from sns"},
        "events:putEvents": {"Entries": [detail]},
        "states:startExecution.sync:2": {"StateMachineArn": inner, "Input": {}},
    }
    names = list(resources)
    states = {
        name: {"Type": "Task", "Resource": f"arn:aws:states:::{name}", "Parameters": given}
        | ({"Next": names[index + 1]} if index + 1 < len(names) else {"End": True})
        for index, (name, given) in enumerate(resources.items())
    }
    done = aws.run({"StartAt": names[0], "States": states})
    assert done["status"] == "SUCCEEDED", (done["error"], done["cause"])
    assert json.loads(done["output"])["Output"] == {"x": 1}
    bodies = [message["Body"] for message in aws.messages(url)]
    assert "from sqs" in bodies and any("from sns" in body for body in bodies)


def test_jsonata_sees_input_result_context_and_variables(aws: LocalAws) -> None:
    function = aws.function(COUNT)
    states = {
        "A": {
            "Type": "Task",
            "QueryLanguage": "JSONata",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Arguments": {"FunctionName": function, "Payload": "{% $states.input %}"},
            "Assign": {"n": "{% $states.result.Payload.n %}", "text": 'a "quoted" \\ text', "nothing": None},
            "Output": {"name": "{% $states.context.State.Name %}", "n": "{% $states.result.Payload.n * 2 %}"},
            "Next": "B",
        },
        "B": {"Type": "Pass", "Parameters": {"n.$": "$n", "text.$": "$text", "before.$": "$"}, "End": True},
    }
    done = aws.run({"StartAt": "A", "States": states}, {"n": 20})
    expected = {"n": 21, "text": 'a "quoted" \\ text', "before": {"name": "A", "n": 42}}
    assert json.loads(done["output"]) == expected


def test_an_undefined_jsonata_result_is_an_error(aws: LocalAws) -> None:
    state = {"Type": "Pass", "Output": "{% $states.input.missing %}"}
    failed = aws.run(single(state, QueryLanguage="JSONata"))
    assert failed["error"] == "States.QueryEvaluationError"
    assert "returned nothing (undefined)" in failed["cause"]


def test_a_state_s_output_is_limited_to_256_kib(aws: LocalAws) -> None:
    function = aws.function("def handler(event, context):\n    return 'x' * event['n']\n")
    payload = {"Parameters": {"FunctionName": function, "Payload.$": "$"}, "OutputPath": "$.Payload"}
    assert aws.run(single(invoke(function) | payload), {"n": 250_000})["status"] == "SUCCEEDED"
    assert aws.run(single(invoke(function) | payload), {"n": 270_000})["error"] == "States.DataLimitExceeded"


def test_a_map_keeps_the_order_and_fails_with_its_item(aws: LocalAws) -> None:
    inner = {"StartAt": "I", "States": {"I": invoke(aws.function(COUNT))}}
    state = {"Type": "Map", "ItemsPath": "$", "ItemProcessor": inner, "MaxConcurrency": 0}
    done = aws.run(single(state), [{"n": n} for n in range(30)])
    assert [item["n"] for item in json.loads(done["output"])] == list(range(1, 31))
    assert aws.run(single(state), [{"n": 1}, {"n": 100}])["error"] == "TooMany"


def test_a_map_of_thousands_of_items_ends(aws: LocalAws) -> None:
    inner = {"StartAt": "I", "States": {"I": {"Type": "Pass", "End": True}}}
    done = aws.run(single({"Type": "Map", "ItemProcessor": inner, "MaxConcurrency": 1}), list(range(1500)))
    assert json.loads(done["output"]) == list(range(1500))


def test_an_execution_has_a_name_of_its_own_unless_given_one(aws: LocalAws) -> None:
    client = aws.client("stepfunctions")
    machine = aws.machine(single({"Type": "Wait", "Seconds": 1}))
    first, second = (client.start_execution(stateMachineArn=machine)["executionArn"] for _ in range(2))
    assert first != second
    named = {"stateMachineArn": machine, "name": "mine"}
    arn = client.start_execution(**named, input='{"a": 1}')["executionArn"]
    assert client.start_execution(**named, input='{"a": 1}')["executionArn"] == arn
    assert code_of(lambda: client.start_execution(**named, input="{}")) == "ExecutionAlreadyExists"
    aws.ended(arn)
    assert code_of(lambda: client.start_execution(**named, input='{"a": 1}')) == "ExecutionAlreadyExists"
    assert code_of(lambda: client.start_execution(stateMachineArn=machine, name="a b")) == "InvalidName"
    assert (
        code_of(lambda: client.start_execution(stateMachineArn=machine, input="{")) == "InvalidExecutionInput"
    )


def test_what_aws_refuses_at_creation_is_refused(aws: LocalAws) -> None:
    client = aws.client("stepfunctions")
    for bad in ({}, single({"Type": "Pass", "End": False}), single({"Type": "Task", "Resource": "x"})):
        assert code_of(lambda bad=bad: aws.machine(bad)) == "InvalidDefinition"
    good = single({"Type": "Pass"})
    assert code_of(lambda: aws.machine(good, roleArn=aws.role("lambda"))) == "AccessDeniedException"
    arn = aws.machine(good)
    name = arn.rsplit(":", 1)[-1]
    other = {
        "name": name,
        "definition": json.dumps(single({"Type": "Succeed"})),
        "roleArn": aws.role("states"),
    }
    del (changed := json.loads(other["definition"]))["States"]["A"]["End"]
    other["definition"] = json.dumps(changed)
    assert code_of(lambda: client.create_state_machine(**other)) == "StateMachineAlreadyExists"
    same = {"name": name, "definition": json.dumps(good), "roleArn": aws.role("states")}
    assert client.create_state_machine(**same)["stateMachineArn"] == arn
    for differing in (
        {"tracingConfiguration": {"enabled": True}},
        {"loggingConfiguration": {"level": "ERROR", "includeExecutionData": True}},
    ):
        given = same | differing
        assert (
            code_of(lambda given=given: client.create_state_machine(**given)) == "StateMachineAlreadyExists"
        )


def test_a_definition_can_be_checked_without_being_created(aws: LocalAws) -> None:
    client = aws.client("stepfunctions")
    good = client.validate_state_machine_definition(definition=json.dumps(single({"Type": "Pass"})))
    assert (good["result"], good["diagnostics"]) == ("OK", [])
    bad = client.validate_state_machine_definition(
        definition=json.dumps(single({"Type": "Pass"}, StartAt="X"))
    )
    assert (bad["result"], bad["diagnostics"][0]["code"]) == ("FAIL", "MISSING_TRANSITION_TARGET")


@pytest.mark.parametrize("bad", [{"Type": "Pass", "Catch": 3}, {"Type": "Choice", "Choices": [1]}])
def test_a_malformed_definition_is_refused_as_such(aws: LocalAws, bad: dict[str, Any]) -> None:
    definition = single(bad)
    assert code_of(lambda: aws.machine(definition)) == "InvalidDefinition"
    checked = aws.client("stepfunctions").validate_state_machine_definition(definition=json.dumps(definition))
    assert (checked["result"], checked["diagnostics"][0]["code"]) == ("FAIL", "SCHEMA_VALIDATION_FAILED")


def test_a_stopped_execution_is_aborted_at_once(aws: LocalAws) -> None:
    client = aws.client("stepfunctions")
    machine = aws.machine(single({"Type": "Wait", "Seconds": 30}))
    arn = client.start_execution(stateMachineArn=machine)["executionArn"]
    client.stop_execution(executionArn=arn, error="Mine", cause="enough")
    found = client.describe_execution(executionArn=arn)
    assert (found["status"], found["error"], found["cause"]) == ("ABORTED", "Mine", "enough")


def test_the_history_tells_the_states_and_can_be_read_backwards(aws: LocalAws) -> None:
    client = aws.client("stepfunctions")
    started = client.start_execution(stateMachineArn=aws.machine(single({"Type": "Pass"})), input='{"a": 1}')
    aws.ended(started["executionArn"])
    history = client.get_execution_history(executionArn=started["executionArn"])["events"]
    kinds = ["ExecutionStarted", "PassStateEntered", "PassStateExited", "ExecutionSucceeded"]
    assert [event["type"] for event in history] == kinds
    last = client.get_execution_history(executionArn=started["executionArn"], reverseOrder=True, maxResults=1)
    assert [event["type"] for event in last["events"]] == ["ExecutionSucceeded"]


def test_an_express_machine_answers_at_once_and_a_standard_one_is_refused(aws: LocalAws) -> None:
    client = aws.client("stepfunctions")
    express = aws.machine(single({"Type": "Pass"}), type="EXPRESS")
    done = client.start_sync_execution(stateMachineArn=express, input='{"a": 1}')
    assert (done["status"], json.loads(done["output"])) == ("SUCCEEDED", {"a": 1})
    assert code_of(lambda: client.list_executions(stateMachineArn=express)) == "StateMachineTypeNotSupported"
    standard = aws.machine(single({"Type": "Pass"}))
    assert (
        code_of(lambda: client.start_sync_execution(stateMachineArn=standard))
        == "StateMachineTypeNotSupported"
    )


def test_executions_are_listed_newest_first(aws: LocalAws) -> None:
    client = aws.client("stepfunctions")
    machine = aws.machine(single({"Type": "Fail", "Error": "E"} | {}) | {"States": {"A": {"Type": "Fail"}}})
    arns = [client.start_execution(stateMachineArn=machine)["executionArn"] for _ in range(3)]
    for arn in arns:
        aws.ended(arn)
    listed = client.list_executions(stateMachineArn=machine, statusFilter="FAILED")["executions"]
    assert [execution["executionArn"] for execution in listed] == arns[::-1]
    client.delete_state_machine(stateMachineArn=machine)
    wait_for(lambda: code_of(lambda: client.describe_execution(executionArn=arns[0])))
