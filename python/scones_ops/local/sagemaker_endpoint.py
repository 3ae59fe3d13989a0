"""Models, endpoint configurations and endpoints that really serve: moto's canned answers replaced."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.exceptions import ValidationError
from moto.sagemaker.models import FakeEndpoint, FakeEndpointConfig, SageMakerModelBackend
from moto.sagemaker.responses import SageMakerResponse

from scones_ops.local import sagemaker_endpoint_invoke, web
from scones_ops.local import sagemaker_rules as rules
from scones_ops.local.context import CONTEXT
from scones_ops.local.sagemaker_endpoint_live import IN_PROGRESS, LiveEndpoint, Part, missing_alarms

Answer = TypeVar("Answer")
_live: dict[str, LiveEndpoint] = {}  # by endpoint name
_changing = threading.Lock()
_stock_create_model = SageMakerResponse.create_model
_stock_create_config = SageMakerResponse.create_endpoint_config


def install(home: Path) -> None:
    """Patch moto so that endpoints serve, with their files in `home`/endpoints."""
    shutil.rmtree(home / "endpoints", ignore_errors=True)  # of a server that was killed
    SageMakerResponse.create_model = _create_model
    SageMakerResponse.create_endpoint_config = _create_endpoint_config
    SageMakerResponse.create_endpoint = _create_endpoint
    SageMakerResponse.update_endpoint = _update_endpoint
    SageMakerResponse.update_endpoint_weights_and_capacities = _update_weights_and_capacities
    SageMakerResponse.delete_endpoint = _delete_endpoint
    SageMakerModelBackend.describe_model = _find_model
    SageMakerModelBackend.delete_model = _delete_model
    SageMakerModelBackend.describe_endpoint_config = _describe_endpoint_config
    SageMakerModelBackend.delete_endpoint_config = _delete_endpoint_config
    SageMakerModelBackend.describe_endpoint = _describe_endpoint
    # Stock moto knows the instance types of years ago; the operation's own model knows today's.
    FakeEndpointConfig.validate_instance_type = lambda self, instance_type: None
    sagemaker_endpoint_invoke.install(_live)
    web.COUNTERS["endpoints"] = lambda: len(_live)


def close() -> None:
    """End all endpoints' processes."""
    for live in list(_live.values()):
        live.kill()
    _live.clear()


def _alone(change: Callable[[SageMakerResponse], Answer]) -> Callable[[SageMakerResponse], Answer]:
    """Return `change` so that no other change comes between its checks and what they allow."""

    @wraps(change)
    def alone(self: SageMakerResponse) -> Answer:
        with _changing:
            return change(self)

    return alone


def _request(self: SageMakerResponse, operation: str) -> dict[str, Any]:
    """Return the request's body, checked against the operation's own model."""
    request: dict[str, Any] = json.loads(self.body)
    rules.check_request(operation, request)
    return request


# Models


def _create_model(self: SageMakerResponse) -> ActionResult:
    request = _request(self, "CreateModel")
    name = request["ModelName"]
    _refuse_known_model(self.sagemaker_backend, name)
    role_arn = request.get("ExecutionRoleArn")
    if not role_arn:
        raise ValidationError("ExecutionRoleArn is required.")
    rules.check_role(role_arn)
    containers = request.get("Containers") or []
    container = request.get("PrimaryContainer") or (containers[0] if containers else {})
    if len(containers) > 1:
        raise rules.refuse_locally("inference pipelines (more than one container)")
    if not container.get("Image"):
        raise ValidationError("Image is required in the container definition.")
    rules.check_serving_image(container["Image"])
    if not container.get("ModelDataUrl"):
        raise rules.refuse_locally("models without ModelDataUrl")
    rules.check_model_data(role_arn, container["ModelDataUrl"])
    with _changing:  # the checks took a while: another request may have taken the name
        _refuse_known_model(self.sagemaker_backend, name)
        answer = _stock_create_model(self)
    model = self.sagemaker_backend._models[name]
    model.enable_network_isolation = bool(request.get("EnableNetworkIsolation"))
    return answer


def _refuse_known_model(backend: SageMakerModelBackend, name: str) -> None:
    if name in backend._models:
        raise ValidationError(f'Cannot create already existing model "{rules.arn("model", name)}".')


def _find_model(self: SageMakerModelBackend, model_name: str) -> Any:
    model = self._models.get(model_name)
    if model is None:
        raise ValidationError(f'Could not find model "{rules.arn("model", model_name)}".')
    return model


