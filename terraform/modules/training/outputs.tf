output "role_arn" {
  description = "ARN of the role that training jobs take on."
  value       = aws_iam_role.this.arn

  # Whoever starts a job with the role needs its policy in place.
  depends_on = [aws_iam_role_policy.this]
}

output "role_name" {
  description = "Name of that role."
  value       = aws_iam_role.this.name
}
