"""The AWS calls of a state machine: made with its own role's session, by clients that are kept.

Moto makes a new client with fixed keys for every call; AWS acts as the machine's role.
"""

from __future__ import annotations

import threading
from typing import Any

import boto3
from botocore.config import Config
from botocore.session import get_session
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_aws_sdk
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import (
    StateTaskService,
)

from scones_ops.local import in_process
from scones_ops.local.context import CONTEXT
from scones_ops.local.credentials import RoleSession, role_session
from scones_ops.local.patching import replace_everywhere
from scones_ops.local.web import application

SESSION_NAME = "stepfunctions"
CONNECTIONS = 64

# How a service is written in the name of an error, as `S3.NoSuchKeyException`: as AWS's Java client is.
SERVICE_ERROR_NAMES = {
    "cloudwatch": "CloudWatch",
    "eventbridge": "EventBridge",
    "lambda": "Lambda",
    "s3": "S3",
    "sagemaker": "SageMaker",
    "sagemakerruntime": "SageMakerRuntime",
    "sns": "Sns",
    "sqs": "Sqs",
}
# aws-sdk integrations name a service as AWS's Java client does; boto3 has other names for some.
BOTO_NAMES = {"eventbridge": "events", "cloudwatchlogs": "logs", "sfn": "stepfunctions"}

_clients: dict[tuple[str, str, str], tuple[RoleSession, Any]] = {}
_lock = threading.Lock()


class _Forgetful(list[Any]):
    """A list that keeps nothing: moto would hold every thread of every execution for ever."""

    def append(self, item: Any) -> None:
        """Forget `item`."""


def install() -> None:
    """Make states call AWS as the machine's role."""
    package = "moto.stepfunctions"
    replace_everywhere(package, "boto_client_for", boto_client_for)
    replace_everywhere(package, "TMP_THREADS", _Forgetful())
    state_task_service_aws_sdk._SERVICE_ERROR_NAMES.update(SERVICE_ERROR_NAMES)
    StateTaskService._get_boto_service_name = _boto_service_name


def boto_client_for(region: str, service: str, state_credentials: Any = None) -> Any:
    """Return a client of `service` that acts as the role of `state_credentials`."""
    session = role_session(state_credentials.role_arn, SESSION_NAME)
    key = (service, region, session.role_arn)
    with _lock:
        kept = _clients.get(key)
        if kept is not None and kept[0] is session:
            return kept[1]
        client = boto3.client(
            service,
            region_name=region,
            endpoint_url=CONTEXT.url,
            aws_access_key_id=session.access_key_id,
            aws_secret_access_key=session.secret_access_key,
            aws_session_token=session.session_token,
            config=Config(
                # AWS's own limits are on the state (TimeoutSeconds), and the definition says what is retried.
                retries={"total_max_attempts": 1},
                connect_timeout=10,
                read_timeout=99999,
                max_pool_connections=CONNECTIONS,
                parameter_validation=True,
                inject_host_prefix=False,
                s3={"addressing_style": "path"},
            ),
        )
        in_process.connect(client, application())
        _clients[key] = (session, client)
        return client


def _boto_service_name(self: StateTaskService, boto_service_name: str | None = None) -> str:
    name = boto_service_name or self.resource.api_name
    if name == "states":
        return "stepfunctions"
    known = _boto_services()
    return BOTO_NAMES.get(name) or known.get(name, name)


def _boto_services() -> dict[str, str]:
    """Return boto3's service names by the same without hyphens, as `sagemakerruntime`."""
    global _services
    if not _services:
        _services = {name.replace("-", ""): name for name in get_session().get_available_services()}
    return _services


_services: dict[str, str] = {}
