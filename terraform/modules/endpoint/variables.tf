# ---------------------------------------------------------------- what serves

variable "model" {
  description = "The model to serve; null means that there is none yet."
  type = object({
    name      = string
    data_url  = string
    image_uri = string
    sha256    = string
  })
  default = null

  validation {
    condition     = var.model == null || can(regex("^[0-9a-f]{64}$", var.model.sha256)) && try(endswith(var.model.name, "-${substr(var.model.sha256, 0, 12)}"), false)
    error_message = "model.name must end in a hyphen and the first 12 hex digits of model.sha256: a new artifact is a new model."
  }

  validation {
    condition     = var.model == null || can(regex("^[A-Za-z0-9](-*[A-Za-z0-9]){0,62}$", var.model.name))
    error_message = "model.name must be at most 63 letters, digits and hyphens."
  }

  validation {
    condition     = var.model == null || can(regex("^s3://[^/]+/.+\\.tar\\.gz$", var.model.data_url))
    error_message = "model.data_url must be s3://BUCKET/…/model.tar.gz."
  }

  validation {
    condition     = var.model == null || can(regex("^[0-9]{12}\\.dkr\\.ecr\\.[a-z0-9-]+\\.[a-z.]+/[a-z0-9._/-]+[:@]", var.model.image_uri))
    error_message = "model.image_uri must be an image in ECR with its tag or digest: ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY:TAG."
  }
}

variable "environment" {
  description = "Environment of the serving container: where it finds the code that travels in the artifact."
  type        = map(string)
  default = {
    SAGEMAKER_PROGRAM          = "inference.py"
    SAGEMAKER_SUBMIT_DIRECTORY = "/opt/ml/model/code"
  }
  nullable = false
}

variable "bucket_name" {
  description = "Bucket with the artifact under training/; captured requests go under data_capture/."
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

# ---------------------------------------------------------------- the endpoint

variable "endpoint_name" {
  description = "Name of the endpoint. It stays the same from model to model."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9](-*[A-Za-z0-9]){0,62}$", var.endpoint_name))
    error_message = "endpoint_name must be at most 63 letters, digits and single hyphens between them."
  }
}

variable "endpoint_enabled" {
  description = "Whether the endpoint is up. Off, it costs nothing, and the model stays."
  type        = bool
  default     = true
  nullable    = false
}

variable "config_name_prefix" {
  description = "Start of the endpoint configurations' names; the provider adds 26 characters."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9]([A-Za-z0-9-]{0,34}[A-Za-z0-9])?$", var.config_name_prefix))
    error_message = "config_name_prefix must be at most 36 letters, digits and hyphens."
  }
}

variable "instance_type" {
  description = "Instance type of the endpoint, unless it is serverless."
  type        = string
  default     = "ml.m5.large"
  nullable    = false

  validation {
    condition     = can(regex("^ml\\.[a-z0-9-]+\\.[a-z0-9]+$", var.instance_type))
    error_message = "instance_type must be a SageMaker type, as ml.m5.large."
  }
}

variable "instance_count" {
  description = "Instances the endpoint starts with. Each new configuration starts with this number again, whatever scaling had made of it."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.instance_count >= 1 && floor(var.instance_count) == var.instance_count
    error_message = "instance_count must be a whole number, 1 or more."
  }
}

variable "serverless" {
  description = "Serverless in place of instances; null means instances. SageMaker captures no requests of a serverless endpoint."
  type = object({
    memory_mb               = optional(number, 2048)
    max_concurrency         = optional(number, 5)
    provisioned_concurrency = optional(number)
  })
  default = null

  validation {
    condition     = var.serverless == null || contains([1024, 2048, 3072, 4096, 5120, 6144], try(var.serverless.memory_mb, 0))
    error_message = "serverless.memory_mb must be 1024, 2048, 3072, 4096, 5120 or 6144."
  }

  validation {
    condition     = var.serverless == null || try(var.serverless.max_concurrency >= 1 && var.serverless.max_concurrency <= 200, false)
    error_message = "serverless.max_concurrency must be from 1 to 200."
  }

  validation {
    condition     = var.serverless == null || try(var.serverless.provisioned_concurrency == null, true) || try(var.serverless.provisioned_concurrency >= 1 && var.serverless.provisioned_concurrency <= var.serverless.max_concurrency, false)
    error_message = "serverless.provisioned_concurrency must be from 1 to serverless.max_concurrency."
  }
}

