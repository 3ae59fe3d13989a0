mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }

  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::pictures-of-vehicles" }
  }
}

variables {
  name = "pictures-of-vehicles"
}

run "is_versioned_closed_and_announced_by_default" {
  assert {
    condition     = aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled"
    error_message = "The bucket must keep versions: records are keyed by them."
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this.block_public_acls,
      aws_s3_bucket_public_access_block.this.block_public_policy,
      aws_s3_bucket_public_access_block.this.ignore_public_acls,
      aws_s3_bucket_public_access_block.this.restrict_public_buckets,
    ])
    error_message = "All four locks against public access must be on."
  }

  assert {
    condition     = aws_s3_bucket_notification.this.eventbridge
    error_message = "Uploads must reach EventBridge."
  }

  assert {
    condition     = aws_s3_bucket.this.force_destroy == false
    error_message = "Pictures must not vanish with the bucket unless asked for."
  }
}

run "refuses_plain_http_from_everyone" {
  assert {
    condition = (
      data.aws_iam_policy_document.tls_only.statement[0].effect == "Deny"
      && one(data.aws_iam_policy_document.tls_only.statement[0].condition).variable == "aws:SecureTransport"
      && contains(data.aws_iam_policy_document.tls_only.statement[0].resources, "arn:aws:s3:::pictures-of-vehicles/*")
      && contains(data.aws_iam_policy_document.tls_only.statement[0].resources, "arn:aws:s3:::pictures-of-vehicles")
    )
    error_message = "The policy must deny requests without TLS, on the bucket and on its objects."
  }
}

run "encrypts_with_the_services_own_key_unless_one_is_given" {
  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "Without a KMS key the objects are encrypted with AES256."
  }
}

run "encrypts_with_the_given_key" {
  variables {
    kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/abcd"
  }

  assert {
    condition = (
      one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default).sse_algorithm == "aws:kms"
      && one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default).kms_master_key_id == var.kms_key_arn
      && one(aws_s3_bucket_server_side_encryption_configuration.this.rule).bucket_key_enabled
    )
    error_message = "With a KMS key the objects are encrypted with it, through a bucket key."
  }
}

run "expires_captured_requests_and_old_versions" {
  variables {
    expiration_days         = { "data_capture/" = 14, "batch/" = 3 }
    noncurrent_version_days = 5
  }

  assert {
    condition = {
      for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.filter[0].prefix => rule.expiration[0].days
      if length(rule.expiration) == 1
    } == { "data_capture/" = 14, "batch/" = 3 }
    error_message = "Each prefix must expire after its own number of days."
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.this.rule[0].noncurrent_version_expiration[0].noncurrent_days == 5
    error_message = "Noncurrent versions must go after the given days."
  }
}

run "refuses_a_name_that_s3_would_refuse" {
  command = plan

  variables {
    name = "Pictures_Of_Vehicles"
  }

  expect_failures = [var.name]
}

run "refuses_a_prefix_that_would_expire_its_neighbours" {
  command = plan

  variables {
    expiration_days = { "data" = 1 }
  }

  expect_failures = [var.expiration_days]
}

run "refuses_something_else_in_place_of_a_key" {
  command = plan

  variables {
    kms_key_arn = "alias/pictures"
  }

  expect_failures = [var.kms_key_arn]
}
