variable "name" {
  description = "Name of the bucket, unique in the world."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 63 of a-z, 0-9 and hyphens, with a letter or digit at both ends."
  }
}

variable "expiration_days" {
  description = "Days after which objects expire, by prefix."
  type        = map(number)
  default     = { "data_capture/" = 90 }
  nullable    = false

  validation {
    condition     = alltrue([for prefix, days in var.expiration_days : endswith(prefix, "/") && prefix != "/"])
    error_message = "Each key of expiration_days must be a prefix that ends in a slash, as data_capture/."
  }

  validation {
    condition     = alltrue([for days in values(var.expiration_days) : days >= 1 && floor(days) == days])
    error_message = "Each value of expiration_days must be a whole number of days, 1 or more."
  }
}

variable "noncurrent_version_days" {
  description = "Days for which overwritten and deleted objects can still be had back."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.noncurrent_version_days >= 1 && floor(var.noncurrent_version_days) == var.noncurrent_version_days
    error_message = "noncurrent_version_days must be a whole number, 1 or more."
  }
}

variable "incomplete_upload_days" {
  description = "Days after which the parts of an upload that was never completed are dropped."
  type        = number
  default     = 7
  nullable    = false

  validation {
    condition     = var.incomplete_upload_days >= 1 && floor(var.incomplete_upload_days) == var.incomplete_upload_days
    error_message = "incomplete_upload_days must be a whole number, 1 or more."
  }
}

variable "kms_key_arn" {
  description = "KMS key that encrypts the objects; null means Amazon S3's own keys."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[^:]+:kms:[^:]+:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a KMS key, arn:…:kms:…:key/…, or null."
  }
}

variable "force_destroy" {
  description = "Whether destroying the bucket also deletes what is in it."
  type        = bool
  default     = false
  nullable    = false
}
