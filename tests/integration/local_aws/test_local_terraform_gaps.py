"""What Terraform reads back is what was given."""

from __future__ import annotations

from local_aws_parts import ACCOUNT, LocalAws


def test_a_scalable_target_keeps_its_tags(aws: LocalAws) -> None:
    client = aws.client("application-autoscaling")
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "endpoint/e/variant/AllTraffic",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    bounds = {"MinCapacity": 1, "MaxCapacity": 2}
    tags = {"project": "scones", "stage": "local"}
    arn = client.register_scalable_target(**target, **bounds, Tags=tags)["ScalableTargetARN"]
    assert client.list_tags_for_resource(ResourceARN=arn)["Tags"] == tags
    client.register_scalable_target(**target, MinCapacity=1, MaxCapacity=3)
    client.tag_resource(ResourceARN=arn, Tags={"stage": "test", "new": "1"})
    client.untag_resource(ResourceARN=arn, TagKeys=["project", "never"])
    assert client.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"stage": "test", "new": "1"}
    client.deregister_scalable_target(**target)
    again = client.register_scalable_target(**target, **bounds)["ScalableTargetARN"]
    assert client.list_tags_for_resource(ResourceARN=again)["Tags"] == {}


def test_a_budget_keeps_its_tags(aws: LocalAws) -> None:
    client = aws.client("budgets")
    budget = {
        "BudgetName": "monthly",
        "BudgetLimit": {"Amount": "10", "Unit": "USD"},
        "TimeUnit": "MONTHLY",
        "BudgetType": "COST",
    }
    arn = f"arn:aws:budgets::{ACCOUNT}:budget/monthly"
    client.create_budget(AccountId=ACCOUNT, Budget=budget, ResourceTags=[{"Key": "a", "Value": "1"}])
    client.tag_resource(ResourceARN=arn, ResourceTags=[{"Key": "b", "Value": "2"}])
    client.untag_resource(ResourceARN=arn, ResourceTagKeys=["a"])
    assert client.list_tags_for_resource(ResourceARN=arn)["ResourceTags"] == [{"Key": "b", "Value": "2"}]
    client.delete_budget(AccountId=ACCOUNT, BudgetName="monthly")
    assert client.list_tags_for_resource(ResourceARN=arn)["ResourceTags"] == []
