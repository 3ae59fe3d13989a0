"""Brings a state's parameters into the form that boto3 takes, and boto3's answer into Step Functions' form.

Step Functions writes every name in PascalCase and takes a value as text or bytes where the API wants these:
an object becomes its JSON. Moto hands both on as they are.
"""

from __future__ import annotations

import functools
import json
from typing import Any

from botocore.model import OperationModel, Shape
from botocore.session import get_session
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import (
    StateTaskService,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_aws_sdk import (
    StateTaskServiceAwsSdk,
)
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str
from moto.stepfunctions.parser.utils import camel_to_snake_case


def install() -> None:
    """Make all service integrations translate."""
    StateTaskService._normalise_parameters = _normalise_parameters
    StateTaskService._normalise_response = _normalise_response
    StateTaskServiceAwsSdk._normalise_parameters = _normalise_sdk_parameters


def _normalise_parameters(
    self: StateTaskService, parameters: Any, boto_service_name: str | None = None,
    service_action_name: str | None = None,
) -> None:  # fmt: skip
    model = _operation(self, boto_service_name, service_action_name)
    if model is not None and model.input_shape is not None and isinstance(parameters, dict):
        translated = to_request(parameters, model.input_shape)
        parameters.clear()
        parameters.update(translated)


def _normalise_sdk_parameters(
    self: StateTaskServiceAwsSdk, parameters: Any, boto_service_name: str | None = None,
    service_action_name: str | None = None,
) -> None:  # fmt: skip
    """Write what is bytes for the API as JSON text, whatever it is, and translate the rest.

    On AWS `aws-sdk:s3:putObject` writes the object `{"a": 1}` as that text, the string `text` as `"text"`,
    with the quotes.
    """
    model = _operation(self, boto_service_name, service_action_name)
    if model is not None and model.input_shape is not None and isinstance(parameters, dict):
        members = model.input_shape.members.items()
        blobs = {camel_to_snake_case(name) for name, member in members if member.type_name == "blob"}
        for name in parameters:
            if camel_to_snake_case(name) in blobs:
                text = json.dumps(parameters[name], separators=(",", ":"), ensure_ascii=False)
                parameters[name] = text.encode()
    _normalise_parameters(self, parameters, boto_service_name, service_action_name)


def _normalise_response(
    self: StateTaskService, response: Any, boto_service_name: str | None = None,
    service_action_name: str | None = None,
) -> None:  # fmt: skip
    model = _operation(self, boto_service_name, service_action_name)
    if model is not None and model.output_shape is not None:
        self._from_boto_response(response, model.output_shape)


def to_request(value: Any, shape: Shape) -> Any:
    """Return the value as boto3 takes it for `shape`; what the shape does not know stays, to be refused."""
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        members = {camel_to_snake_case(name): name for name in shape.members}
        translated = {}
        for key, item in value.items():
            name = members.get(camel_to_snake_case(key), key)
            translated[name] = to_request(item, shape.members[name]) if name in shape.members else item
        return translated
    if kind == "list" and isinstance(value, list):
        return [to_request(item, shape.member) for item in value]
    if kind == "map" and isinstance(value, dict):
        return {key: to_request(item, shape.value) for key, item in value.items()}
    if kind == "string" and not isinstance(value, str):
        return to_json_str(value, separators=(",", ":"))
    if kind == "blob" and not isinstance(value, bytes):
        return (value if isinstance(value, str) else to_json_str(value, separators=(",", ":"))).encode()
    return value


def _operation(self: StateTaskService, service: str | None, action: str | None) -> OperationModel | None:
    return _find_operation(self._get_boto_service_name(service), self._get_boto_service_action(action))


@functools.cache
def _find_operation(service: str, action: str) -> OperationModel | None:
    """Return boto3's model of the operation, None where the service or the operation is unknown."""
    session = get_session()
    if service not in session.get_available_services():
        return None
    model = session.get_service_model(service)
    for name in model.operation_names:
        if camel_to_snake_case(name) == action:
            return model.operation_model(name)
    return None
