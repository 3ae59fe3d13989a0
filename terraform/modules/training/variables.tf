variable "name" {
  description = "Name of the role that training jobs take on."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9+=,.@_-]{1,64}$", var.name))
    error_message = "name must be 1 to 64 letters, digits or any of +=,.@_-."
  }
}

variable "bucket_name" {
  description = "Bucket with datasets/ to read and training/ to write."
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

variable "image_repositories" {
  description = "Repositories of the training images that AWS publishes: script mode in PyTorch, and the builtin algorithm."
  type        = list(string)
  default     = ["pytorch-training", "image-classification"]
  nullable    = false

  validation {
    condition     = length(var.image_repositories) > 0 && alltrue([for name in var.image_repositories : can(regex("^[a-z0-9][a-z0-9._/-]*$", name))])
    error_message = "image_repositories must name at least one repository, without account and tag, as pytorch-training."
  }
}

variable "kms_key_arn" {
  description = "KMS key of the bucket, if it has one of its own."
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
