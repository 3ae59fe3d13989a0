"""CreateTrainingJob that trains: moto's canned answer replaced by AWS's checks and a real run."""

from __future__ import annotations

import json
import re
import shutil
import threading
from pathlib import Path
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.exceptions import ResourceInUseException, ResourceNotFound, ValidationError
from moto.sagemaker.models import SageMakerModelBackend
from moto.sagemaker.responses import SageMakerResponse

from scones_ops.local import sagemaker_rules as rules
from scones_ops.local import web
from scones_ops.local.sagemaker_training_job import (
    DEFAULT_MAX_RUNTIME,
    RUNNING,
    TrainingJobRecord,
    TrainingRun,
)

_runs: dict[str, TrainingRun] = {}  # those under way, by ARN
_creating = threading.Lock()


def install(home: Path) -> None:
    """Patch moto so that training jobs run in `home`/training."""
    shutil.rmtree(home / "training", ignore_errors=True)  # of a server that was killed
    SageMakerResponse.create_training_job = _create_training_job
    SageMakerResponse.stop_training_job = _stop_training_job
    SageMakerModelBackend.describe_training_job = _describe_training_job
    web.COUNTERS["training jobs"] = running


def close() -> None:
    """End all jobs at once."""
    for run in list(_runs.values()):
        run.close()


def running() -> int:
    """Return how many jobs run."""
    return len(_runs)


def _create_training_job(self: SageMakerResponse) -> ActionResult:
    request: dict[str, Any] = json.loads(self.body)
    rules.check_request("CreateTrainingJob", request)
    backend, name = self.sagemaker_backend, request["TrainingJobName"]
    _refuse_known_name(backend, name)
    _check_training_request(request)
    record = TrainingJobRecord(request)
    run = TrainingRun(record, ended=lambda: _runs.pop(record.arn, None))
    with _creating:  # the checks took a while: another request may have taken the name
        _refuse_known_name(backend, name)
        backend.training_jobs[name] = record
        _runs[record.arn] = run
    run.start()
    return ActionResult({"TrainingJobArn": record.arn})


def _refuse_known_name(backend: SageMakerModelBackend, name: str) -> None:
    if name in backend.training_jobs:
        raise ResourceInUseException(
            "Training job names must be unique within an AWS account and region, and a training job with "
            f"this name already exists ({rules.arn('training-job', name)})"
        )


def _stop_training_job(self: SageMakerResponse) -> ActionResult:
    request = json.loads(self.body)
    rules.check_request("StopTrainingJob", request)
    record = self.sagemaker_backend.training_jobs.get(request["TrainingJobName"])
    if record is None:
        raise ResourceNotFound("Requested resource not found.")
    if record.training_job_status not in RUNNING:
        raise ValidationError(
            f"The request was rejected because the training job is in status {record.training_job_status}."
        )
    run = _runs.get(record.arn)
    if run:  # else it has just ended
        run.stop()
    return EmptyResult()


def _describe_training_job(self: SageMakerModelBackend, training_job_name: str) -> dict[str, Any]:
    record = self.training_jobs.get(training_job_name)
    if record is None:
        raise ValidationError("Requested resource not found.")
    answer: dict[str, Any] = record.response_object
    return answer


def _check_training_request(request: dict[str, Any]) -> None:
    """Raise ValidationError for what AWS refuses, then for what only this local AWS cannot do."""
    for field in ("AlgorithmSpecification", "ResourceConfig", "StoppingCondition"):
        if not request.get(field):
            raise ValidationError(f"{field} is required.")
    rules.check_role(request["RoleArn"])
    algorithm = request["AlgorithmSpecification"]
    rules.check_training_image(algorithm)
    for definition in algorithm.get("MetricDefinitions") or []:
        try:
            re.compile(definition["Regex"])
        except re.error as error:
            raise ValidationError(
                f"Invalid regex in metric definition {definition['Name']}: {error}"
            ) from None
    _check_spot(request)
    _check_resources(request)
    names = [channel["ChannelName"] for channel in request.get("InputDataConfig") or []]
    if len(set(names)) < len(names):
        raise ValidationError(
            "Duplicate channel names found in InputDataConfig. Channel names must be unique."
        )
    for channel in request.get("InputDataConfig") or []:
        _check_channel(channel, algorithm["TrainingInputMode"], request["RoleArn"])
    if not request["OutputDataConfig"]["S3OutputPath"].startswith("s3://"):
        raise ValidationError("S3OutputPath must start with s3://.")


def _check_spot(request: dict[str, Any]) -> None:
    stopping = request["StoppingCondition"]
    runtime = stopping.get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME)
    wait = stopping.get("MaxWaitTimeInSeconds")
    if request.get("EnableManagedSpotTraining"):
        if wait is None or wait < runtime:
            raise ValidationError(
                "MaxWaitTimeInSeconds above 0 and greater than or equal to MaxRuntimeInSeconds is required "
                "when EnableManagedSpotTraining is true."
            )
    elif wait is not None:
        raise ValidationError("MaxWaitTimeInSeconds is only allowed when EnableManagedSpotTraining is true.")


def _check_resources(request: dict[str, Any]) -> None:
    resources = request["ResourceConfig"]
    if not resources.get("InstanceType") or not resources.get("InstanceCount"):
        raise rules.refuse_locally("training without InstanceType and InstanceCount (instance groups)")
    if resources["InstanceCount"] > 1:
        raise rules.refuse_locally("training on more than one instance")
    if request["AlgorithmSpecification"].get("ContainerEntrypoint"):
        raise rules.refuse_locally("ContainerEntrypoint")


def _check_channel(channel: dict[str, Any], default_mode: str, role_arn: str) -> None:
    source = channel["DataSource"].get("S3DataSource")
    if source is None:
        raise rules.refuse_locally("channels other than S3DataSource")
    if source["S3DataType"] != "S3Prefix":
        raise rules.refuse_locally(f"S3DataType={source['S3DataType']}")
    if channel.get("InputMode", default_mode) == "Pipe":
        raise rules.refuse_locally("TrainingInputMode=Pipe")
    if channel.get("CompressionType", "None") != "None":
        raise rules.refuse_locally(f"CompressionType={channel['CompressionType']}")
    rules.check_input_objects(role_arn, source["S3Uri"])
