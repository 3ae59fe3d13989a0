"""The request of a training job with our own script (ALGORITHM=transfer), and what both algorithms share."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

from scones_ops.data import Dataset
from scones_ops.errors import TrainingFailed
from scones_ops.settings import Settings
from scones_ops.training.source import ENTRY_POINT

# Keyword arguments of sagemaker.core.resources.TrainingJob.create.
Request: TypeAlias = dict[str, Any]

# AWS's PyTorch containers, for training and for serving.
# https://github.com/aws/deep-learning-containers/blob/master/available_images.md
PYTORCH_VERSION = "2.6.0"
PYTHON_VERSION = "py312"

NUMBER = r"([0-9]+\.?[0-9]*(?:e[-+]?[0-9]+)?)"
METRICS = ("train:loss", "validation:accuracy", "validation:loss", "validation:calibration_error")
VOLUME_GB = 30
CHECKPOINT_PATH = "/opt/ml/checkpoints"


def job_name(settings: Settings, now: datetime | None = None) -> str:
    """Return a training job name that no earlier job of the account has."""
    now = now or datetime.now(UTC)
    return f"{settings.prefix}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def transfer_request(
    settings: Settings,
    *,
    name: str,
    dataset_uri: str,
    dataset: Dataset,
    bucket: str,
    role_arn: str,
    source_uri: str,
    source_version: str,
    image_uri: str,
) -> Request:
    """Return the request that runs container/train.py on the staged data set."""
    hyperparameters: dict[str, Any] = {
        "sagemaker_program": ENTRY_POINT,
        "sagemaker_submit_directory": source_uri,
        "sagemaker_region": settings.region,
        "sagemaker_container_log_level": logging.WARNING,  # below it, the whole environment is printed
        # Objects travel as JSON text: as objects they would reach the script as Python's own notation.
        "classes": json.dumps(list(dataset.classes)),
        "dataset": json.dumps(dataset.describe()),
        "dataset_id": dataset.dataset_id,
        "generated": dataset.generated,
        "code_version": source_version,
        "seed": settings.seed,
    }
    if settings.epochs:
        hyperparameters["epochs"] = settings.epochs
    if settings.training_spot:
        hyperparameters["checkpoint_dir"] = CHECKPOINT_PATH
    return common_request(settings, name=name, bucket=bucket, role_arn=role_arn, dataset=dataset) | {
        # sagemaker-training reads each value as JSON, as the SageMaker SDK writes it.
        "hyper_parameters": {key: json.dumps(value) for key, value in hyperparameters.items()},
        "algorithm_specification": {
            "training_image": image_uri,
            "training_input_mode": "File",
            "metric_definitions": [{"name": name, "regex": f"{name}={NUMBER}"} for name in METRICS],
        },
        "input_data_config": channels(dataset_uri),
        "environment": {
            "PIP_QUIET": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_ROOT_USER_ACTION": "ignore",
        },
    }


def common_request(settings: Settings, *, name: str, bucket: str, role_arn: str, dataset: Dataset) -> Request:
    """Return what is the same for every algorithm: machine, limits, output, spot, tags."""
    request: Request = {
        "training_job_name": name,
        "role_arn": role_arn,
        "output_data_config": {"s3_output_path": f"s3://{bucket}/training"},
        "resource_config": {
            "instance_type": settings.training_instance_type,
            "instance_count": 1,  # train.py shares no work out: more machines would train the same model
            "volume_size_in_gb": VOLUME_GB,
        },
        "stopping_condition": {"max_runtime_in_seconds": settings.training_max_seconds},
        "tags": [
            {"key": "Project", "value": settings.prefix},
            {"key": "Component", "value": "training"},
            {"key": "DatasetId", "value": dataset.dataset_id},
        ],
    }
    if settings.training_spot:
        request["enable_managed_spot_training"] = True
        # The wait includes the run, and the time until a spot instance is free.
        request["stopping_condition"]["max_wait_time_in_seconds"] = 2 * settings.training_max_seconds
        request["checkpoint_config"] = {
            "s3_uri": f"s3://{bucket}/training/checkpoints/{name}",
            "local_path": CHECKPOINT_PATH,
        }
    return request


def channels(dataset_uri: str, content_type: str | None = None) -> list[Mapping[str, Any]]:
    """Return the four channels; a folder's address ends in a slash, else it would take in train.lst too."""
    places = {
        "train": "train/",
        "validation": "validation/",
        "train_lst": "train.lst",
        "validation_lst": "validation.lst",
    }
    kind = {"content_type": content_type} if content_type else {}
    return [
        {
            "channel_name": name,
            "data_source": {
                "s3_data_source": {
                    "s3_data_type": "S3Prefix",
                    "s3_uri": f"{dataset_uri}/{place}",
                    "s3_data_distribution_type": "FullyReplicated",
                }
            },
            **kind,
        }
        for name, place in places.items()
    ]


def pytorch_image(settings: Settings, scope: str) -> str:
    """Return AWS's PyTorch container in this region for `scope`, "training" or "inference"."""
    instance_type = (
        settings.training_instance_type if scope == "training" else settings.endpoint_instance_type
    )
    return image(settings, "pytorch", version=PYTORCH_VERSION, py_version=PYTHON_VERSION, image_scope=scope,
                 instance_type=instance_type)  # fmt: skip


def image(settings: Settings, framework: str, **options: str) -> str:
    """Return the address of an AWS container. Raises TrainingFailed where the region has none."""
    from sagemaker.core import image_uris  # its import takes seconds

    try:
        return str(image_uris.retrieve(framework, settings.region, **options))
    except ValueError as error:
        reason = str(error).partition(". ")[0]
        raise TrainingFailed(
            f"AWS has no {framework} container for these settings ({reason}): "
            "choose another REGION or instance type"
        ) from None
