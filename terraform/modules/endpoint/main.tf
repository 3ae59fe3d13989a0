# The endpoint that serves the model. Without a model there is only the role; while the endpoint is off, the model stays.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.name

  serving = var.model != null && var.endpoint_enabled
  variant = "AllTraffic"

  log_group_name = "/aws/sagemaker/Endpoints/${var.endpoint_name}"
  log_group_arn  = "arn:${local.partition}:logs:${local.region}:${local.account}:log-group:${local.log_group_name}"

  container = var.model == null ? null : sha256(jsonencode([var.model.image_uri, var.environment, var.role_name]))

  # ACCOUNT.dkr.ecr.REGION.SUFFIX/REPOSITORY:TAG, checked by the variable's validation.
  image = var.model == null ? null : regex(
    "^(?P<account>[0-9]{12})\\.dkr\\.ecr\\.(?P<region>[a-z0-9-]+)\\.[a-z.]+/(?P<repository>[a-z0-9._/-]+)[:@]", var.model.image_uri
  )
}

# ---------------------------------------------------------------- role

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["sagemaker.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${local.partition}:sagemaker:${local.region}:${local.account}:*"]
    }
  }
}

resource "aws_iam_role" "this" {
  name                 = var.role_name
  description          = "Endpoint ${var.endpoint_name}: read the model, write captured requests"
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  permissions_boundary = var.permissions_boundary
}

