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

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/shop-endpoint" }
  }
}

variables {
  endpoint_name      = "vehicles"
  config_name_prefix = "shop"
  role_name          = "shop-endpoint"
  bucket_name        = "shop-pictures"
  bucket_arn         = "arn:aws:s3:::shop-pictures"

  model = {
    name      = "shop-0123456789ab"
    data_url  = "s3://shop-pictures/training/job-1/output/model.tar.gz"
    image_uri = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-cpu-py312"
    sha256    = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }
}

run "has_nothing_but_a_role_before_the_first_model" {
  state_key = "empty"

  variables {
    model = null
  }

  assert {
    condition = (
      length(aws_sagemaker_model.this) == 0
      && length(aws_sagemaker_endpoint_configuration.this) == 0
      && length(aws_sagemaker_endpoint.this) == 0
      && length(aws_cloudwatch_log_group.this) == 0
      && output.endpoint_config_name == null
      && output.model_name == null
      && output.endpoint_name == "vehicles"
    )
    error_message = "The first apply comes before training: it must make no model and no endpoint."
  }
}

run "serves_the_model_named_by_its_digest" {
  assert {
    condition     = aws_sagemaker_model.this["shop-0123456789ab"].primary_container[0].model_data_url == var.model.data_url && output.model_name == var.model.name
    error_message = "The model must carry the artifact's digest in its name."
  }

  assert {
    condition = (
      aws_sagemaker_endpoint.this[0].name == "vehicles"
      && aws_sagemaker_endpoint_configuration.this[0].name_prefix == "shop-"
      && one(aws_sagemaker_endpoint_configuration.this[0].production_variants).initial_instance_count == 1
    )
    error_message = "The endpoint's name is fixed, its configuration's is not."
  }
}

run "captures_requests_and_answers" {
  assert {
    condition = (
      toset([for o in one(aws_sagemaker_endpoint_configuration.this[0].data_capture_config).capture_options : o.capture_mode]) == toset(["Input", "Output"])
      && one(aws_sagemaker_endpoint_configuration.this[0].data_capture_config).destination_s3_uri == "s3://shop-pictures/data_capture"
      && one(aws_sagemaker_endpoint_configuration.this[0].data_capture_config).initial_sampling_percentage == 100
    )
    error_message = "Watching for drift needs both sides of every call."
  }
}

run "keeps_the_model_while_the_endpoint_is_off" {
  variables {
    endpoint_enabled = false
    autoscaling      = { max_capacity = 3 }
  }

  assert {
    condition = (
      length(aws_sagemaker_model.this) == 1
      && length(aws_sagemaker_endpoint.this) == 0
      && length(aws_sagemaker_endpoint_configuration.this) == 0
      && length(aws_appautoscaling_target.this) == 0
      && length(aws_appautoscaling_policy.this) == 0
      && output.endpoint_config_name == null
    )
    error_message = "Off means: endpoint, configuration and scaling go; the model stays."
  }
}

run "is_the_same_model_when_the_same_bytes_come_from_another_job" {
  variables {
    model = {
      name      = "shop-0123456789ab"
      data_url  = "s3://shop-pictures/training/job-2/output/model.tar.gz"
      image_uri = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-cpu-py312"
      sha256    = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    }
  }

  assert {
    condition     = aws_sagemaker_model.this["shop-0123456789ab"].primary_container[0].model_data_url == "s3://shop-pictures/training/job-1/output/model.tar.gz"
    error_message = "The same digest must not replace the model: SageMaker refuses a second one of that name."
  }
}

