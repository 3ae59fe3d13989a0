# The two state machines, what starts them and where their outcomes go. Roles are in roles.tf, queues in queues.tf.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.name

  asl_dir = "${path.module}/../../../asl"

  classify_name = "${var.prefix}-classify"
  batch_name    = "${var.prefix}-classify-batch"

  # A machine's role, its rule and its queues name each other: ARNs made from names break the circle.
  classify_arn  = "arn:${local.partition}:states:${local.region}:${local.account}:stateMachine:${local.classify_name}"
  batch_arn     = "arn:${local.partition}:states:${local.region}:${local.account}:stateMachine:${local.batch_name}"
  rule_arn      = "arn:${local.partition}:events:${local.region}:${local.account}:rule/${var.prefix}-incoming"
  event_bus_arn = "arn:${local.partition}:events:${local.region}:${local.account}:event-bus/${var.event_bus_name}"

  classify_definition = templatefile("${local.asl_dir}/classify.asl.json", {
    partition             = local.partition
    serialize_image_arn   = var.function_arns.serialize_image
    classify_image_arn    = var.function_arns.classify_image
    filter_classes_arn    = var.function_arns.filter_classes
    bucket_name           = var.bucket_name
    threshold             = var.threshold
    model_name            = coalesce(var.model_name, "none")
    classes_json          = jsonencode(var.classes)
    routes_json           = jsonencode(var.routes)
    review_queue_url      = aws_sqs_queue.review.url
    dead_letter_queue_url = aws_sqs_queue.dead_letter.url
    alert_topic_arn       = var.alert_topic_arn
    event_bus_name        = var.event_bus_name
  })

  # The batch runs the very states of the single machine, one child execution a picture.
  classify = jsondecode(local.classify_definition)
  batch_definition = templatefile("${local.asl_dir}/classify_batch.asl.json", {
    partition             = local.partition
    bucket_name           = var.bucket_name
    alert_topic_arn       = var.alert_topic_arn
    classify_start_at     = local.classify.StartAt
    classify_states       = join(",", [for name, state in local.classify.States : "${jsonencode(name)}:${jsonencode(state)}"])
    batch_child_type      = var.batch_child_type
    batch_max_concurrency = var.batch_max_concurrency
  })
}

# The prefix keeps AWS from running into the size limit of the policy that lets services write logs.
resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/vendedlogs/states/${var.prefix}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_sfn_state_machine" "classify" {
  name       = local.classify_name
  role_arn   = aws_iam_role.classify.arn
  definition = local.classify_definition
  type       = "STANDARD"

  # Errors only: that is what the alarm on breakage reads, and pictures would make every other event large.
  logging_configuration {
    level                  = "ERROR"
    include_execution_data = true
    log_destination        = "${aws_cloudwatch_log_group.this.arn}:*"
  }

  tracing_configuration {
    enabled = var.tracing
  }

  # Step Functions checks at creation that the role may deliver logs.
  depends_on = [aws_iam_role_policy.classify]
}

resource "aws_sfn_state_machine" "batch" {
  name       = local.batch_name
  role_arn   = aws_iam_role.batch.arn
  definition = local.batch_definition
  type       = "STANDARD"

  logging_configuration {
    level                  = "ERROR"
    include_execution_data = true
    log_destination        = "${aws_cloudwatch_log_group.this.arn}:*"
  }

  tracing_configuration {
    enabled = var.tracing
  }

  depends_on = [aws_iam_role_policy.batch]
}

# ---------------------------------------------------------------- by upload

resource "aws_cloudwatch_event_rule" "incoming" {
  name        = "${var.prefix}-incoming"
  description = "A picture was uploaded under incoming/"

  event_pattern = jsonencode({
    source      = ["aws.s3"]
    detail-type = ["Object Created"]
    detail = {
      bucket = { name = [var.bucket_name] }
      object = { key = [{ prefix = "incoming/" }] }
    }
  })
}

resource "aws_cloudwatch_event_target" "classify" {
  rule      = aws_cloudwatch_event_rule.incoming.name
  target_id = "classify"
  arn       = aws_sfn_state_machine.classify.arn
  role_arn  = aws_iam_role.incoming.arn

  # Unquoted, so that EventBridge writes each value as JSON: a key may have quotes in it.
  input_transformer {
    input_paths = {
      bucket  = "$.detail.bucket.name"
      key     = "$.detail.object.key"
      version = "$.detail.object.version-id"
    }

    input_template = "{\"inferences\": [], \"s3_key\": <key>, \"s3_bucket\": <bucket>, \"image_data\": \"\", \"s3_version\": <version>}"
  }

  retry_policy {
    maximum_event_age_in_seconds = 3600
    maximum_retry_attempts       = 20
  }

  dead_letter_config {
    arn = aws_sqs_queue.dead_letter.arn
  }

  # Without its policy the role could not start the first execution.
  depends_on = [aws_iam_role_policy.incoming]
}
