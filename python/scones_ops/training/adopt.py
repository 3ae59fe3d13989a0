"""What a job of an earlier command says of itself: its data set, and the container that serves its model."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import botocore.exceptions

from scones_ops.data import Dataset
from scones_ops.data.dataset import MANIFEST, from_manifest
from scones_ops.errors import TrainingFailed
from scones_ops.settings import Settings
from scones_ops.training import job
from scones_ops.training.follow import value
from scones_ops.training.registry import stream


def dataset_of(settings: Settings, bucket: str, submitted: Any) -> Dataset:
    """Return the data set that the job trains on, as it was staged in the bucket; its pictures stay there.

    `submitted` is a sagemaker-core TrainingJob. Raises TrainingFailed for a job of another project or bucket,
    of other classes, or whose data set is gone.
    """
    name = submitted.training_job_name
    uri = _dataset_uri(bucket, submitted)
    if uri is None:
        raise TrainingFailed(
            f"training job {name} does not train on a data set in {bucket}: it is none of this project's"
        )
    manifest = f"{uri}/{MANIFEST}"
    try:
        document = json.loads(b"".join(stream(settings, manifest)))
        dataset = from_manifest(Path(uri), document)
    except botocore.exceptions.ClientError as error:
        if error.response["Error"]["Code"] not in ("NoSuchKey", "404"):
            raise
        raise TrainingFailed(f"{manifest}, the data set of {name}, is gone: `make train` anew") from None
    except (ValueError, KeyError, TypeError, IndexError):
        raise TrainingFailed(f"{manifest}, the data set of {name}, is damaged: `make train` anew") from None
    if dataset.classes != settings.classes:
        raise TrainingFailed(
            f"training job {name} was submitted for other classes than {', '.join(settings.classes)}: "
            f"set CLASSES={','.join(dataset.classes)}"
        )
    return dataset


def serving_image(settings: Settings, submitted: Any) -> str:
    """Return the container that serves the job's model: SageMaker's own algorithms serve with their own."""
    if "sagemaker_program" in submitted.hyper_parameters:
        return job.pytorch_image(settings, "inference")
    return str(submitted.algorithm_specification.training_image)


def _dataset_uri(bucket: str, submitted: Any) -> str | None:
    channels = {
        channel.channel_name: channel.data_source.s3_data_source.s3_uri
        for channel in value(submitted.input_data_config) or []
    }
    place = re.fullmatch(r"(s3://[^/]+/datasets/[0-9a-f]{12})/train/", str(channels.get("train")))
    return place[1] if place and place[1].startswith(f"s3://{bucket}/") else None
