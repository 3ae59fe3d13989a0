output "endpoint_name" {
  description = "Name of the endpoint, whether it is up or not."
  value       = var.endpoint_name
}

output "endpoint_config_name" {
  description = "Configuration the endpoint should be running; null while it is off. Compare it with DescribeEndpoint: a rolled-back update looks like a success to Terraform."
  value       = one(aws_sagemaker_endpoint.this[*].endpoint_config_name)
}

output "endpoint_arn" {
  description = "ARN of the endpoint; null while it is off."
  value       = one(aws_sagemaker_endpoint.this[*].arn)
}

output "model_name" {
  description = "Name of the SageMaker model; null while there is none."
  value       = one([for model in aws_sagemaker_model.this : model.name])
}

output "role_arn" {
  description = "ARN of the endpoint's role."
  value       = aws_iam_role.this.arn
}

output "variant_name" {
  description = "Name of the endpoint's one variant."
  value       = local.variant
}
