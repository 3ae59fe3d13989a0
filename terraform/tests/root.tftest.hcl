mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }

  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_data "aws_region" {
    defaults = { name = "us-east-1" }
  }

  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::shop-123456789012-us-east-1" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/shop" }
  }

  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:us-east-1:123456789012:shop-alerts" }
  }

  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:us-east-1:123456789012:function:shop-function" }
  }

  mock_resource "aws_sqs_queue" {
    defaults = {
      arn = "arn:aws:sqs:us-east-1:123456789012:shop-queue"
      url = "https://sqs.us-east-1.amazonaws.com/123456789012/shop-queue"
    }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:shop" }
  }

  mock_resource "aws_sfn_state_machine" {
    defaults = { arn = "arn:aws:states:us-east-1:123456789012:stateMachine:shop" }
  }
}

# Everything else comes from scones.auto.tfvars.json, as it does for a plain apply.
variables {
  prefix            = "shop"
  lambda_package_s3 = { bucket = "zips", prefix = "v1/" }
}

run "makes_everything_but_the_endpoint_before_there_is_a_model" {
  assert {
    condition = (
      output.bucket_name == "shop-123456789012-us-east-1"
      && output.model_name == null
      && output.endpoint_config_name == null
      && output.endpoint_name == var.endpoint_name
    )
    error_message = "The first apply comes before training."
  }

  assert {
    condition = output.function_names == {
      serialize_image = "shop-serialize-image"
      classify_image  = "shop-classify-image"
      filter_classes  = "shop-filter-classes"
    }
    error_message = "The functions must be named as the contract says."
  }

  assert {
    condition     = strcontains(module.workflow.classify_definition, "\"none\"")
    error_message = "Without a model the records say none."
  }
}

run "serves_and_names_the_model_it_is_handed" {
  variables {
    model = {
      name      = "shop-0123456789ab"
      data_url  = "s3://shop-123456789012-us-east-1/training/job-1/output/model.tar.gz"
      image_uri = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-cpu-py312"
      sha256    = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
      classes   = ["bicycle", "motorcycle"]

      # What else the handoff file holds about the model is no fault.
      metrics = { validation_accuracy = 0.95 }
    }
  }

  assert {
    condition     = output.model_name == "shop-0123456789ab" && strcontains(module.workflow.classify_definition, "shop-0123456789ab")
    error_message = "The model must be served, and named in the records."
  }
}

run "takes_other_classes_without_another_file" {
  variables {
    classes = ["bus", "motorcycle", "train"]
  }

  assert {
    condition     = strcontains(module.workflow.classify_definition, "bay-2") && !strcontains(module.workflow.classify_definition, "bay-1")
    error_message = "Routes of classes that are not asked for must be left out."
  }
}

run "may_ask_the_endpoint_under_the_arn_that_sagemaker_gives_it" {
  variables {
    endpoint_name = "Vehicles-EP"
  }

  assert {
    condition     = local.functions.classify_image.statements[0].resources == ["arn:aws:sagemaker:${var.region}:123456789012:endpoint/vehicles-ep"]
    error_message = "SageMaker's ARNs hold names in small letters."
  }

  assert {
    condition     = local.functions.classify_image.environment.ENDPOINT_NAME == "Vehicles-EP" && output.endpoint_name == "Vehicles-EP"
    error_message = "Everywhere else the name stays as it was written."
  }
}

run "tells_whoever_finds_the_endpoint_gone_the_command_for_this_target" {
  assert {
    condition     = local.functions.classify_image.environment.DEPLOY_COMMAND == "make deploy TARGET=aws"
    error_message = "Plain Terraform applies to AWS, where plain `make deploy` does not."
  }
}

run "refuses_a_model_for_other_classes" {
  command = plan

  variables {
    classes = ["bus", "train"]

    model = {
      name      = "shop-0123456789ab"
      data_url  = "s3://shop-123456789012-us-east-1/training/job-1/output/model.tar.gz"
      image_uri = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-cpu-py312"
      sha256    = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
      classes   = ["bicycle", "motorcycle"]
    }
  }

  expect_failures = [var.model]
}

run "refuses_scaling_and_serverless_together" {
  command = plan

  variables {
    serverless  = {}
    autoscaling = { max_capacity = 3 }
  }

  expect_failures = [var.serverless]
}

run "refuses_a_threshold_that_nothing_reaches" {
  command = plan

  variables {
    threshold = 1.01
  }

  expect_failures = [var.threshold]
}

run "refuses_a_prefix_that_would_make_a_bad_name" {
  command = plan

  variables {
    prefix = "Scones_Unlimited"
  }

  expect_failures = [var.prefix]
}
