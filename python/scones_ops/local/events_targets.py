"""Delivers a rule's event to its target, with the permissions that AWS asks for.

State machines are started as the target's role; queues, topics and functions must let EventBridge in by their
own policies: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
"""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from moto.core.exceptions import AWSError, ServiceException
from moto.events.models import events_backends
from moto.logs.models import logs_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends
from moto.stepfunctions.parser.models import stepfunctions_parser_backends
from werkzeug.exceptions import HTTPException

from scones_ops.local import lambda_backend, roles

SERVICE = "events.amazonaws.com"

_MOTO_ERRORS = (AWSError, ServiceException, HTTPException)


class DeliveryFailed(Exception):
    """The target did not take the event."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


def deliver(account: str, region: str, target: dict[str, Any], text: str) -> None:
    """Hand `text` to the target. Raises DeliveryFailed."""
    arn = target["Arn"]
    service = arn.split(":")[2]
    send = {
        "states": _to_state_machine,
        "sqs": _to_queue,
        "sns": _to_topic,
        "lambda": _to_function,
        "logs": _to_log_group,
        "events": _to_bus,
    }.get(service)
    if send is None:
        raise DeliveryFailed("NOT_IMPLEMENTED", f"the local AWS delivers no events to {service}")
    try:
        send(account, region, target, text)
    except _MOTO_ERRORS as error:
        raise DeliveryFailed(type(error).__name__, str(getattr(error, "message", "") or error)) from None


def send_to_dead_letter_queue(
    queue_arn: str, rule_arn: str, target_arn: str, event: dict[str, Any], failure: DeliveryFailed
) -> None:
    """Put the event on the queue with AWS's attributes.

    Raises DeliveryFailed if the queue does not let EventBridge in; the event is lost then, as on AWS.
    """
    values = {
        "RULE_ARN": rule_arn,
        "TARGET_ARN": target_arn,
        "ERROR_CODE": failure.code,
        "ERROR_MESSAGE": failure.message,
    }
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in values.items()}
    _, _, _, region, account, name = queue_arn.split(":", 5)
    _require_policy(sqs_backends[account][region].get_queue(name).policy, "sqs:SendMessage", queue_arn)
    sqs_backends[account][region].send_message(name, json.dumps(event), message_attributes=attributes)


def _to_state_machine(account: str, region: str, target: dict[str, Any], text: str) -> None:
    role = target.get("RoleArn", "")
    if not roles.can_be_assumed_by(account, role, SERVICE):
        raise DeliveryFailed("NO_PERMISSIONS", f"EventBridge cannot assume the role {role!r} of the target")
    if not roles.allows(account, role, "states:StartExecution", target["Arn"]):
        raise DeliveryFailed("NO_PERMISSIONS", f"{role} may not states:StartExecution {target['Arn']}")
    backend = stepfunctions_parser_backends[account][region]
    # EventBridge names its executions itself: two ids in one.
    backend.start_execution(target["Arn"], f"{uuid.uuid4()}_{uuid.uuid4()}", text)


def _to_queue(account: str, region: str, target: dict[str, Any], text: str) -> None:
    name = target["Arn"].rsplit(":", 1)[-1]
    backend = sqs_backends[account][region]
    queue = backend.get_queue(name)
    _require_policy(queue.policy, "sqs:SendMessage", target["Arn"])
    group = (target.get("SqsParameters") or {}).get("MessageGroupId")
    backend.send_message(name, text, group_id=group)


def _to_topic(account: str, region: str, target: dict[str, Any], text: str) -> None:
    backend = sns_backends[account][region]
    topic = backend.get_topic(target["Arn"])
    _require_policy(topic.policy, "sns:Publish", target["Arn"])
    backend.publish(text, arn=target["Arn"])


def _to_function(account: str, region: str, target: dict[str, Any], text: str) -> None:
    lambda_backend.invoke_later(account, region, target["Arn"], text.encode(), SERVICE)


def _to_log_group(account: str, region: str, target: dict[str, Any], text: str) -> None:
    group = target["Arn"].split(":log-group:")[-1].removesuffix(":*")
    backend = logs_backends[account][region]
    stream = str(uuid.uuid4())
    backend.create_log_stream(group, stream)
    backend.put_log_events(group, stream, [{"timestamp": int(time.time() * 1000), "message": text}])


def _to_bus(account: str, region: str, target: dict[str, Any], text: str) -> None:
    event = json.loads(text)
    _, _, _, region, account, resource = target["Arn"].split(":", 5)
    entry = {
        "Source": event["source"],
        "DetailType": event["detail-type"],
        "Detail": json.dumps(event["detail"]),
        "EventBusName": resource.removeprefix("event-bus/"),
    }
    events_backends[account][region].put_events([entry])


def _require_policy(policy: Any, action: str, resource: str) -> None:
    if not roles.policy_lets_in(policy, SERVICE, action):
        raise DeliveryFailed("NO_PERMISSIONS", f"the policy of {resource} does not let EventBridge {action}")
