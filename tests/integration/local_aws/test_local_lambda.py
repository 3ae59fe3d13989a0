"""Functions run as on AWS."""

from __future__ import annotations

import base64
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from local_aws_parts import RUNTIME, LocalAws, wait_for, zip_of

ECHO = "def handler(event, context):\n    return event\n"


def refusal(call: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


def test_the_event_arrives_and_the_answer_comes_back(aws: LocalAws) -> None:
    assert aws.invoke(aws.function(ECHO), {"a": ["ü", None, 1.5]}) == (None, {"a": ["ü", None, 1.5]})


def test_a_function_acts_as_its_role_and_sees_its_settings_only(aws: LocalAws) -> None:
    source = (
        "import boto3, os\n"
        "def handler(event, context):\n"
        "    return [boto3.client('sts').get_caller_identity()['Arn'], os.environ.get('COLOUR'),\n"
        "            context.function_name, os.environ.get('HOME'), context.memory_limit_in_mb]\n"
    )
    role = aws.role("lambda")
    arn = aws.function(source, Role=role, Environment={"Variables": {"COLOUR": "red"}}, MemorySize=256)
    error, (identity, colour, name, home, memory) = aws.invoke(arn, {})
    assert error is None
    assert identity.startswith(role.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + "/")
    assert (colour, name, home, memory) == ("red", arn.rsplit(":", 1)[-1], None, "256")


def test_a_package_that_aws_does_not_have_must_be_in_the_zip(aws: LocalAws) -> None:
    needs_it = "import PIL\ndef handler(event, context):\n    return PIL.NAME\n"
    error, answer = aws.invoke(aws.function(needs_it), {})
    assert (error, answer["errorType"]) == ("Unhandled", "Runtime.ImportModuleError")
    assert "No module named 'PIL'" in answer["errorMessage"]
    packed = {"ZipFile": zip_of(code=needs_it, PIL="NAME = 'mine'")}
    assert aws.invoke(aws.function("", Code=packed), {}) == (None, "mine")


def test_an_exception_carries_its_class_name(aws: LocalAws) -> None:
    source = "class NotGood(Exception): pass\ndef handler(event, context):\n    raise NotGood('why')\n"
    error, answer = aws.invoke(aws.function(source), {})
    assert error == "Unhandled"
    assert (answer["errorType"], answer["errorMessage"]) == ("NotGood", "why")
    assert answer["stackTrace"]


@pytest.mark.parametrize(
    ("body", "settings", "kind"),
    [
        ("import time; time.sleep(20)", {"Timeout": 1}, "Sandbox.Timedout"),
        ("import os; os._exit(3)", {}, "Runtime.ExitError"),
        (
            "x = bytearray(300_000_000); import time; time.sleep(1)",
            {"MemorySize": 128},
            "Runtime.OutOfMemory",
        ),
        ("return 'x' * 7_000_000", {}, "Function.ResponseSizeTooLarge"),
        ("return object()", {}, "Runtime.MarshalError"),
    ],
)
def test_what_breaks_a_function_is_named_as_on_aws_and_the_next_event_is_served(
    aws: LocalAws, body: str, settings: dict[str, Any], kind: str
) -> None:
    arn = aws.function(f"def handler(event, context):\n    if event: return 'fine'\n    {body}\n", **settings)
    error, answer = aws.invoke(arn, {})
    assert (error, answer["errorType"]) == ("Unhandled", kind)
    assert aws.invoke(arn, {"a": 1}) == (None, "fine")


@pytest.mark.parametrize(
    ("source", "handler", "kind"),
    [
        ("raise RuntimeError('at import')", "code.handler", "RuntimeError"),
        ("def other(): pass", "code.handler", "Runtime.HandlerNotFound"),
        (ECHO, "elsewhere.handler", "Runtime.ImportModuleError"),
        ("def handler(:", "code.handler", "Runtime.UserCodeSyntaxError"),
        ("import os; os._exit(1)", "code.handler", "Runtime.ExitError"),
    ],
)
def test_a_function_that_cannot_start_says_why(aws: LocalAws, source: str, handler: str, kind: str) -> None:
    error, answer = aws.invoke(aws.function(source, Handler=handler), {})
    assert (error, answer["errorType"]) == ("Unhandled", kind)


def test_a_worker_stays_warm_until_code_or_settings_change(aws: LocalAws) -> None:
    source = (
        "import os\ndef handler(event, context):\n    return [os.getpid(), os.environ.get('X'), VERSION]\n"
    )
    arn = aws.function("VERSION = 1\n" + source)
    client = aws.client("lambda")
    first, again = aws.invoke(arn, {})[1], aws.invoke(arn, {})[1]
    assert first == again
    client.update_function_configuration(FunctionName=arn, Environment={"Variables": {"X": "new"}})
    assert aws.invoke(arn, {})[1][1:] == ["new", 1]
    client.update_function_code(FunctionName=arn, ZipFile=zip_of(code="VERSION = 2\n" + source))
    assert aws.invoke(arn, {})[1][1:] == ["new", 2]


def test_several_events_run_at_once_and_reserved_concurrency_bounds_them(
    aws: LocalAws, tmp_path: Path
) -> None:
    # Each says that it has begun, and ends when as many as said have.
    source = (
        "import pathlib, time, uuid\n"
        "def handler(event, context):\n"
        "    folder = pathlib.Path(event['folder'])\n"
        "    (folder / uuid.uuid4().hex).touch()\n"
        "    while len(list(folder.iterdir())) < event['count']: time.sleep(0.02)\n"
    )
    arn = aws.function(source, Timeout=60)
    together, alone = tmp_path / "together", tmp_path / "alone"
    together.mkdir()
    alone.mkdir()
    with ThreadPoolExecutor(4) as pool:
        event = {"folder": str(together), "count": 4}
        assert {error for error, _ in pool.map(lambda _: aws.invoke(arn, event), range(4))} == {None}
    aws.client("lambda").put_function_concurrency(FunctionName=arn, ReservedConcurrentExecutions=1)
    event = {"folder": str(alone), "count": 2}
    busy = threading.Thread(target=aws.invoke, args=(arn, event))
    busy.start()
    wait_for(lambda: list(alone.iterdir()), what="the first event")
    assert refusal(lambda: aws.invoke(arn, event)) == "TooManyRequestsException"
    (alone / "enough").touch()
    busy.join()
    assert aws.invoke(arn, event)[0] is None


def test_logs_are_in_cloudwatch_in_aws_s_format(aws: LocalAws) -> None:
    source = (
        "import logging\n"
        "logging.getLogger().setLevel('INFO')\n"
        "def handler(event, context):\n"
        "    print('printed'); logging.info('two\\nlines'); 1 / 0\n"
    )
    arn = aws.function(source)
    answer = aws.client("lambda").invoke(FunctionName=arn, Payload="{}", LogType="Tail")
    logs = aws.client("logs")
    found = logs.filter_log_events(logGroupName=f"/aws/lambda/{arn.rsplit(':', 1)[-1]}")["events"]
    messages = [event["message"] for event in found]
    assert messages[0].startswith("START RequestId: ")
    assert messages[1] == "printed"
    assert messages[2].startswith("[INFO]\t") and messages[2].endswith("two\nlines")
    assert messages[3].startswith("[ERROR] ZeroDivisionError: division by zero\nTraceback")
    assert messages[4].startswith("END RequestId: ")
    assert messages[5].startswith("REPORT RequestId: ") and "Init Duration" in messages[5]
    assert "printed" in base64.b64decode(answer["LogResult"]).decode()


def test_an_event_can_be_left_or_only_tried(aws: LocalAws) -> None:
    bucket = aws.bucket()
    source = (
        "import boto3\n"
        "def handler(event, context):\n"
        f"    boto3.client('s3').put_object(Bucket='{bucket}', Key='done', Body=b'1')\n"
    )
    arn = aws.function(source)
    client, s3 = aws.client("lambda"), aws.client("s3")
    assert client.invoke(FunctionName=arn, InvocationType="DryRun")["StatusCode"] == 204
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    assert client.invoke(FunctionName=arn, InvocationType="Event")["StatusCode"] == 202
    wait_for(lambda: s3.list_objects_v2(Bucket=bucket).get("Contents"), what="the object")


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"Runtime": "python9.9"}, "InvalidParameterValueException"),
        ({"Runtime": "nodejs22.x"}, "InvalidParameterValueException"),
        ({"Handler": "a handler"}, "ValidationException"),
        ({"Code": {"ZipFile": b"no zip"}}, "InvalidParameterValueException"),
        ({"Role": "arn:aws:iam::123456789012:role/missing"}, "InvalidParameterValueException"),
        ({"Timeout": 901}, "InvalidParameterValueException"),
        ({"MemorySize": 20480}, "InvalidParameterValueException"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "InvalidParameterValueException"),
        ({"Environment": {"Variables": {"X": "x" * 5000}}}, "InvalidParameterValueException"),
    ],
)
def test_what_aws_refuses_is_refused(aws: LocalAws, settings: dict[str, Any], code: str) -> None:
    assert refusal(lambda: aws.function(ECHO, FunctionName="refused", **settings)) == code
    assert (
        refusal(lambda: aws.client("lambda").get_function(FunctionName="refused"))
        == "ResourceNotFoundException"
    )