variable "autoscaling" {
  description = "Scaling by invocations per instance and minute; null means a fixed number of instances."
  type = object({
    min_capacity               = optional(number, 1)
    max_capacity               = number
    invocations_per_minute     = optional(number, 600)
    scale_in_cooldown_seconds  = optional(number, 300)
    scale_out_cooldown_seconds = optional(number, 60)
  })
  default = null

  validation {
    condition     = var.autoscaling == null || var.serverless == null
    error_message = "autoscaling is for instances: leave it null with serverless."
  }

  validation {
    condition     = var.autoscaling == null || try(var.autoscaling.min_capacity >= 1 && var.autoscaling.min_capacity <= var.autoscaling.max_capacity, false)
    error_message = "autoscaling.min_capacity must be from 1 to autoscaling.max_capacity."
  }

  # A new configuration puts the endpoint back to instance_count (hashicorp/terraform-provider-aws issue 48990).
  validation {
    condition     = var.autoscaling == null || try(var.instance_count >= var.autoscaling.min_capacity && var.instance_count <= var.autoscaling.max_capacity, false)
    error_message = "instance_count must lie within autoscaling.min_capacity and autoscaling.max_capacity: each new model starts with instance_count again."
  }
}

# ---------------------------------------------------------------- how a new model takes over

variable "blue_green" {
  description = "How traffic moves to a new model; null means at once, as SageMaker does by itself. With it, the alarms below take the endpoint back to the old model."
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

  validation {
    condition     = var.blue_green == null || try(var.blue_green.step_percent >= 5 && var.blue_green.step_percent <= 50, false)
    error_message = "blue_green.step_percent must be from 5 to 50."
  }

  # The provider gives up after 60 minutes, and would leave an update under way behind.
  validation {
    condition     = var.blue_green == null || try(var.blue_green.wait_seconds + var.blue_green.keep_old_seconds < 3600 && var.blue_green.maximum_seconds >= 600 && var.blue_green.maximum_seconds < 3600, false)
    error_message = "blue_green must be done within the hour Terraform waits: maximum_seconds from 600 to 3599, and wait_seconds plus keep_old_seconds below 3600."
  }
}

variable "rollback_alarm_names" {
  description = "Alarms that take the endpoint back to the old model while blue_green is under way."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = var.blue_green == null || length(var.rollback_alarm_names) > 0 && length(var.rollback_alarm_names) <= 10
    error_message = "blue_green needs 1 to 10 rollback_alarm_names."
  }
}

# ---------------------------------------------------------------- what is kept

variable "data_capture_percentage" {
  description = "Share of requests and answers kept under data_capture/; 0 keeps none."
  type        = number
  default     = 100
  nullable    = false

  validation {
    condition     = var.data_capture_percentage >= 0 && var.data_capture_percentage <= 100 && floor(var.data_capture_percentage) == var.data_capture_percentage
    error_message = "data_capture_percentage must be a whole number from 0 to 100."
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

# ---------------------------------------------------------------- access

variable "role_name" {
  description = "Name of the endpoint's role."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9+=,.@_-]{1,64}$", var.role_name))
    error_message = "role_name must be 1 to 64 letters, digits or any of +=,.@_-."
  }
}

variable "kms_key_arn" {
  description = "KMS key for the captured requests, the log, the instances' disks, and of the bucket."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[^:]+:kms:[^:]+:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a KMS key, arn:…:kms:…:key/…, or null."
  }
}

variable "permissions_boundary" {
  description = "ARN of a policy that bounds what the role may ever do."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary == null || can(regex("^arn:[^:]+:iam::[^:]*:policy/.+$", var.permissions_boundary))
    error_message = "permissions_boundary must be the ARN of a policy, arn:…:iam::…:policy/…, or null."
  }
}
