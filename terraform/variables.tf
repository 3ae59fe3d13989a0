# Variables without a default have their value in scones.auto.tfvars.json, which Terraform loads by itself and the
# Python side reads too: one place for both.

# ---------------------------------------------------------------- what is decided

variable "prefix" {
  description = "Start of every name."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$", var.prefix))
    error_message = "prefix must be 1 to 32 of a-z, 0-9 and hyphens."
  }
}

variable "region" {
  description = "AWS region of everything."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be an AWS region, as us-east-1."
  }
}

variable "classes" {
  description = "Classes of vehicle in the order of the model's scores."
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
  description = "Where a class of vehicle is sent: how far its orders may be, and the bay it is loaded at. A class without a route is recorded without one."
  type = map(object({
    order_radius = string
    loading_bay  = string
  }))

  # Not refused for a class that is not asked for, so that a command for other classes needs no other file.
  validation {
    condition     = alltrue([for route in values(var.routes) : length(route.order_radius) > 0 && length(route.loading_bay) > 0])
    error_message = "Each route must have an order_radius and a loading_bay."
  }
}

variable "tags" {
  description = "Tags on everything, besides Project and ManagedBy."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key in keys(var.tags) : length(key) <= 128 && !startswith(lower(key), "aws:")])
    error_message = "tags must have keys of at most 128 characters that do not start with aws:."
  }
}

# ---------------------------------------------------------------- the model and its endpoint

variable "model" {
  description = "The model to serve, written by training into model.auto.tfvars.json; null until there is one."
  type = object({
    name      = string
    data_url  = string
    image_uri = string
    sha256    = string
    classes   = list(string)
  })
  default = null

  validation {
    condition     = var.model == null || try(var.model.classes == var.classes, false)
    error_message = "The model was trained for other classes than the ones asked for: train again, or set classes back."
  }
}

variable "endpoint_enabled" {
  description = "Whether the endpoint is up. Off, it costs nothing, and the model stays."
  type        = bool
  default     = true
  nullable    = false
}

variable "endpoint_name" {
  description = "Name of the endpoint. It stays the same from model to model."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9](-*[A-Za-z0-9]){0,62}$", var.endpoint_name))
    error_message = "endpoint_name must be at most 63 letters, digits and hyphens."
  }
}

variable "endpoint_instance_type" {
  description = "Instance type of the endpoint, unless it is serverless."
  type        = string

  validation {
    condition     = can(regex("^ml\\.[a-z0-9-]+\\.[a-z0-9]+$", var.endpoint_instance_type))
    error_message = "endpoint_instance_type must be a SageMaker type, as ml.m5.large."
  }
}

variable "endpoint_instance_count" {
  description = "Instances the endpoint starts with, at each new model again."
  type        = number

  validation {
    condition     = var.endpoint_instance_count >= 1 && floor(var.endpoint_instance_count) == var.endpoint_instance_count
    error_message = "endpoint_instance_count must be a whole number, 1 or more."
  }
}

variable "serverless" {
  description = "A serverless endpoint in place of instances; null means instances. Checked by modules/endpoint."
  type = object({
    memory_mb               = optional(number, 2048)
    max_concurrency         = optional(number, 5)
    provisioned_concurrency = optional(number)
  })
  default = null

  validation {
    condition     = var.serverless == null || var.autoscaling == null
    error_message = "serverless scales by itself: leave autoscaling null with it."
  }
}

variable "autoscaling" {
  description = "Scaling by invocations per instance and minute; null means a fixed number of instances. Checked by modules/endpoint."
  type = object({
    min_capacity               = optional(number, 1)
    max_capacity               = number
    invocations_per_minute     = optional(number, 600)
    scale_in_cooldown_seconds  = optional(number, 300)
    scale_out_cooldown_seconds = optional(number, 60)
  })
  default = null

  validation {
    condition     = var.autoscaling == null || try(var.autoscaling.max_capacity >= var.endpoint_instance_count, false)
    error_message = "autoscaling.max_capacity must be endpoint_instance_count or more."
  }
}