data "aws_iam_policy_document" "this" {
  statement {
    sid       = "FindTheArtifact"
    actions   = ["s3:ListBucket"]
    resources = [var.bucket_arn]

    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["training/*"]
    }
  }

  statement {
    sid       = "ReadTheArtifact"
    actions   = ["s3:GetObject"]
    resources = ["${var.bucket_arn}/training/*"]
  }

  statement {
    sid       = "WriteCapturedRequests"
    actions   = ["s3:PutObject"]
    resources = ["${var.bucket_arn}/data_capture/*"]
  }

  statement {
    sid       = "WriteLogs"
    actions   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    resources = [local.log_group_arn, "${local.log_group_arn}:log-stream:*"]
  }

  statement {
    sid       = "PublishMetrics"
    actions   = ["cloudwatch:PutMetricData"]
    resources = ["*"] # PutMetricData knows no resources; the namespace is what can be narrowed.

    condition {
      test     = "StringLike"
      variable = "cloudwatch:namespace"
      values   = ["/aws/sagemaker/*", "AWS/SageMaker"]
    }
  }

  statement {
    sid       = "SignInToImages"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"] # The token is the account's: the action knows no resources.
  }

  dynamic "statement" {
    for_each = local.image == null ? [] : [local.image]

    content {
      sid     = "PullTheImage"
      actions = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      resources = [
        "arn:${local.partition}:ecr:${statement.value.region}:${statement.value.account}:repository/${statement.value.repository}"
      ]
    }
  }

  dynamic "statement" {
    for_each = var.kms_key_arn == null ? [] : [var.kms_key_arn]

    content {
      sid       = "UseTheKey"
      actions   = ["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }
}

resource "aws_iam_role_policy" "this" {
  name   = "endpoint"
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.this.json
}

# ---------------------------------------------------------------- model

# The image, environment and role with which an artifact was first served.
resource "terraform_data" "first_container" {
  for_each = var.model == null ? {} : { (var.model.name) = var.model }

  input = local.container

  lifecycle {
    ignore_changes = [input]
  }
}

# Keyed by the name, which holds the artifact's digest: another artifact is another model, and the old one goes only
# when nothing refers to it any more. The same artifact in another container is another model too, which SageMaker
# does not let have the name of the one before it, and that one serves until the endpoint has moved on: the
# configuration is created before it is destroyed, and Terraform asks the same of all it depends on.
resource "aws_sagemaker_model" "this" {
  for_each = var.model == null ? {} : { (var.model.name) = var.model }

  name = (
    terraform_data.first_container[each.key].input == local.container
    ? each.key
    : "${each.key}-${substr(local.container, 0, 8)}"
  )
  execution_role_arn = aws_iam_role.this.arn

  primary_container {
    image          = each.value.image_uri
    model_data_url = each.value.data_url
    environment    = var.environment
  }

  # SageMaker reads the artifact with the role when the model is created.
  depends_on = [aws_iam_role_policy.this]

  lifecycle {
    create_before_destroy = true

    # Training that gives the same bytes again puts them under another key. The digest in the name says that nothing
    # changed, and SageMaker could not make a second model of the same name.
    ignore_changes = [primary_container[0].model_data_url]
  }
}

resource "aws_cloudwatch_log_group" "this" {
  count = var.model == null ? 0 : 1

  name              = local.log_group_name
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

# ---------------------------------------------------------------- endpoint

# A configuration cannot be changed: a new one is made, the endpoint moves to it, then the old one goes.
resource "aws_sagemaker_endpoint_configuration" "this" {
  count = local.serving ? 1 : 0

  name_prefix = "${var.config_name_prefix}-"
  kms_key_arn = var.serverless == null ? var.kms_key_arn : null

  production_variants {
    variant_name           = local.variant
    model_name             = aws_sagemaker_model.this[var.model.name].name
    instance_type          = var.serverless == null ? var.instance_type : null
    initial_instance_count = var.serverless == null ? var.instance_count : null
    initial_variant_weight = 1

    dynamic "serverless_config" {
      for_each = var.serverless == null ? [] : [var.serverless]

      content {
        memory_size_in_mb       = serverless_config.value.memory_mb
        max_concurrency         = serverless_config.value.max_concurrency
        provisioned_concurrency = serverless_config.value.provisioned_concurrency
      }
    }
  }

  # SageMaker refuses data capture on a serverless endpoint.
  dynamic "data_capture_config" {
    for_each = var.serverless == null && var.data_capture_percentage > 0 ? [var.data_capture_percentage] : []

    content {
      enable_capture              = true
      initial_sampling_percentage = data_capture_config.value
      destination_s3_uri          = "s3://${var.bucket_name}/data_capture"
      kms_key_id                  = var.kms_key_arn

      capture_options {
        capture_mode = "Input"
      }

      capture_options {
        capture_mode = "Output"
      }

      # Scores are captured as the JSON they are; pictures, being named nowhere here, as base64.
      capture_content_type_header {
        json_content_types = ["application/json"]
      }
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_sagemaker_endpoint" "this" {
  count = local.serving ? 1 : 0

  name                 = var.endpoint_name
  endpoint_config_name = aws_sagemaker_endpoint_configuration.this[0].name

  dynamic "deployment_config" {
    for_each = var.blue_green == null ? [] : [var.blue_green]

    content {
      blue_green_update_policy {
        maximum_execution_timeout_in_seconds = deployment_config.value.maximum_seconds
        termination_wait_in_seconds          = deployment_config.value.keep_old_seconds

        traffic_routing_configuration {
          type                     = deployment_config.value.traffic
          wait_interval_in_seconds = deployment_config.value.wait_seconds

          dynamic "canary_size" {
            for_each = deployment_config.value.traffic == "CANARY" ? [deployment_config.value.step_percent] : []

            content {
              type  = "CAPACITY_PERCENT"
              value = canary_size.value
            }
          }

          dynamic "linear_step_size" {
            for_each = deployment_config.value.traffic == "LINEAR" ? [deployment_config.value.step_percent] : []

            content {
              type  = "CAPACITY_PERCENT"
              value = linear_step_size.value
            }
          }
        }
      }

      auto_rollback_configuration {
        dynamic "alarms" {
          for_each = var.rollback_alarm_names

          content {
            alarm_name = alarms.value
          }
        }
      }
    }
  }

  depends_on = [aws_cloudwatch_log_group.this]
}

# ---------------------------------------------------------------- scaling

resource "aws_appautoscaling_target" "this" {
  count = local.serving && var.autoscaling != null ? 1 : 0

  service_namespace  = "sagemaker"
  scalable_dimension = "sagemaker:variant:DesiredInstanceCount"
  resource_id        = "endpoint/${aws_sagemaker_endpoint.this[0].name}/variant/${local.variant}"
  min_capacity       = var.autoscaling.min_capacity
  max_capacity       = var.autoscaling.max_capacity
}

resource "aws_appautoscaling_policy" "this" {
  count = local.serving && var.autoscaling != null ? 1 : 0

  name               = "${var.endpoint_name}-invocations"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.this[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.this[0].resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = var.autoscaling.invocations_per_minute
    scale_in_cooldown  = var.autoscaling.scale_in_cooldown_seconds
    scale_out_cooldown = var.autoscaling.scale_out_cooldown_seconds

    predefined_metric_specification {
      predefined_metric_type = "SageMakerVariantInvocationsPerInstance"
    }
  }
}
