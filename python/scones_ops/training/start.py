"""Starting a training job through sagemaker-core: what AWS refuses, and what it takes a little later."""

from __future__ import annotations

import logging
import time
from typing import Any

import boto3
from botocore.exceptions import ClientError

from scones_ops.console import say
from scones_ops.errors import TrainingFailed
from scones_ops.settings import Settings
from scones_ops.training import faults
from scones_ops.training.job import Request

ROLE_PATIENCE_SECONDS = 60.0
ROLE_POLL_SECONDS = 5.0


def start_job(settings: Settings, request: Request) -> None:
    """Submit the job that `request` describes.

    Where the answer was lost on the way this returns too: who looks for the job sees whether it is there.
    Raises TrainingFailed where AWS refuses the request.
    """
    deadline = time.monotonic() + ROLE_PATIENCE_SECONDS
    waiting = False
    while True:
        try:
            resource().create(**request, **place(settings))
            return
        except faults.AwsError as error:
            if _submitted(error):
                return
            if not isinstance(error, ClientError):
                raise
            if not _role_is_new(error) or time.monotonic() > deadline:
                raise _refusal(settings, error) from None
            if not waiting:
                say(
                    f"SageMaker cannot assume the training role yet: trying for {ROLE_PATIENCE_SECONDS:.0f} s"
                )
            waiting = True
            time.sleep(ROLE_POLL_SECONDS)


def resource() -> Any:
    """Return sagemaker-core's class TrainingJob."""
    # Else it reports each configuration file that it did not find.
    logging.getLogger("sagemaker.config").setLevel(logging.WARNING)
    from sagemaker.core.resources import TrainingJob  # its import takes seconds

    return TrainingJob


def place(settings: Settings) -> dict[str, Any]:
    """Return the arguments that tell sagemaker-core where to send a call."""
    settings.apply_environment()
    return {"session": boto3.Session(region_name=settings.region), "region": settings.region}


def _submitted(error: Exception) -> bool:
    """Tell whether the job is there, or may be there, in spite of the error."""
    if not isinstance(error, ClientError):
        return faults.passing(error)
    if error.operation_name != "CreateTrainingJob":
        return True  # `create` submits the job and then describes it: only that failed
    # A repeated request, because the first one's answer was lost: nobody else has this name.
    return error.response["Error"]["Code"] == "ResourceInUse" or faults.passing(error)


def _role_is_new(error: ClientError) -> bool:
    """Tell whether the role is refused as it is for some seconds after its creation.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
    """
    said = error.response["Error"]
    return said["Code"] == "ValidationException" and "Could not assume role" in said["Message"]


def _refusal(settings: Settings, error: ClientError) -> TrainingFailed:
    if error.response["Error"]["Code"] == "ResourceLimitExceeded":
        return TrainingFailed(
            f"the account has no quota for training on {settings.training_instance_type}: ask for it in "
            "Service Quotas (SageMaker), or set TRAINING_INSTANCE_TYPE=ml.m5.xlarge"
        )
    return TrainingFailed(f"SageMaker refused the training job ({faults.reason(error)})")