run "is_another_model_when_the_artifact_is" {
  variables {
    model = {
      name      = "shop-ffff456789ab"
      data_url  = "s3://shop-pictures/training/job-3/output/model.tar.gz"
      image_uri = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-cpu-py312"
      sha256    = "ffff456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    }
  }

  assert {
    condition = (
      toset(keys(aws_sagemaker_model.this)) == toset(["shop-ffff456789ab"])
      && aws_sagemaker_model.this["shop-ffff456789ab"].primary_container[0].model_data_url == "s3://shop-pictures/training/job-3/output/model.tar.gz"
      && one(aws_sagemaker_endpoint_configuration.this[0].production_variants).model_name == "shop-ffff456789ab"
    )
    error_message = "A new digest must give a new model from its own artifact."
  }
}

run "keeps_that_models_name_to_begin_with" {
  state_key = "container"

  assert {
    condition     = output.model_name == "shop-0123456789ab"
    error_message = "An artifact in its first container is named by its digest alone."
  }
}

run "is_another_model_of_another_name_when_the_same_artifact_gets_another_image" {
  state_key = "container"

  variables {
    model = {
      name      = "shop-0123456789ab"
      data_url  = "s3://shop-pictures/training/job-1/output/model.tar.gz"
      image_uri = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.7.0-cpu-py312"
      sha256    = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    }
  }

  assert {
    condition = (
      can(regex("^shop-0123456789ab-[0-9a-f]{8}$", output.model_name))
      && one(aws_sagemaker_endpoint_configuration.this[0].production_variants).model_name == output.model_name
      && endswith(aws_sagemaker_model.this["shop-0123456789ab"].primary_container[0].image, ":2.7.0-cpu-py312")
    )
    error_message = "SageMaker refuses a second model of one name: another image must give another, and the configuration name it."
  }
}

run "is_another_model_of_another_name_when_the_environment_changes" {
  state_key = "container"

  variables {
    environment = { SAGEMAKER_PROGRAM = "serve.py" }
  }

  assert {
    condition = (
      can(regex("^shop-0123456789ab-[0-9a-f]{8}$", output.model_name))
      && output.model_name != run.is_another_model_of_another_name_when_the_same_artifact_gets_another_image.model_name
    )
    error_message = "Another environment is another container."
  }
}

run "has_its_first_name_again_in_its_first_container" {
  state_key = "container"

  assert {
    condition     = output.model_name == "shop-0123456789ab"
    error_message = "The name is free again, and belongs to the artifact in its first container."
  }
}

run "may_read_the_artifact_and_write_captured_requests_only" {
  assert {
    condition = {
      for s in data.aws_iam_policy_document.this.statement : s.sid => tolist(s.resources)
      if contains(["ReadTheArtifact", "WriteCapturedRequests", "PullTheImage"], s.sid)
      } == {
      ReadTheArtifact       = tolist(["arn:aws:s3:::shop-pictures/training/*"])
      WriteCapturedRequests = tolist(["arn:aws:s3:::shop-pictures/data_capture/*"])
      PullTheImage          = tolist(["arn:aws:ecr:us-east-1:763104351884:repository/pytorch-inference"])
    }
    error_message = "The role reads the artifact and the one image, and writes what is captured."
  }

  assert {
    condition = toset(flatten([
      for s in data.aws_iam_policy_document.this.statement : s.actions if contains(s.resources, "*")
    ])) == toset(["cloudwatch:PutMetricData", "ecr:GetAuthorizationToken"])
    error_message = "Only the two actions that know no resources may be allowed on all."
  }
}

run "scales_when_asked" {
  variables {
    autoscaling    = { min_capacity = 2, max_capacity = 4 }
    instance_count = 2
  }

  assert {
    condition = (
      aws_appautoscaling_target.this[0].resource_id == "endpoint/vehicles/variant/AllTraffic"
      && aws_appautoscaling_target.this[0].max_capacity == 4
      && one(aws_appautoscaling_policy.this[0].target_tracking_scaling_policy_configuration).target_value == 600
    )
    error_message = "Scaling must follow invocations of the endpoint's one variant."
  }
}

run "can_be_serverless" {
  state_key = "serverless"

  variables {
    serverless = { memory_mb = 3072 }
  }

  assert {
    condition = (
      one(one(aws_sagemaker_endpoint_configuration.this[0].production_variants).serverless_config).memory_size_in_mb == 3072
      && length(aws_sagemaker_endpoint_configuration.this[0].data_capture_config) == 0
    )
    error_message = "A serverless endpoint has no instances, and SageMaker captures none of its requests."
  }
}

run "moves_traffic_step_by_step_under_alarms" {
  variables {
    blue_green           = { traffic = "CANARY" }
    rollback_alarm_names = ["vehicles-5xx"]
  }

  assert {
    condition = (
      one(one(one(aws_sagemaker_endpoint.this[0].deployment_config).auto_rollback_configuration).alarms).alarm_name == "vehicles-5xx"
      && one(one(one(aws_sagemaker_endpoint.this[0].deployment_config).blue_green_update_policy).traffic_routing_configuration).type == "CANARY"
    )
    error_message = "A canary must be watched by the alarms."
  }
}

run "refuses_a_name_that_hides_another_artifact" {
  command = plan

  variables {
    model = {
      name      = "shop-newest"
      data_url  = "s3://shop-pictures/training/job-1/output/model.tar.gz"
      image_uri = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-cpu-py312"
      sha256    = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
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

  expect_failures = [var.autoscaling]
}

run "refuses_to_start_below_the_least_that_scaling_keeps" {
  command = plan

  variables {
    autoscaling    = { min_capacity = 2, max_capacity = 4 }
    instance_count = 1
  }

  expect_failures = [var.autoscaling]
}

run "refuses_a_takeover_longer_than_terraform_waits" {
  command = plan

  variables {
    blue_green           = { wait_seconds = 3600 }
    rollback_alarm_names = ["vehicles-5xx"]
  }

  expect_failures = [var.blue_green]
}

run "refuses_a_takeover_that_nothing_watches" {
  command = plan

  variables {
    blue_green = {}
  }

  expect_failures = [var.rollback_alarm_names]
}
