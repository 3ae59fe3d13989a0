mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/shop-greet" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/shop-greet" }
  }
}

# Any file stands for a zip here: Terraform only reads its hash.
variables {
  name    = "shop-greet"
  package = { path = "main.tf" }
  runtime = "python3.12"
}

run "takes_new_code_by_the_hash_of_the_file" {
  assert {
    condition     = aws_lambda_function.this.source_code_hash == filebase64sha256("main.tf")
    error_message = "The hash must be the file's own, so that the same zip is never uploaded twice."
  }

  assert {
    condition     = aws_lambda_function.this.handler == "handler.lambda_handler" && aws_lambda_function.this.runtime == "python3.12"
    error_message = "The handler is handler.lambda_handler unless told otherwise."
  }
}

run "says_what_to_do_when_the_zip_is_missing" {
  command = plan

  variables {
    package = { path = "nowhere/greet.zip" }
  }

  expect_failures = [aws_lambda_function.this]
}

run "takes_the_zip_from_s3_when_told" {
  variables {
    package = { s3_bucket = "zips", s3_key = "greet.zip", hash = "abc=" }
  }

  assert {
    condition     = aws_lambda_function.this.s3_bucket == "zips" && aws_lambda_function.this.filename == null && aws_lambda_function.this.source_code_hash == "abc="
    error_message = "A zip in S3 must be taken from there."
  }
}

run "may_write_its_own_log_and_nothing_else" {
  assert {
    condition = (
      length(data.aws_iam_policy_document.this.statement) == 1
      && data.aws_iam_policy_document.this.statement[0].resources == toset(["arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/shop-greet:log-stream:*"])
      && data.aws_iam_policy_document.this.statement[0].actions == toset(["logs:CreateLogStream", "logs:PutLogEvents"])
    )
    error_message = "Without statements of its own a function may only write its log."
  }

  assert {
    condition     = aws_cloudwatch_log_group.this.retention_in_days == 30 && aws_cloudwatch_log_group.this.name == "/aws/lambda/shop-greet"
    error_message = "The log group must be declared, with a retention."
  }
}

run "may_do_what_is_named" {
  variables {
    policy_statements = [{
      sid       = "ReadPictures"
      actions   = ["s3:GetObject"]
      resources = ["arn:aws:s3:::pictures/*"]
      conditions = [{
        test     = "StringEquals"
        variable = "aws:ResourceAccount"
        values   = ["123456789012"]
      }]
    }]
  }

  assert {
    condition = (
      data.aws_iam_policy_document.this.statement[1].actions == toset(["s3:GetObject"])
      && one(data.aws_iam_policy_document.this.statement[1].condition).variable == "aws:ResourceAccount"
    )
    error_message = "A named statement must reach the role with its conditions."
  }
}

run "is_trusted_to_lambda_alone_on_no_condition_that_lambda_might_not_meet" {
  assert {
    condition = (
      one(data.aws_iam_policy_document.trust.statement[0].principals).identifiers == toset(["lambda.amazonaws.com"])
      && length(data.aws_iam_policy_document.trust.statement) == 1
      && length(data.aws_iam_policy_document.trust.statement[0].condition) == 0
    )
    error_message = "Only Lambda may take on the role, and always."
  }
}

run "has_no_environment_tracing_or_queue_unless_asked" {
  assert {
    condition = (
      length(aws_lambda_function.this.environment) == 0
      && length(aws_lambda_function.this.dead_letter_config) == 0
      && aws_lambda_function.this.reserved_concurrent_executions == -1
    )
    error_message = "Each feature must be off until it is asked for."
  }
}

run "sets_failed_events_aside_and_traces_when_asked" {
  variables {
    tracing               = true
    dead_letter_queue_arn = "arn:aws:sqs:us-east-1:123456789012:lost"
    environment           = { THRESHOLD = "0.9" }
    reserved_concurrency  = 5
  }

  assert {
    condition = (
      one(aws_lambda_function.this.dead_letter_config).target_arn == var.dead_letter_queue_arn
      && one(aws_lambda_function.this.tracing_config).mode == "Active"
      && one(aws_lambda_function.this.environment).variables == tomap({ THRESHOLD = "0.9" })
      && aws_lambda_function.this.reserved_concurrent_executions == 5
    )
    error_message = "Queue, tracing, environment and concurrency must reach the function."
  }

  assert {
    condition = toset(flatten([
      for s in data.aws_iam_policy_document.this.statement : s.actions if contains(s.resources, "*")
    ])) == toset(["xray:PutTelemetryRecords", "xray:PutTraceSegments"])
    error_message = "Only X-Ray's actions, which know no resources, may be allowed on all."
  }
}

run "refuses_a_starred_action" {
  command = plan

  variables {
    policy_statements = [{ sid = "All", actions = ["s3:*"], resources = ["arn:aws:s3:::pictures/*"] }]
  }

  expect_failures = [var.policy_statements]
}

run "refuses_all_resources" {
  command = plan

  variables {
    policy_statements = [{ sid = "All", actions = ["s3:GetObject"], resources = ["*"] }]
  }

  expect_failures = [var.policy_statements]
}

run "refuses_a_zip_from_two_places" {
  command = plan

  variables {
    package = { path = "main.tf", s3_bucket = "zips", s3_key = "greet.zip" }
  }

  expect_failures = [var.package]
}

run "refuses_a_retention_that_cloudwatch_would_refuse" {
  command = plan

  variables {
    log_retention_days = 31
  }

  expect_failures = [var.log_retention_days]
}