variable "blue_green" {
  description = "How traffic moves to a new model, watched by the endpoint's alarms; null means at once and unwatched. Checked by modules/endpoint."
  type = object({
    traffic          = optional(string, "ALL_AT_ONCE")
    step_percent     = optional(number, 10)
    wait_seconds     = optional(number, 300)
    keep_old_seconds = optional(number, 300)
    maximum_seconds  = optional(number, 3000)
  })
  default = null

  validation {
    condition     = var.blue_green == null || contains(["ALL_AT_ONCE", "CANARY", "LINEAR"], try(var.blue_green.traffic, ""))
    error_message = "blue_green.traffic must be ALL_AT_ONCE, CANARY or LINEAR."
  }
}

variable "data_capture_percentage" {
  description = "Share of requests and answers kept under data_capture/; 0 keeps none."
  type        = number
  default     = 100
  nullable    = false

  validation {
    condition     = var.data_capture_percentage >= 0 && var.data_capture_percentage <= 100
    error_message = "data_capture_percentage must be from 0 to 100."
  }
}

# ---------------------------------------------------------------- functions and workflow

variable "lambda_package_dir" {
  description = "Folder with the functions' zips, from this folder or absolute. `make package` builds them."
  type        = string
  default     = "../build/lambda"
  nullable    = false

  validation {
    condition     = length(var.lambda_package_dir) > 0 && !endswith(var.lambda_package_dir, "/")
    error_message = "lambda_package_dir must name a folder, without a slash at its end."
  }
}

variable "lambda_package_s3" {
  description = "The zips in S3 instead: PREFIX + serialize_image.zip and so on, with the version of each where the bucket keeps versions. A new zip is told from the old by its version."
  type = object({
    bucket   = string
    prefix   = optional(string, "")
    versions = optional(map(string), {})
  })
  default = null

  validation {
    condition     = var.lambda_package_s3 == null || try(length(var.lambda_package_s3.bucket) >= 3, false)
    error_message = "lambda_package_s3.bucket must be the name of a bucket."
  }
}

variable "lambda_runtime" {
  description = "Lambda's Python; the zips hold packages compiled for it."
  type        = string

  validation {
    condition     = can(regex("^python3\\.1[1-9]$", var.lambda_runtime))
    error_message = "lambda_runtime must be Lambda's Python 3.11 or later, as python3.12."
  }
}

variable "deploy_command" {
  description = "The command that brings the endpoint back, named in the error when it is gone."
  type        = string
  default     = "make deploy TARGET=aws"
  nullable    = false

  validation {
    condition     = length(var.deploy_command) > 0
    error_message = "deploy_command must not be empty."
  }
}

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
  description = "Pictures of a batch under way at once."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.batch_max_concurrency >= 1 && floor(var.batch_max_concurrency) == var.batch_max_concurrency
    error_message = "batch_max_concurrency must be a whole number, 1 or more."
  }
}

# ---------------------------------------------------------------- watching

variable "alert_email" {
  description = "Address that gets the alerts; null means nobody."
  type        = string
  default     = null

  validation {
    condition     = var.alert_email == null || can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", var.alert_email))
    error_message = "alert_email must be an address, as ops@example.com, or null."
  }
}

variable "tracing" {
  description = "Whether X-Ray traces functions and executions."
  type        = bool
  default     = false
  nullable    = false
}

variable "log_retention_days" {
  description = "Days for which logs are kept."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be one of the numbers CloudWatch Logs takes: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, …"
  }
}

# ---------------------------------------------------------------- access

variable "kms_key_arn" {
  description = "KMS key for everything that can be encrypted with one; null means the services' own keys. Its policy has to let CloudWatch, CloudWatch Logs and EventBridge use it."
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

variable "force_destroy" {
  description = "Whether destroying the bucket also deletes what is in it."
  type        = bool
  default     = false
  nullable    = false
}

variable "s3_use_path_style" {
  description = "Whether S3 is addressed by path, as an AWS on this machine has to be."
  type        = bool
  default     = false
  nullable    = false
}