def _delete_model(self: SageMakerModelBackend, model_name: str) -> None:
    _find_model(self, model_name)
    del self._models[model_name]


# Endpoint configurations


@_alone
def _create_endpoint_config(self: SageMakerResponse) -> ActionResult:
    request = _request(self, "CreateEndpointConfig")
    name = request["EndpointConfigName"]
    if name in self.sagemaker_backend.endpoint_configs:
        raise ValidationError(
            f'Cannot create already existing endpoint configuration "{rules.arn("endpoint-config", name)}".'
        )
    variants = request["ProductionVariants"]
    names = [variant["VariantName"] for variant in variants]
    if len(set(names)) < len(names):
        raise ValidationError("Variant names must be unique within an endpoint configuration.")
    for variant in variants:
        _check_variant(self.sagemaker_backend, variant)
    if request.get("DataCaptureConfig") and any(variant.get("ServerlessConfig") for variant in variants):
        raise ValidationError("DataCaptureConfig is not supported with ServerlessConfig.")
    if request.get("AsyncInferenceConfig"):
        raise rules.refuse_locally("asynchronous inference")
    if request.get("ShadowProductionVariants"):
        raise rules.refuse_locally("shadow variants")
    answer = _stock_create_config(self)
    config = self.sagemaker_backend.endpoint_configs[name]
    config.data_capture_config = request.get("DataCaptureConfig")  # stock keeps {} for none
    return answer


def _check_variant(backend: SageMakerModelBackend, variant: dict[str, Any]) -> None:
    if not variant.get("ModelName"):
        raise rules.refuse_locally("variants without ModelName (inference components)")
    _find_model(backend, variant["ModelName"])
    serverless = variant.get("ServerlessConfig")
    if bool(serverless) == bool(variant.get("InstanceType")):
        raise ValidationError(
            f"Variant {variant['VariantName']} must have either InstanceType and InitialInstanceCount, or "
            "ServerlessConfig."
        )
    if serverless and serverless["MemorySizeInMB"] % 1024:
        raise ValidationError("MemorySizeInMB must be one of 1024, 2048, 3072, 4096, 5120, 6144.")
    if (
        not serverless
        and not variant.get("InitialInstanceCount")
        and not variant.get("ManagedInstanceScaling")
    ):
        raise ValidationError(f"InitialInstanceCount is required for variant {variant['VariantName']}.")


def _describe_endpoint_config(self: SageMakerModelBackend, endpoint_config_name: str) -> dict[str, Any]:
    config = self.endpoint_configs.get(endpoint_config_name)
    if config is None:
        raise ValidationError(
            f'Could not find endpoint configuration "{rules.arn("endpoint-config", endpoint_config_name)}".'
        )
    answer: dict[str, Any] = config.response_object
    return answer


def _delete_endpoint_config(self: SageMakerModelBackend, endpoint_config_name: str) -> None:
    # Also one that an endpoint uses: AWS deletes it, the endpoint serves on, and its next update fails.
    _describe_endpoint_config(self, endpoint_config_name)
    del self.endpoint_configs[endpoint_config_name]


# Endpoints


@_alone
def _create_endpoint(self: SageMakerResponse) -> ActionResult:
    request = _request(self, "CreateEndpoint")
    backend, name = self.sagemaker_backend, request["EndpointName"]
    if name in backend.endpoints:
        raise ValidationError(f'Cannot create already existing endpoint "{rules.arn("endpoint", name)}".')
    config = _describe_endpoint_config(backend, request["EndpointConfigName"])
    parts = _parts(backend, config)
    alarms = _rollback_alarms(request.get("DeploymentConfig"))
    record = FakeEndpoint(
        account_id=CONTEXT.account,
        region_name=CONTEXT.region,
        endpoint_name=name,
        endpoint_config_name=config["EndpointConfigName"],
        production_variants=[],
        data_capture_config=None,
        tags=request.get("Tags") or [],
    )
    record.endpoint_status = "Creating"
    record.last_deployment_config = request.get("DeploymentConfig")
    backend.endpoints[name] = record
    live = _live[name] = LiveEndpoint(record)
    live.deploy(config, parts, {}, alarms)
    return ActionResult({"EndpointArn": record.arn})


