variable "prefix" {
  description = "Start of the names of machines, roles, rule and queues."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$", var.prefix))
    error_message = "prefix must be 1 to 32 of a-z, 0-9 and hyphens."
  }
}

# ---------------------------------------------------------------- what is decided

variable "classes" {
  description = "Classes in the order of the model's scores."
  type        = list(string)

  validation {
    condition     = length(var.classes) >= 2 && length(distinct(var.classes)) == length(var.classes)
    error_message = "classes must name at least two classes, each once."
  }
}

variable "threshold" {
  description = "Score a class must reach to be taken for the answer."
  type        = number

  validation {
    condition     = var.threshold > 0 && var.threshold <= 1
    error_message = "threshold must be above 0 and at most 1."
  }
}

variable "routes" {
  description = "Where a class of vehicle is sent."
  type = map(object({
    order_radius = string
    loading_bay  = string
  }))

  validation {
    condition     = alltrue([for name in keys(var.routes) : contains(var.classes, name)])
    error_message = "routes must be about the classes and no others."
  }
}

variable "model_name" {
  description = "Model that the records name; null while there is none."
  type        = string
  default     = null

  validation {
    condition     = var.model_name == null || try(length(var.model_name) > 0, false)
    error_message = "model_name must not be empty; null means none."
  }
}

# ---------------------------------------------------------------- what is called and written

variable "function_arns" {
  description = "The three functions of the workflow."
  type = object({
    serialize_image = string
    classify_image  = string
    filter_classes  = string
  })

  validation {
    condition     = alltrue([for arn in values(var.function_arns) : can(regex("^arn:[^:]+:lambda:[^:]+:[0-9]{12}:function:[A-Za-z0-9_-]+$", arn))])
    error_message = "function_arns must be ARNs of functions, without a version: arn:…:lambda:…:function:NAME."
  }
}

variable "bucket_name" {
  description = "Bucket with the pictures; records go under results/, review/ and rejected/."
  type        = string

  validation {
    condition     = length(var.bucket_name) >= 3
    error_message = "bucket_name must be the name of a bucket."
  }
}

variable "bucket_arn" {
  description = "ARN of that bucket."
  type        = string

  validation {
    condition     = can(regex("^arn:[^:]+:s3:::[^/*]+$", var.bucket_arn))
    error_message = "bucket_arn must be the ARN of a bucket, arn:…:s3:::NAME."
  }
}

variable "alert_topic_arn" {
  description = "Topic that hears of breakage."
  type        = string

  validation {
    condition     = can(regex("^arn:[^:]+:sns:[^:]+:[0-9]{12}:.+$", var.alert_topic_arn))
    error_message = "alert_topic_arn must be the ARN of a topic."
  }
}

variable "event_bus_name" {
  description = "Bus on which decisions are announced."
  type        = string
  default     = "default"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]{1,256}$", var.event_bus_name))
    error_message = "event_bus_name must be the name of a bus, not its ARN."
  }
}

# ---------------------------------------------------------------- batch

variable "batch_child_type" {
  description = "STANDARD keeps each picture's history in Step Functions; EXPRESS costs less by the million and keeps it in the log."
  type        = string
  default     = "STANDARD"
  nullable    = false

  validation {
    condition     = contains(["STANDARD", "EXPRESS"], var.batch_child_type)
    error_message = "batch_child_type must be STANDARD or EXPRESS."
  }
}

variable "batch_max_concurrency" {
  description = "Pictures of a batch under way at once. The endpoint has to keep up with them."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.batch_max_concurrency >= 1 && var.batch_max_concurrency <= 10000 && floor(var.batch_max_concurrency) == var.batch_max_concurrency
    error_message = "batch_max_concurrency must be a whole number from 1 to 10000."
  }
}

# ---------------------------------------------------------------- what is kept

variable "message_retention_days" {
  description = "Days for which messages wait in the two queues."
  type        = number
  default     = 14
  nullable    = false

  validation {
    condition     = var.message_retention_days >= 1 && var.message_retention_days <= 14 && floor(var.message_retention_days) == var.message_retention_days
    error_message = "message_retention_days must be a whole number from 1 to 14."
  }
}

variable "log_retention_days" {
  description = "Days for which the log is kept."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be one of the numbers CloudWatch Logs takes: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, …"
  }
}

variable "tracing" {
  description = "Whether X-Ray traces each execution."
  type        = bool
  default     = false
  nullable    = false
}

# ---------------------------------------------------------------- access

variable "kms_key_arn" {
  description = "KMS key for queues and log, and of the bucket. Its policy has to let EventBridge use it for the dead-letter queue."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[^:]+:kms:[^:]+:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a KMS key, arn:…:kms:…:key/…, or null."
  }
}

variable "permissions_boundary" {
  description = "ARN of a policy that bounds what the roles may ever do."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary == null || can(regex("^arn:[^:]+:iam::[^:]*:policy/.+$", var.permissions_boundary))
    error_message = "permissions_boundary must be the ARN of a policy, arn:…:iam::…:policy/…, or null."
  }
}
