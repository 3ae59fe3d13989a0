variable "prefix" {
  description = "Start of the names of topic and alarms, and of the namespace of the metrics."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$", var.prefix))
    error_message = "prefix must be 1 to 32 of a-z, 0-9 and hyphens."
  }
}

variable "alert_email" {
  description = "Address that gets the alerts; AWS asks it to confirm. Null means that nobody is written to."
  type        = string
  default     = null

  validation {
    condition     = var.alert_email == null || can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", var.alert_email))
    error_message = "alert_email must be an address, as ops@example.com, or null."
  }
}

# ---------------------------------------------------------------- what is watched

variable "state_machine_arns" {
  description = "State machines to watch, by a short name for the alarm."
  type        = map(string)

  validation {
    condition     = alltrue([for name in keys(var.state_machine_arns) : can(regex("^[a-z0-9-]+$", name))])
    error_message = "The keys of state_machine_arns must be short names of a-z, 0-9 and hyphens."
  }
}

variable "workflow_log_group_name" {
  description = "Log group of the state machines, with the error of each failed execution."
  type        = string

  validation {
    condition     = length(var.workflow_log_group_name) > 0
    error_message = "workflow_log_group_name must name a log group."
  }
}

variable "review_queue_name" {
  description = "Queue of the pictures that were too uncertain."
  type        = string

  validation {
    condition     = length(var.review_queue_name) > 0
    error_message = "review_queue_name must name a queue."
  }
}

variable "dead_letter_queue_name" {
  description = "Queue of what was rejected."
  type        = string

  validation {
    condition     = length(var.dead_letter_queue_name) > 0
    error_message = "dead_letter_queue_name must name a queue."
  }
}

variable "endpoint_name" {
  description = "Endpoint to watch, whether it is up or not."
  type        = string

  validation {
    condition     = length(var.endpoint_name) > 0
    error_message = "endpoint_name must name an endpoint."
  }
}

variable "variant_name" {
  description = "The endpoint's variant."
  type        = string
  default     = "AllTraffic"
  nullable    = false

  validation {
    condition     = length(var.variant_name) > 0
    error_message = "variant_name must name a variant."
  }
}

# ---------------------------------------------------------------- what counts as what

variable "low_confidence_errors" {
  description = "Errors of an execution that mean: no class reached the threshold."
  type        = list(string)
  default     = ["ThresholdConfidenceNotMet"]
  nullable    = false

  validation {
    condition     = length(var.low_confidence_errors) > 0 && alltrue([for error in var.low_confidence_errors : can(regex("^[A-Za-z.]+$", error))])
    error_message = "low_confidence_errors must hold names of errors."
  }
}

variable "bad_input_errors" {
  description = "Errors of an execution that mean: this was no picture to begin with."
  type        = list(string)
  default     = ["EventInvalid", "ImageInvalid", "ImageNotFound"]
  nullable    = false

  validation {
    condition     = length(var.bad_input_errors) > 0 && alltrue([for error in var.bad_input_errors : can(regex("^[A-Za-z.]+$", error))])
    error_message = "bad_input_errors must hold names of errors."
  }
}

variable "low_confidence_alarm_count" {
  description = "Pictures in an hour that may wait for review before the alarm."
  type        = number
  default     = 100
  nullable    = false

  validation {
    condition     = var.low_confidence_alarm_count >= 1
    error_message = "low_confidence_alarm_count must be 1 or more."
  }
}

variable "bad_input_alarm_count" {
  description = "Rejected files or events in an hour before the alarm."
  type        = number
  default     = 5
  nullable    = false

  validation {
    condition     = var.bad_input_alarm_count >= 1
    error_message = "bad_input_alarm_count must be 1 or more."
  }
}

variable "latency_alarm_ms" {
  description = "Milliseconds that the slowest picture in a hundred may take the model."
  type        = number
  default     = 1000
  nullable    = false

  validation {
    condition     = var.latency_alarm_ms > 0
    error_message = "latency_alarm_ms must be above 0."
  }
}

# ---------------------------------------------------------------- access

variable "kms_key_arn" {
  description = "KMS key for the topic. Its policy has to let CloudWatch use it, else alarms stay silent; null leaves the topic unencrypted, as the key AWS keeps for topics cannot be used by alarms."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[^:]+:kms:[^:]+:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a KMS key, arn:…:kms:…:key/…, or null."
  }
}
