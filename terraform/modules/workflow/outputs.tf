output "state_machine_arn" {
  description = "ARN of the machine that classifies one picture."
  value       = aws_sfn_state_machine.classify.arn
}

output "batch_state_machine_arn" {
  description = "ARN of the machine that classifies every picture under a prefix."
  value       = aws_sfn_state_machine.batch.arn
}

output "state_machine_arns" {
  description = "Both machines by their short names, for alarms."
  value       = { classify = local.classify_arn, classify-batch = local.batch_arn }
}

output "review_queue_url" {
  description = "Queue of the pictures that were too uncertain."
  value       = aws_sqs_queue.review.url
}

output "dead_letter_queue_url" {
  description = "Queue of what was rejected."
  value       = aws_sqs_queue.dead_letter.url
}

output "review_queue_name" {
  description = "Name of the review queue."
  value       = aws_sqs_queue.review.name
}

output "dead_letter_queue_name" {
  description = "Name of the dead-letter queue."
  value       = aws_sqs_queue.dead_letter.name
}

output "log_group_name" {
  description = "Log group of both machines."
  value       = aws_cloudwatch_log_group.this.name
}

output "classify_definition" {
  description = "The single machine as Step Functions gets it, to be read or checked without deploying."
  value       = local.classify_definition
}

output "batch_definition" {
  description = "The batch machine as Step Functions gets it."
  value       = local.batch_definition
}
