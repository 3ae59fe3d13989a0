"""The request of a training job with SageMaker's own image classification (ALGORITHM=builtin, only on AWS).

https://docs.aws.amazon.com/sagemaker/latest/dg/image-classification.html and IC-Hyperparameter.html there.
"""

from __future__ import annotations

from scones_ops.data import Dataset
from scones_ops.errors import TrainingFailed
from scones_ops.settings import Settings
from scones_ops.training.job import Request, channels, common_request

FRAMEWORK = "image-classification"
CONTENT_TYPE = "application/x-image"
DEFAULT_EPOCHS = 15
BATCH = 32


def refuse_unless_aws(settings: Settings) -> None:
    """Raise TrainingFailed where the target cannot run SageMaker's own container."""
    if settings.target != "aws":
        raise TrainingFailed(
            "ALGORITHM=builtin runs in SageMaker's own container, which only AWS has: "
            "use TARGET=aws, or ALGORITHM=transfer"
        )


def builtin_request(
    settings: Settings,
    *,
    name: str,
    dataset_uri: str,
    dataset: Dataset,
    bucket: str,
    role_arn: str,
    image_uri: str,
) -> Request:
    """Return the request; the container needs a GPU instance, and emits `validation:accuracy` by itself."""
    hyperparameters = {
        "image_shape": f"3,{dataset.image_size[1]},{dataset.image_size[0]}",
        "num_classes": len(dataset.classes),
        "num_training_samples": len(dataset.split("train")),
        "num_layers": 18,
        "use_pretrained_model": 1,
        "epochs": settings.epochs or DEFAULT_EPOCHS,
        "learning_rate": 0.01,
        "mini_batch_size": BATCH,
    }
    return common_request(settings, name=name, bucket=bucket, role_arn=role_arn, dataset=dataset) | {
        "hyper_parameters": {key: str(value) for key, value in hyperparameters.items()},
        "algorithm_specification": {"training_image": image_uri, "training_input_mode": "File"},
        "input_data_config": channels(dataset_uri, CONTENT_TYPE),
    }
