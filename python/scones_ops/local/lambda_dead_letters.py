"""Dead letters: the event that a function failed on for good, sent to its queue or topic as its role.

What AWS does: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html#invocation-dlq
"""

from __future__ import annotations

import logging
import uuid
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from moto.awslambda.models import LambdaFunction

from scones_ops.local.context import CONTEXT
from scones_ops.local.role_clients import role_client

log = logging.getLogger("scones.local.lambda")


def install() -> None:
    """Make functions keep and tell their DeadLetterConfig, which moto drops."""
    create, configure, tell = (
        LambdaFunction.__init__, LambdaFunction.update_configuration, LambdaFunction.get_configuration,
    )  # fmt: skip

    def __init__(
        self: LambdaFunction, account_id: str, spec: dict[str, Any], *more: Any, **named: Any
    ) -> None:
        self.dead_letter_arn = _target(spec)
        create(self, account_id, spec, *more, **named)

    def update_configuration(self: LambdaFunction, config_updates: dict[str, Any]) -> dict[str, Any]:
        if "DeadLetterConfig" in config_updates:
            self.dead_letter_arn = _target(config_updates)
        answer: dict[str, Any] = configure(self, config_updates)
        return answer

    def get_configuration(self: LambdaFunction, on_create: bool = False) -> dict[str, Any]:
        told: dict[str, Any] = tell(self, on_create)
        return (
            told | {"DeadLetterConfig": {"TargetArn": self.dead_letter_arn}} if self.dead_letter_arn else told
        )

    for method in (__init__, update_configuration, get_configuration):
        setattr(LambdaFunction, method.__name__, method)


def send_dead_letter(function: LambdaFunction, event: bytes, code: int, message: str) -> None:
    """Send the event with its error to the function's queue or topic, if it has one; a failure is logged."""
    arn = function.dead_letter_arn
    if not arn:
        return
    attributes = {
        "RequestID": {"DataType": "String", "StringValue": str(uuid.uuid4())},
        "ErrorCode": {"DataType": "Number", "StringValue": str(code)},
        "ErrorMessage": {"DataType": "String", "StringValue": message[:1024] or "none"},
    }
    _, _, service, _, account, name = arn.split(":", 5)
    client = role_client(service, function.role, function.function_name)
    text = event.decode()
    try:
        if service == "sns":
            client.publish(TopicArn=arn, Message=text, MessageAttributes=attributes)
        else:
            url = f"{CONTEXT.url}/{account}/{name}"
            client.send_message(QueueUrl=url, MessageBody=text, MessageAttributes=attributes)
    except (ClientError, BotoCoreError) as error:
        log.warning("dead letter of %s lost: %s", function.function_arn, error)


def _target(spec: dict[str, Any]) -> str:
    """Return the ARN of the queue or topic, "" for none (an empty one takes it away)."""
    return str((spec.get("DeadLetterConfig") or {}).get("TargetArn") or "")