@_alone
def _update_endpoint(self: SageMakerResponse) -> ActionResult:
    request = _request(self, "UpdateEndpoint")
    backend = self.sagemaker_backend
    record = _changeable(backend, request["EndpointName"])
    # AWS reads the present configuration too: once that is deleted, the endpoint cannot be updated.
    _describe_endpoint_config(backend, record.endpoint_config_name)
    config = _describe_endpoint_config(backend, request["EndpointConfigName"])
    parts = _parts(backend, config)
    alarms = _rollback_alarms(request.get("DeploymentConfig"))
    kept = {}
    if request.get("RetainAllVariantProperties"):
        kept = {variant["VariantName"]: variant for variant in record.production_variants}
    if request.get("DeploymentConfig"):
        record.last_deployment_config = request["DeploymentConfig"]
    record.endpoint_status = "Updating"
    record.failure_reason = None
    _live[record.endpoint_name].deploy(config, parts, kept, alarms)
    return ActionResult({"EndpointArn": record.arn})


@_alone
def _update_weights_and_capacities(self: SageMakerResponse) -> ActionResult:
    """Record the wishes at once: one process serves a variant, whatever its count."""
    request = _request(self, "UpdateEndpointWeightsAndCapacities")
    record = _changeable(self.sagemaker_backend, request["EndpointName"])
    variants = {variant["VariantName"]: variant for variant in record.production_variants}
    for wish in request["DesiredWeightsAndCapacities"]:
        if wish["VariantName"] not in variants:
            raise ValidationError(
                f'The variant name(s) "{wish["VariantName"]}" is/are not present within endpoint '
                f'configuration "{record.endpoint_config_name}".'
            )
    for wish in request["DesiredWeightsAndCapacities"]:
        variant = variants[wish["VariantName"]]
        for asked, told in (("DesiredWeight", "Weight"), ("DesiredInstanceCount", "InstanceCount")):
            if wish.get(asked) is not None:
                variant[f"Current{told}"] = variant[f"Desired{told}"] = wish[asked]
    return ActionResult({"EndpointArn": record.arn})


@_alone
def _delete_endpoint(self: SageMakerResponse) -> EmptyResult:
    request = _request(self, "DeleteEndpoint")
    backend = self.sagemaker_backend
    record = _find_endpoint(backend, request["EndpointName"])
    _refuse_in_progress(record)
    record.endpoint_status = "Deleting"

    def end() -> None:
        live = _live.pop(record.endpoint_name, None)
        if live:
            live.close()
        backend.endpoints.pop(record.endpoint_name, None)

    threading.Thread(target=end, name=f"delete {record.endpoint_name}").start()
    return EmptyResult()


def _describe_endpoint(self: SageMakerModelBackend, endpoint_name: str) -> dict[str, Any]:
    answer: dict[str, Any] = _find_endpoint(self, endpoint_name).response_object
    return answer


def _find_endpoint(backend: SageMakerModelBackend, name: str) -> Any:
    record = backend.endpoints.get(name)
    if record is None:
        raise ValidationError(f'Could not find endpoint "{rules.arn("endpoint", name)}".')
    return record


def _changeable(backend: SageMakerModelBackend, name: str) -> Any:
    """Return the endpoint's record. Raises ValidationError unless it may be updated now."""
    record = _find_endpoint(backend, name)
    _refuse_in_progress(record)
    if record.endpoint_status != "InService":
        raise ValidationError(
            f'Cannot update endpoint "{record.arn}" in status {record.endpoint_status}: only DeleteEndpoint '
            "can be performed on it."
        )
    return record


def _refuse_in_progress(record: Any) -> None:
    if record.endpoint_status in IN_PROGRESS:
        raise ValidationError(f'Cannot update in-progress endpoint "{record.arn}".')


def _parts(backend: SageMakerModelBackend, config: dict[str, Any]) -> list[Part]:
    """Return each variant of a configuration with its model. Raises ValidationError if a model is gone."""
    return [
        (variant, _find_model(backend, variant["ModelName"]).response_object)
        for variant in config["ProductionVariants"]
    ]


def _rollback_alarms(deployment: dict[str, Any] | None) -> list[str]:
    """Return the names of a DeploymentConfig's alarms. Raises ValidationError if one does not exist."""
    rollback = (deployment or {}).get("AutoRollbackConfiguration") or {}
    names = [alarm["AlarmName"] for alarm in rollback.get("Alarms") or []]
    missing = missing_alarms(names)
    if missing:
        raise ValidationError(f"The following CloudWatch alarms do not exist: {', '.join(missing)}.")
    return names
