# One topic for alerts, and the alarms. Three kinds of failed execution are kept apart: broken (somebody has to mend
# something), low confidence (somebody has to look at pictures) and bad input (somebody sends the wrong files).

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.name

  metric_namespace = "${var.prefix}/workflow"

  # Failed executions whose error is none of those that the workflow expects and sets aside by itself.
  expected_errors = concat(var.low_confidence_errors, var.bad_input_errors)
  broken_pattern = format(
    "{ ($.type = \"ExecutionFailed\") && %s }",
    join(" && ", [for error in local.expected_errors : "($.details.error != \"${error}\")"])
  )

  endpoint_dimensions = {
    EndpointName = var.endpoint_name
    VariantName  = var.variant_name
  }
}

# ---------------------------------------------------------------- topic

resource "aws_sns_topic" "this" {
  name              = "${var.prefix}-alerts"
  kms_master_key_id = var.kms_key_arn
}

data "aws_iam_policy_document" "topic" {
  statement {
    sid       = "AlarmsMayPublish"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.this.arn]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${local.partition}:cloudwatch:${local.region}:${local.account}:alarm:${var.prefix}-*"]
    }
  }

  statement {
    sid       = "DenyPlainHttp"
    effect    = "Deny"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.this.arn]

    # A denial has to name everyone: AWS offers no narrower principal that still covers all callers.
    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_sns_topic_policy" "this" {
  arn    = aws_sns_topic.this.arn
  policy = data.aws_iam_policy_document.topic.json
}

resource "aws_sns_topic_subscription" "email" {
  count = var.alert_email == null ? 0 : 1

  topic_arn = aws_sns_topic.this.arn
  protocol  = "email"
  endpoint  = var.alert_email
}

# ---------------------------------------------------------------- executions

# CloudWatch's own ExecutionsFailed counts all three kinds alike. The error stands in the machines' log.
resource "aws_cloudwatch_log_metric_filter" "broken" {
  name           = "${var.prefix}-broken"
  log_group_name = var.workflow_log_group_name
  pattern        = local.broken_pattern

  metric_transformation {
    namespace     = local.metric_namespace
    name          = "Broken"
    value         = "1"
    default_value = "0"
    unit          = "Count"
  }
}

resource "aws_cloudwatch_metric_alarm" "broken" {
  alarm_name          = "${var.prefix}-workflow-broken"
  alarm_description   = "An execution failed, and neither for low confidence nor for bad input. Open it in Step Functions: its error and cause say what broke and what to run."
  namespace           = local.metric_namespace
  metric_name         = aws_cloudwatch_log_metric_filter.broken.metric_transformation[0].name
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.this.arn]
  ok_actions          = [aws_sns_topic.this.arn]
}

resource "aws_cloudwatch_metric_alarm" "timed_out" {
  for_each = var.state_machine_arns

  alarm_name          = "${var.prefix}-${each.key}-timed-out"
  alarm_description   = "An execution of ${each.key} ran out of time. Look at the endpoint's latency and at throttling."
  namespace           = "AWS/States"
  metric_name         = "ExecutionsTimedOut"
  dimensions          = { StateMachineArn = each.value }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.this.arn]
  ok_actions          = [aws_sns_topic.this.arn]
}

resource "aws_cloudwatch_metric_alarm" "low_confidence" {
  alarm_name          = "${var.prefix}-low-confidence"
  alarm_description   = "${var.low_confidence_alarm_count} or more pictures in an hour were too uncertain and wait for review. A few are by design; many mean that the pictures changed or the threshold is too high."
  namespace           = "AWS/SQS"
  metric_name         = "NumberOfMessagesSent"
  dimensions          = { QueueName = var.review_queue_name }
  statistic           = "Sum"
  period              = 3600
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = var.low_confidence_alarm_count
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.this.arn]
  ok_actions          = [aws_sns_topic.this.arn]
}

resource "aws_cloudwatch_metric_alarm" "bad_input" {
  alarm_name          = "${var.prefix}-bad-input"
  alarm_description   = "${var.bad_input_alarm_count} or more files or events in an hour were rejected and wait in the dead-letter queue. Read a message there: it says what was wrong."
  namespace           = "AWS/SQS"
  metric_name         = "NumberOfMessagesSent"
  dimensions          = { QueueName = var.dead_letter_queue_name }
  statistic           = "Sum"
  period              = 3600
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = var.bad_input_alarm_count
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.this.arn]
  ok_actions          = [aws_sns_topic.this.arn]
}

# ---------------------------------------------------------------- endpoint

# They exist before the endpoint and outlive it: without data they are quiet, and a new model is watched from its start.
resource "aws_cloudwatch_metric_alarm" "endpoint_errors" {
  alarm_name          = "${var.prefix}-endpoint-errors"
  alarm_description   = "Endpoint ${var.endpoint_name} answered with a server error. Its log is /aws/sagemaker/Endpoints/${var.endpoint_name}."
  namespace           = "AWS/SageMaker"
  metric_name         = "Invocation5XXErrors"
  dimensions          = local.endpoint_dimensions
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.this.arn]
  ok_actions          = [aws_sns_topic.this.arn]
}

resource "aws_cloudwatch_metric_alarm" "endpoint_latency" {
  alarm_name          = "${var.prefix}-endpoint-latency"
  alarm_description   = "One picture in a hundred took endpoint ${var.endpoint_name} more than ${var.latency_alarm_ms} ms, three minutes running."
  namespace           = "AWS/SageMaker"
  metric_name         = "ModelLatency"
  dimensions          = local.endpoint_dimensions
  extended_statistic  = "p99"
  period              = 60
  evaluation_periods  = 3
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.latency_alarm_ms * 1000 # ModelLatency is in microseconds.
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.this.arn]
  ok_actions          = [aws_sns_topic.this.arn]
}
