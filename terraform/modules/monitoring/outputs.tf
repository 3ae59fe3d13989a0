output "alert_topic_arn" {
  description = "Topic of all alerts."
  value       = aws_sns_topic.this.arn
}

output "endpoint_alarm_names" {
  description = "Alarms on the endpoint, which can take it back to its old model."
  value = [
    aws_cloudwatch_metric_alarm.endpoint_errors.alarm_name,
    aws_cloudwatch_metric_alarm.endpoint_latency.alarm_name,
  ]
}

output "broken_pattern" {
  description = "The log pattern that tells breakage from low confidence and bad input."
  value       = local.broken_pattern
}
