"""The event of an asynchronous invocation that failed for good reaches the function's dead letter queue."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from scones_ops.local import lambda_backend, lambda_dead_letters
from scones_ops.local.lambda_types import Outcome

QUEUE = "arn:aws:sqs:us-east-1:123456789012:letters"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The messages sent for a function that always fails and has a queue."""
    messages: list[dict[str, Any]] = []
    function = SimpleNamespace(dead_letter_arn=QUEUE, role="role", function_name="f", function_arn="arn")
    backend = SimpleNamespace(get_function=lambda _arn: function)
    client = SimpleNamespace(send_message=lambda **message: messages.append(message))
    failed = Outcome("request", "stream", b'{"errorMessage": "no"}', "Unhandled", ())
    monkeypatch.setattr(lambda_backend, "lambda_simple_backends", {"1": {"r": backend}})
    monkeypatch.setattr(lambda_backend, "run_function", lambda *_arguments: failed)
    monkeypatch.setattr(lambda_backend, "_later", lambda _seconds, action, *arguments: action(*arguments))
    monkeypatch.setattr(lambda_dead_letters, "role_client", lambda *_arguments: client)
    return messages


def test_the_event_is_sent_once_all_tries_have_failed(sent: list[dict[str, Any]]) -> None:
    lambda_backend._run_asynchronously("1", "r", "arn", b'{"a": 1}', 0)
    (message,) = sent
    assert json.loads(message["MessageBody"]) == {"a": 1}
    assert message["QueueUrl"].endswith("/123456789012/letters")
    attributes = message["MessageAttributes"]
    assert (
        attributes["ErrorMessage"]["StringValue"] == "no" and attributes["ErrorCode"]["StringValue"] == "200"
    )
