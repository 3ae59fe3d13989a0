mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }

  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws-cn" }
  }

  mock_data "aws_region" {
    defaults = { name = "cn-north-1" }
  }
}

variables {
  name        = "shop-training"
  bucket_name = "shop-pictures"
  bucket_arn  = "arn:aws-cn:s3:::shop-pictures"
}

run "is_trusted_to_sagemaker_for_this_account_only" {
  assert {
    condition = (
      one(data.aws_iam_policy_document.trust.statement[0].principals).identifiers == toset(["sagemaker.amazonaws.com"])
      && toset([for c in data.aws_iam_policy_document.trust.statement[0].condition : c.variable]) == toset(["aws:SourceAccount", "aws:SourceArn"])
      && contains(flatten([for c in data.aws_iam_policy_document.trust.statement[0].condition : c.values]), "123456789012")
    )
    error_message = "Only SageMaker, and only on behalf of this account, may take on the role."
  }
}

run "writes_under_training_and_nowhere_else" {
  assert {
    condition = toset(flatten([
      for s in data.aws_iam_policy_document.this.statement : s.resources if contains(s.actions, "s3:PutObject")
    ])) == toset(["arn:aws-cn:s3:::shop-pictures/training/*"])
    error_message = "Training must not be able to alter the data set or anything else."
  }

  assert {
    condition = toset(flatten([
      for s in data.aws_iam_policy_document.this.statement : s.resources if contains(s.actions, "s3:GetObject")
    ])) == toset(["arn:aws-cn:s3:::shop-pictures/datasets/*", "arn:aws-cn:s3:::shop-pictures/training/*"])
    error_message = "Training reads data sets and its own source, and nothing else."
  }
}

run "asks_for_everything_only_where_aws_forces_it" {
  assert {
    condition = toset(flatten([
      for s in data.aws_iam_policy_document.this.statement : s.actions if contains(s.resources, "*")
    ])) == toset(["cloudwatch:PutMetricData", "ecr:GetAuthorizationToken"])
    error_message = "Only the two actions that know no resources may be allowed on all."
  }

  assert {
    condition     = !anytrue([for s in data.aws_iam_policy_document.this.statement : anytrue([for a in s.actions : strcontains(a, "*")])])
    error_message = "Actions must be named one by one."
  }
}

run "names_resources_in_the_partition_and_region_it_runs_in" {
  assert {
    condition = contains(flatten([
      for s in data.aws_iam_policy_document.this.statement : s.resources if s.sid == "PullImages"
    ]), "arn:aws-cn:ecr:cn-north-1:*:repository/pytorch-training")
    error_message = "ARNs must follow partition and region."
  }
}

run "uses_the_buckets_key_when_there_is_one" {
  variables {
    kms_key_arn = "arn:aws-cn:kms:cn-north-1:123456789012:key/abcd"
  }

  assert {
    condition = contains(flatten([
      for s in data.aws_iam_policy_document.this.statement : s.resources if contains(s.actions, "kms:Decrypt")
    ]), var.kms_key_arn)
    error_message = "Without the key the role could not read encrypted pictures."
  }
}

run "keeps_within_a_permissions_boundary" {
  variables {
    permissions_boundary = "arn:aws-cn:iam::123456789012:policy/limit"
  }

  assert {
    condition     = aws_iam_role.this.permissions_boundary == var.permissions_boundary
    error_message = "The boundary must reach the role."
  }
}

run "refuses_a_repository_with_account_or_tag" {
  command = plan

  variables {
    image_repositories = ["763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6"]
  }

  expect_failures = [var.image_repositories]
}

run "refuses_objects_in_place_of_a_bucket" {
  command = plan

  variables {
    bucket_arn = "arn:aws-cn:s3:::shop-pictures/*"
  }

  expect_failures = [var.bucket_arn]
}
