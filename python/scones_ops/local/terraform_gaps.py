"""What Terraform's provider reads back and moto does not tell, so that a second plan finds no difference.

Each is an operation that AWS has and moto lacks, or a part of an answer that moto leaves out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse
from moto.budgets.responses import BudgetsResponse
from moto.core.responses import ActionResult, EmptyResult
from moto.s3.responses import S3Response
from moto.sagemaker.models import Model
from moto.sagemaker.responses import SageMakerResponse


def install(home: Path) -> None:
    """Add what is missing."""
    ApplicationAutoScalingResponse.list_tags_for_resource = _no_tags_by_name
    BudgetsResponse.list_tags_for_resource = _no_resource_tags
    S3Response.get_bucket_notification = _bucket_notification(S3Response.get_bucket_notification)
    Model.response_object = _model_without_empty_parts(Model.response_object)
    SageMakerResponse.delete_model_package_group = _delete_model_package_group


def _no_tags_by_name(self: ApplicationAutoScalingResponse) -> str:
    """Application Auto Scaling's ListTagsForResource: tags as an object. None are kept here."""
    return json.dumps({"Tags": {}})


def _no_resource_tags(self: BudgetsResponse) -> str:
    """Budgets' ListTagsForResource: tags as a list. None are kept here."""
    return json.dumps({"ResourceTags": []})


def _bucket_notification(original: Any) -> Any:
    """S3's GetBucketNotificationConfiguration tells whether events go to EventBridge."""

    def get_bucket_notification(self: S3Response) -> Any:
        configuration = self.backend.get_bucket_notification_configuration(self.bucket_name)
        if configuration is None or configuration.event_bridge is None:
            return original(self)
        serialized = self.serialized

        def with_event_bridge(answer: ActionResult) -> Any:
            answer.result["EventBridgeConfiguration"] = {}
            return serialized(answer)

        # A response object serves one request.
        self.serialized = with_event_bridge
        return original(self)

    return get_bucket_notification


def _model_without_empty_parts(original: Any) -> property:
    """SageMaker's DescribeModel leaves out VpcConfig and Containers where a model has none."""

    def response_object(self: Model) -> dict[str, Any]:
        described: dict[str, Any] = original.fget(self)
        return {
            name: value
            for name, value in described.items()
            if value or name not in ("VpcConfig", "Containers")
        }

    return property(response_object)


def _delete_model_package_group(self: SageMakerResponse) -> Any:
    """SageMaker's DeleteModelPackageGroup, which answers with nothing."""
    self.sagemaker_backend.model_package_groups.pop(self._get_param("ModelPackageGroupName"), None)
    return EmptyResult()
