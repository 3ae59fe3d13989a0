# Pictures that need a person, and what was rejected. Policies are written with the queue, not as resources of their
# own: the provider waits half a minute for each.

locals {
  review_queue_name      = "${var.prefix}-review"
  dead_letter_queue_name = "${var.prefix}-dead-letter"

  queue_arns = {
    review      = "arn:${local.partition}:sqs:${local.region}:${local.account}:${local.review_queue_name}"
    dead_letter = "arn:${local.partition}:sqs:${local.region}:${local.account}:${local.dead_letter_queue_name}"
  }
}

data "aws_iam_policy_document" "queue" {
  for_each = local.queue_arns

  statement {
    sid       = "DenyPlainHttp"
    effect    = "Deny"
    actions   = ["sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage"]
    resources = [each.value]

    # A denial has to name everyone: AWS offers no narrower principal that still covers all callers.
    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }

  # Uploads whose execution could not be started.
  dynamic "statement" {
    for_each = each.key == "dead_letter" ? [local.rule_arn] : []

    content {
      sid       = "TheRuleMaySetEventsAside"
      actions   = ["sqs:SendMessage"]
      resources = [each.value]

      principals {
        type        = "Service"
        identifiers = ["events.amazonaws.com"]
      }

      condition {
        test     = "ArnEquals"
        variable = "aws:SourceArn"
        values   = [statement.value]
      }
    }
  }
}

resource "aws_sqs_queue" "review" {
  name                      = local.review_queue_name
  message_retention_seconds = var.message_retention_days * 86400
  sqs_managed_sse_enabled   = var.kms_key_arn == null ? true : null
  kms_master_key_id         = var.kms_key_arn
  policy                    = data.aws_iam_policy_document.queue["review"].json
}

resource "aws_sqs_queue" "dead_letter" {
  name                      = local.dead_letter_queue_name
  message_retention_seconds = var.message_retention_days * 86400
  sqs_managed_sse_enabled   = var.kms_key_arn == null ? true : null
  kms_master_key_id         = var.kms_key_arn
  policy                    = data.aws_iam_policy_document.queue["dead_letter"].json
}
