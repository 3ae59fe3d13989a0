# Three roles: one for each machine, one for the rule that starts the first.

data "aws_iam_policy_document" "states_trust" {
  # A Distributed Map's children run under an ARN of their own, stateMachine:NAME/LABEL.
  for_each = { classify = [local.classify_arn], batch = [local.batch_arn, "${local.batch_arn}/*"] }

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["states.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = each.value
    }
  }
}

# What both machines do with one picture.
data "aws_iam_policy_document" "classify" {
  statement {
    sid       = "CallTheFunctions"
    actions   = ["lambda:InvokeFunction"]
    resources = values(var.function_arns)
  }

  statement {
    sid       = "WriteRecords"
    actions   = ["s3:PutObject"]
    resources = [for folder in ["results", "review", "rejected"] : "${var.bucket_arn}/${folder}/*"]
  }

  statement {
    sid       = "AnnounceDecisions"
    actions   = ["events:PutEvents"]
    resources = [local.event_bus_arn]
  }

  statement {
    sid       = "SetPicturesAside"
    actions   = ["sqs:SendMessage"]
    resources = values(local.queue_arns)
  }

  statement {
    sid       = "Alert"
    actions   = ["sns:Publish"]
    resources = [var.alert_topic_arn]
  }

  # https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html: log delivery knows no resources.
  statement {
    sid = "DeliverLogs"
    actions = [
      "logs:CreateLogDelivery",
      "logs:DeleteLogDelivery",
      "logs:DescribeLogGroups",
      "logs:DescribeResourcePolicies",
      "logs:GetLogDelivery",
      "logs:ListLogDeliveries",
      "logs:PutResourcePolicy",
      "logs:UpdateLogDelivery",
    ]
    resources = ["*"]
  }

  dynamic "statement" {
    for_each = var.tracing ? [true] : []

    content {
      sid = "Trace"
      actions = [
        "xray:GetSamplingRules",
        "xray:GetSamplingTargets",
        "xray:PutTelemetryRecords",
        "xray:PutTraceSegments",
      ]
      resources = ["*"] # X-Ray's actions for writing traces know no resources.
    }
  }

  dynamic "statement" {
    for_each = var.kms_key_arn == null ? [] : [var.kms_key_arn]

    content {
      sid       = "UseTheKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }
}

# https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html
data "aws_iam_policy_document" "batch" {
  source_policy_documents = [data.aws_iam_policy_document.classify.json]

  statement {
    sid       = "ListPictures"
    actions   = ["s3:ListBucket"]
    resources = [var.bucket_arn]
  }

  statement {
    sid       = "WriteTheMapsResults"
    actions   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
    resources = ["${var.bucket_arn}/batch/*"]
  }

  statement {
    sid       = "StartAChildForEachPicture"
    actions   = ["states:StartExecution"]
    resources = [local.batch_arn]
  }

  statement {
    sid       = "FollowTheChildren"
    actions   = ["states:DescribeExecution", "states:StopExecution"]
    resources = ["${replace(local.batch_arn, ":stateMachine:", ":execution:")}:*"]
  }

  statement {
    sid       = "RedriveTheChildren"
    actions   = ["states:RedriveExecution"]
    resources = ["${replace(local.batch_arn, ":stateMachine:", ":execution:")}/*:*"]
  }
}

resource "aws_iam_role" "classify" {
  name                 = local.classify_name
  description          = "State machine ${local.classify_name}"
  assume_role_policy   = data.aws_iam_policy_document.states_trust["classify"].json
  permissions_boundary = var.permissions_boundary
}

resource "aws_iam_role_policy" "classify" {
  name   = "classify"
  role   = aws_iam_role.classify.id
  policy = data.aws_iam_policy_document.classify.json
}

resource "aws_iam_role" "batch" {
  name                 = local.batch_name
  description          = "State machine ${local.batch_name}"
  assume_role_policy   = data.aws_iam_policy_document.states_trust["batch"].json
  permissions_boundary = var.permissions_boundary
}

resource "aws_iam_role_policy" "batch" {
  name   = "batch"
  role   = aws_iam_role.batch.id
  policy = data.aws_iam_policy_document.batch.json
}

data "aws_iam_policy_document" "incoming_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [local.rule_arn]
    }
  }
}

data "aws_iam_policy_document" "incoming" {
  statement {
    sid       = "StartAnExecution"
    actions   = ["states:StartExecution"]
    resources = [local.classify_arn]
  }
}

resource "aws_iam_role" "incoming" {
  name                 = "${var.prefix}-incoming"
  description          = "Rule ${var.prefix}-incoming: start ${local.classify_name}"
  assume_role_policy   = data.aws_iam_policy_document.incoming_trust.json
  permissions_boundary = var.permissions_boundary
}

resource "aws_iam_role_policy" "incoming" {
  name   = "incoming"
  role   = aws_iam_role.incoming.id
  policy = data.aws_iam_policy_document.incoming.json
}
