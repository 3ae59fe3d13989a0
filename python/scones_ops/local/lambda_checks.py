"""What AWS refuses when a function is created or changed, and the kinds of function that cannot run here.

Messages: https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html
"""

from __future__ import annotations

import functools
import re
from typing import Any

from botocore.session import get_session
from moto.awslambda.exceptions import InvalidParameterValueException, ValidationException
from moto.awslambda.models import LambdaBackend, LambdaFunction

from scones_ops.local import roles
from scones_ops.local.lambda_files import check_zip
from scones_ops.packaging import host_runtime

ENVIRONMENT_BYTES = 4096
HOST_RUNTIME = host_runtime()

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
RESERVED_VARIABLES = frozenset(
    [
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_RUNTIME_API",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
    ]
)


def check_create(backend: LambdaBackend, spec: dict[str, Any]) -> None:
    """Raise what AWS raises for a function that could never run, and for the kinds that cannot run here."""
    if spec.get("PackageType", "Zip") != "Zip":
        raise InvalidParameterValueException(
            "The local AWS runs functions from zip files only, not from images."
        )
    for name in ("Handler", "Runtime"):
        if not spec.get(name):
            raise InvalidParameterValueException(
                f"{name} is a mandatory parameter for functions created with deployment packages."
            )
    check_configuration(backend.account_id, spec)
    _check_text("FunctionName", spec["FunctionName"])


def check_configuration(account: str, spec: dict[str, Any]) -> None:
    """Raise what AWS raises for settings that no function can have; only what `spec` names is looked at."""
    _check_runtime(spec.get("Runtime"))
    if spec.get("Handler"):
        _check_text("Handler", spec["Handler"])
    if spec.get("Layers"):
        raise InvalidParameterValueException("The local AWS runs functions without layers only.")
    for name, low, high in (("Timeout", 1, 900), ("MemorySize", 128, 10240)):
        value = spec.get(name)
        if value is not None and not low <= int(value) <= high:
            above = int(value) > high
            bound = f"less than or equal to {high}" if above else f"greater than or equal to {low}"
            raise InvalidParameterValueException(
                f"Value '{value}' at '{name[0].lower() + name[1:]}' failed to satisfy constraint: "
                f"Member must have value {bound}"
            )
    _check_environment(spec.get("Environment", {}).get("Variables", {}))
    if spec.get("Role") and not roles.can_be_assumed_by(account, spec["Role"], "lambda.amazonaws.com"):
        raise InvalidParameterValueException("The role defined for the function cannot be assumed by Lambda.")


def check_code(function: LambdaFunction) -> None:
    """Raise what AWS raises for a deployment package that cannot be unpacked or is too large."""
    refusal = check_zip(function.code_bytes)
    if refusal:
        raise InvalidParameterValueException(refusal)


def _check_text(name: str, value: str) -> None:
    """Raise what AWS raises for a text that breaks the length or pattern of AWS's own API model."""
    rules = _create_shape().members[name].metadata
    where = name[0].lower() + name[1:]
    if len(value) > rules["max"]:
        broken = f"Member must have length less than or equal to {rules['max']}"
        raise ValidationException(value, where, broken)
    if not re.fullmatch(rules["pattern"], value):
        broken = f"Member must satisfy regular expression pattern: {rules['pattern']}"
        raise ValidationException(value, where, broken)


def _check_runtime(runtime: str | None) -> None:
    if runtime is None:
        return
    if runtime not in _known_runtimes():
        raise InvalidParameterValueException(
            f"Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: "
            f"[{', '.join(_known_runtimes())}] or be a valid ARN"
        )
    if runtime != HOST_RUNTIME:
        raise InvalidParameterValueException(
            f"The local AWS runs functions with this machine's Python, {HOST_RUNTIME}, not as {runtime}."
        )


def _check_environment(variables: dict[str, str]) -> None:
    start = (
        "Lambda was unable to configure your environment variables because the environment variables you "
        "have provided "
    )
    reserved = sorted(RESERVED_VARIABLES.intersection(variables))
    if reserved:
        raise InvalidParameterValueException(
            f"{start}contains reserved keys that are currently not supported for modification. "
            f"Reserved keys used in this request: {', '.join(reserved)}"
        )
    if sum(len(name.encode()) + len(value.encode()) for name, value in variables.items()) > ENVIRONMENT_BYTES:
        raise InvalidParameterValueException(f"{start}exceeded the 4KB limit.")


@functools.cache
def _known_runtimes() -> tuple[str, ...]:
    """Return the runtimes of AWS's own API model."""
    return tuple(_create_shape().members["Runtime"].enum)


@functools.cache
def _create_shape() -> Any:
    return get_session().get_service_model("lambda").operation_model("CreateFunction").input_shape
