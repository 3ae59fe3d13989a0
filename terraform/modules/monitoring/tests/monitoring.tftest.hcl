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

  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:us-east-1:123456789012:shop-alerts" }
  }
}

variables {
  prefix                  = "shop"
  workflow_log_group_name = "/aws/vendedlogs/states/shop"
  review_queue_name       = "shop-review"
  dead_letter_queue_name  = "shop-dead-letter"
  endpoint_name           = "vehicles"
  state_machine_arns = {
    classify = "arn:aws:states:us-east-1:123456789012:stateMachine:shop-classify"
  }
}

run "tells_breakage_from_low_confidence_and_bad_input" {
  assert {
    condition     = output.broken_pattern == "{ ($.type = \"ExecutionFailed\") && ($.details.error != \"ThresholdConfidenceNotMet\") && ($.details.error != \"EventInvalid\") && ($.details.error != \"ImageInvalid\") && ($.details.error != \"ImageNotFound\") }"
    error_message = "Only failures that the workflow does not set aside by itself are breakage."
  }

  assert {
    condition = length(distinct([
      "${aws_cloudwatch_metric_alarm.broken.namespace}/${aws_cloudwatch_metric_alarm.broken.metric_name}",
      "${aws_cloudwatch_metric_alarm.low_confidence.metric_name}/${aws_cloudwatch_metric_alarm.low_confidence.dimensions.QueueName}",
      "${aws_cloudwatch_metric_alarm.bad_input.metric_name}/${aws_cloudwatch_metric_alarm.bad_input.dimensions.QueueName}",
    ])) == 3
    error_message = "The three kinds must be watched by three different metrics."
  }
}

run "alerts_on_executions_that_ran_out_of_time" {
  assert {
    condition     = aws_cloudwatch_metric_alarm.timed_out["classify"].dimensions.StateMachineArn == var.state_machine_arns.classify
    error_message = "Each machine needs its alarm."
  }
}

run "reads_latency_in_microseconds" {
  variables {
    latency_alarm_ms = 250
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.endpoint_latency.threshold == 250000 && aws_cloudwatch_metric_alarm.endpoint_latency.metric_name == "ModelLatency"
    error_message = "ModelLatency is in microseconds."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.endpoint_errors.dimensions == tomap({ EndpointName = "vehicles", VariantName = "AllTraffic" })
    error_message = "The endpoint's metrics exist per endpoint and variant only."
  }
}

run "stays_quiet_without_data_and_tells_the_topic_otherwise" {
  assert {
    condition = alltrue([
      for alarm in [
        aws_cloudwatch_metric_alarm.broken, aws_cloudwatch_metric_alarm.low_confidence,
        aws_cloudwatch_metric_alarm.bad_input, aws_cloudwatch_metric_alarm.endpoint_errors,
        aws_cloudwatch_metric_alarm.endpoint_latency, aws_cloudwatch_metric_alarm.timed_out["classify"],
      ] :
      alarm.treat_missing_data == "notBreaching" && alarm.alarm_actions == toset([aws_sns_topic.this.arn])
    ])
    error_message = "Every alarm must reach the topic, and an idle system must not alarm."
  }
}

run "lets_only_this_projects_alarms_publish" {
  assert {
    condition = contains(flatten([
      for c in data.aws_iam_policy_document.topic.statement[0].condition : c.values
    ]), "arn:aws:cloudwatch:us-east-1:123456789012:alarm:shop-*")
    error_message = "Another account's or project's alarms must not reach the topic."
  }
}

run "writes_to_nobody_unless_told" {
  assert {
    condition     = length(aws_sns_topic_subscription.email) == 0
    error_message = "Without an address there is no subscription."
  }
}

run "writes_to_the_address_it_is_told" {
  variables {
    alert_email = "ops@example.com"
  }

  assert {
    condition     = aws_sns_topic_subscription.email[0].endpoint == "ops@example.com"
    error_message = "The address must get the alerts."
  }
}

run "refuses_what_is_no_address" {
  command = plan

  variables {
    alert_email = "ops"
  }

  expect_failures = [var.alert_email]
}