@pytest.mark.parametrize("runtime", ["python3.6", "python3.8", "nodejs22.x"])
def test_a_runtime_that_this_machine_does_not_have_is_refused_by_name(aws: LocalAws, runtime: str) -> None:
    with pytest.raises(ClientError) as caught:
        aws.function(ECHO, Runtime=runtime)
    message = caught.value.response["Error"]["Message"]
    assert "this machine's Python" in message and RUNTIME in message and runtime in message
    arn = aws.function(ECHO)
    client = aws.client("lambda")
    assert (
        refusal(lambda: client.update_function_configuration(FunctionName=arn, Runtime=runtime))
        == "InvalidParameterValueException"
    )


@pytest.mark.parametrize("name", ["with space", "a" * 141, "ä"])
def test_a_name_that_aws_does_not_take_is_refused(aws: LocalAws, name: str) -> None:
    assert refusal(lambda: aws.function(ECHO, FunctionName=name)) == "ValidationException"


def test_a_published_version_knows_its_number_and_the_latest_is_none(aws: LocalAws) -> None:
    source = (
        "def handler(event, context):\n    return [context.function_version, context.invoked_function_arn]\n"
    )
    arn, client = aws.function(source), aws.client("lambda")
    version = client.publish_version(FunctionName=arn)["Version"]
    assert version == "1"
    assert aws.invoke(arn, {})[1][0] == "$LATEST"
    assert aws.invoke(arn, {}, Qualifier="1")[1] == ["1", f"{arn}:1"]
    answers = (client.invoke(FunctionName=arn, **more) for more in ({}, {"Qualifier": "1"}))
    assert [answer["ExecutedVersion"] for answer in answers] == ["$LATEST", "1"]


