output "bucket_name" {
  description = "The one bucket: pictures, training output, records, captured requests."
  value       = module.bucket.bucket_name
}

output "training_role_arn" {
  description = "Role that training jobs take on."
  value       = module.training.role_arn
}

output "state_machine_arn" {
  description = "Machine that classifies one picture."
  value       = module.workflow.state_machine_arn
}

output "batch_state_machine_arn" {
  description = "Machine that classifies every picture under a prefix."
  value       = module.workflow.batch_state_machine_arn
}

output "endpoint_name" {
  description = "Name of the endpoint, whether it is up or not."
  value       = module.endpoint.endpoint_name
}

output "endpoint_config_name" {
  description = "Configuration the endpoint should be running; null while it is off. `make deploy` compares it with what really runs."
  value       = module.endpoint.endpoint_config_name
}

output "model_name" {
  description = "Model that is served; null while there is none."
  value       = module.endpoint.model_name
}

output "review_queue_url" {
  description = "Queue of the pictures that were too uncertain."
  value       = module.workflow.review_queue_url
}

output "dead_letter_queue_url" {
  description = "Queue of what was rejected."
  value       = module.workflow.dead_letter_queue_url
}

output "alert_topic_arn" {
  description = "Topic of all alerts."
  value       = module.monitoring.alert_topic_arn
}

output "function_names" {
  description = "Names of the three functions, by what they do."
  value       = { for name, function in module.function : name => function.function_name }
}
