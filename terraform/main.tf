# Everything of one target: the bucket, the training role, three functions, the workflow, the endpoint and the alarms.
#
# The modules name each other where they need to; what would go round in a circle is named by its ARN, made from names.

provider "aws" {
  region            = var.region
  s3_use_path_style = var.s3_use_path_style

  default_tags {
    tags = merge({ Project = var.prefix, ManagedBy = "terraform" }, var.tags)
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition

  bucket_name = "${var.prefix}-${local.account}-${var.region}"

  # SageMaker writes names small in its ARNs, and IAM compares them letter by letter.
  endpoint_arn = "arn:${local.partition}:sagemaker:${var.region}:${local.account}:endpoint/${lower(var.endpoint_name)}"

  # Each function: what it is told, what it may do, and how much it gets.
  functions = {
    serialize_image = {
      description = "Reads a picture from S3 and makes it small enough to travel through Step Functions"
      memory_mb   = 1024 # four copies of the largest picture that is read, and the runtime
      timeout     = 30
      environment = {}
      statements = [
        {
          sid       = "ReadPictures"
          actions   = ["s3:GetObject", "s3:GetObjectVersion"]
          resources = ["${module.bucket.bucket_arn}/*"]
        },
        {
          # Without it S3 answers 403 for a picture that is not there, and nobody could tell the two apart.
          sid       = "TellMissingFromForbidden"
          actions   = ["s3:ListBucket"]
          resources = [module.bucket.bucket_arn]
        },
      ]
    }

    classify_image = {
      description = "Asks the endpoint for one score a class"
      memory_mb   = 256
      timeout     = 60
      environment = {
        ENDPOINT_NAME  = var.endpoint_name
        CLASSES        = jsonencode(var.classes)
        DEPLOY_COMMAND = var.deploy_command
      }
      statements = [
        {
          sid       = "AskTheEndpoint"
          actions   = ["sagemaker:InvokeEndpoint"]
          resources = [local.endpoint_arn]
        },
      ]
    }

    filter_classes = {
      description = "Lets the classes through whose score reaches the threshold"
      memory_mb   = 128
      timeout     = 10
      environment = { THRESHOLD = tostring(var.threshold) }
      statements  = []
    }
  }

  # A path from the repository is kept relative, so that the same state serves every clone.
  lambda_package_dir = startswith(var.lambda_package_dir, "/") ? var.lambda_package_dir : "${path.root}/${var.lambda_package_dir}"
}

module "bucket" {
  source = "./modules/bucket"

  name          = local.bucket_name
  kms_key_arn   = var.kms_key_arn
  force_destroy = var.force_destroy
}

module "training" {
  source = "./modules/training"

  name                 = "${var.prefix}-training"
  bucket_name          = module.bucket.bucket_name
  bucket_arn           = module.bucket.bucket_arn
  kms_key_arn          = var.kms_key_arn
  permissions_boundary = var.permissions_boundary
}

module "function" {
  source   = "./modules/function"
  for_each = local.functions

  name        = "${var.prefix}-${replace(each.key, "_", "-")}"
  description = each.value.description
  runtime     = var.lambda_runtime

  package = var.lambda_package_s3 == null ? {
    path = "${local.lambda_package_dir}/${each.key}.zip"
    } : {
    s3_bucket         = var.lambda_package_s3.bucket
    s3_key            = "${var.lambda_package_s3.prefix}${each.key}.zip"
    s3_object_version = lookup(var.lambda_package_s3.versions, each.key, null)
  }

  memory_mb            = each.value.memory_mb
  timeout_seconds      = each.value.timeout
  environment          = each.value.environment
  policy_statements    = each.value.statements
  tracing              = var.tracing
  log_retention_days   = var.log_retention_days
  kms_key_arn          = var.kms_key_arn
  permissions_boundary = var.permissions_boundary
}

module "workflow" {
  source = "./modules/workflow"

  prefix     = var.prefix
  classes    = var.classes
  threshold  = var.threshold
  routes     = { for name, route in var.routes : name => route if contains(var.classes, name) }
  model_name = try(var.model.name, null)

  function_arns = {
    serialize_image = module.function["serialize_image"].function_arn
    classify_image  = module.function["classify_image"].function_arn
    filter_classes  = module.function["filter_classes"].function_arn
  }

  bucket_name     = module.bucket.bucket_name
  bucket_arn      = module.bucket.bucket_arn
  alert_topic_arn = module.monitoring.alert_topic_arn

  batch_child_type      = var.batch_child_type
  batch_max_concurrency = var.batch_max_concurrency
  tracing               = var.tracing
  log_retention_days    = var.log_retention_days
  kms_key_arn           = var.kms_key_arn
  permissions_boundary  = var.permissions_boundary
}

module "endpoint" {
  source = "./modules/endpoint"

  model              = var.model
  endpoint_name      = var.endpoint_name
  endpoint_enabled   = var.endpoint_enabled
  config_name_prefix = var.prefix
  role_name          = "${var.prefix}-endpoint"

  instance_type  = var.endpoint_instance_type
  instance_count = var.endpoint_instance_count
  serverless     = var.serverless
  autoscaling    = var.autoscaling

  blue_green           = var.blue_green
  rollback_alarm_names = module.monitoring.endpoint_alarm_names

  bucket_name             = module.bucket.bucket_name
  bucket_arn              = module.bucket.bucket_arn
  data_capture_percentage = var.data_capture_percentage
  log_retention_days      = var.log_retention_days
  kms_key_arn             = var.kms_key_arn
  permissions_boundary    = var.permissions_boundary
}

module "monitoring" {
  source = "./modules/monitoring"

  prefix      = var.prefix
  alert_email = var.alert_email
  kms_key_arn = var.kms_key_arn

  state_machine_arns      = module.workflow.state_machine_arns
  workflow_log_group_name = module.workflow.log_group_name
  review_queue_name       = module.workflow.review_queue_name
  dead_letter_queue_name  = module.workflow.dead_letter_queue_name
  endpoint_name           = var.endpoint_name
}