def test_a_dead_letter_queue_is_kept_and_told(aws: LocalAws) -> None:
    _, queue = aws.queue()
    arn, client = aws.function(ECHO, DeadLetterConfig={"TargetArn": queue}), aws.client("lambda")
    assert client.get_function_configuration(FunctionName=arn)["DeadLetterConfig"] == {"TargetArn": queue}
    client.update_function_configuration(FunctionName=arn, DeadLetterConfig={"TargetArn": ""})
    assert "DeadLetterConfig" not in client.get_function_configuration(FunctionName=arn)


def test_settings_of_asynchronous_invocations_are_not_taken_and_dropped(aws: LocalAws) -> None:
    arn, client = aws.function(ECHO), aws.client("lambda")
    given = {"FunctionName": arn, "MaximumRetryAttempts": 0}
    for call in (client.put_function_event_invoke_config, client.update_function_event_invoke_config):
        with pytest.raises(ClientError, match="does not implement"):
            call(**given)


def test_a_role_of_another_service_and_a_name_in_use_are_refused(aws: LocalAws) -> None:
    assert refusal(lambda: aws.function(ECHO, Role=aws.role("ec2"))) == "InvalidParameterValueException"
    name = aws.function(ECHO).rsplit(":", 1)[-1]
    assert refusal(lambda: aws.function(ECHO, FunctionName=name)) == "ResourceConflictException"


def test_a_bad_request_never_reaches_the_function(aws: LocalAws) -> None:
    client, arn = aws.client("lambda"), aws.function(ECHO)
    assert refusal(lambda: client.invoke(FunctionName="nobody")) == "ResourceNotFoundException"
    assert refusal(lambda: client.invoke(FunctionName=arn, Payload="{")) == "InvalidRequestContentException"
    large = json.dumps("x" * 6_400_000)
    assert refusal(lambda: client.invoke(FunctionName=arn, Payload=large)) == "RequestEntityTooLargeException"


def test_a_payload_of_several_megabytes_passes_both_ways(aws: LocalAws) -> None:
    event = {"image": "x" * 5_000_000}
    assert aws.invoke(aws.function(ECHO, MemorySize=512), event) == (None, event)
