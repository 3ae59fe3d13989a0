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
    _keep_tags_of_scalable_targets(ApplicationAutoScalingResponse)
    _keep_tags_of_budgets(BudgetsResponse)
    S3Response.get_bucket_notification = _bucket_notification(S3Response.get_bucket_notification)
    Model.response_object = _model_without_empty_parts(Model.response_object)
    SageMakerResponse.delete_model_package_group = _delete_model_package_group


def _keep_tags_of_scalable_targets(response: type[ApplicationAutoScalingResponse]) -> None:
    """Keep Application Auto Scaling's tags, which are an object, by ARN. They go with their target."""
    register, deregister = response.register_scalable_target, response.deregister_scalable_target
    tags: dict[str, dict[str, str]] = {}

    def register_scalable_target(self: ApplicationAutoScalingResponse) -> str:
        answer: str = register(self)
        # Like AWS, only where it names some: to register a target anew is to change its capacity.
        if self._get_param("Tags"):
            tags[json.loads(answer)["ScalableTargetARN"]] = dict(self._get_param("Tags"))
        return answer

    def deregister_scalable_target(self: ApplicationAutoScalingResponse) -> str:
        known = self.applicationautoscaling_backend.targets.get(self._get_param("ScalableDimension"), {})
        target = known.get(self._get_param("ResourceId"))
        answer: str = deregister(self)
        tags.pop(target.arn, None)
        return answer

    def tag_resource(self: ApplicationAutoScalingResponse) -> str:
        tags.setdefault(self._get_param("ResourceARN"), {}).update(self._get_param("Tags"))
        return "{}"

    def untag_resource(self: ApplicationAutoScalingResponse) -> str:
        for key in self._get_param("TagKeys"):
            tags.get(self._get_param("ResourceARN"), {}).pop(key, None)
        return "{}"

    def list_tags_for_resource(self: ApplicationAutoScalingResponse) -> str:
        return json.dumps({"Tags": tags.get(self._get_param("ResourceARN"), {})})

    for method in (
        register_scalable_target, deregister_scalable_target, tag_resource, untag_resource,
        list_tags_for_resource,
    ):  # fmt: skip
        setattr(response, method.__name__, method)


def _keep_tags_of_budgets(response: type[BudgetsResponse]) -> None:
    """Keep Budgets' tags, which are a list, by ARN. They go with their budget."""
    create, delete = response.create_budget, response.delete_budget
    tags: dict[str, dict[str, str]] = {}

    def arn_of(self: BudgetsResponse, name: str) -> str:
        return f"arn:{self.partition}:budgets::{self._get_param('AccountId')}:budget/{name}"

    def create_budget(self: BudgetsResponse) -> str:
        answer: str = create(self)
        given = self._get_param("ResourceTags") or []
        arn = arn_of(self, self._get_param("Budget")["BudgetName"])
        tags[arn] = {tag["Key"]: tag["Value"] for tag in given}
        return answer

    def delete_budget(self: BudgetsResponse) -> str:
        answer: str = delete(self)
        tags.pop(arn_of(self, self._get_param("BudgetName")), None)
        return answer

    def tag_resource(self: BudgetsResponse) -> str:
        given = {tag["Key"]: tag["Value"] for tag in self._get_param("ResourceTags")}
        tags.setdefault(self._get_param("ResourceARN"), {}).update(given)
        return "{}"

    def untag_resource(self: BudgetsResponse) -> str:
        for key in self._get_param("ResourceTagKeys"):
            tags.get(self._get_param("ResourceARN"), {}).pop(key, None)
        return "{}"

    def list_tags_for_resource(self: BudgetsResponse) -> str:
        kept = tags.get(self._get_param("ResourceARN"), {})
        return json.dumps({"ResourceTags": [{"Key": key, "Value": value} for key, value in kept.items()]})

    for method in (create_budget, delete_budget, tag_resource, untag_resource, list_tags_for_resource):
        setattr(response, method.__name__, method)


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
