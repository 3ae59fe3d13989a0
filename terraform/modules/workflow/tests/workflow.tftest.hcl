mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }

  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_data "aws_region" {
    defaults = { name = "us-east-1" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/shop" }
  }

  mock_resource "aws_sqs_queue" {
    defaults = {
      arn = "arn:aws:sqs:us-east-1:123456789012:shop-queue"
      url = "https://sqs.us-east-1.amazonaws.com/123456789012/shop-queue"
    }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/vendedlogs/states/shop" }
  }

  mock_resource "aws_sfn_state_machine" {
    defaults = { arn = "arn:aws:states:us-east-1:123456789012:stateMachine:shop-classify" }
  }
}

variables {
  prefix    = "shop"
  classes   = ["bicycle", "motorcycle"]
  threshold = 0.93
  routes = {
    bicycle = { order_radius = "nearby", loading_bay = "bay \"1\"" }
  }
  bucket_name     = "shop-pictures"
  bucket_arn      = "arn:aws:s3:::shop-pictures"
  alert_topic_arn = "arn:aws:sns:us-east-1:123456789012:shop-alerts"
  function_arns = {
    serialize_image = "arn:aws:lambda:us-east-1:123456789012:function:shop-serialize-image"
    classify_image  = "arn:aws:lambda:us-east-1:123456789012:function:shop-classify-image"
    filter_classes  = "arn:aws:lambda:us-east-1:123456789012:function:shop-filter-classes"
  }
}

run "fills_the_definition_with_what_it_was_given" {
  assert {
    condition = alltrue([
      for text in concat(values(var.function_arns), [var.alert_topic_arn, var.bucket_name, "0.93"]) :
      strcontains(aws_sfn_state_machine.classify.definition, text)
    ])
    error_message = "Functions, topic, bucket and threshold must stand in the definition."
  }

  assert {
    condition     = jsondecode(aws_sfn_state_machine.classify.definition).QueryLanguage == "JSONPath"
    error_message = "The definition must be JSON even where a route has quotes in it."
  }

  assert {
    condition     = !strcontains(aws_sfn_state_machine.classify.definition, "$${") && !strcontains(aws_sfn_state_machine.batch.definition, "$${")
    error_message = "No placeholder may be left."
  }
}

run "runs_the_same_states_for_a_batch" {
  variables {
    batch_child_type      = "EXPRESS"
    batch_max_concurrency = 7
  }

  assert {
    condition = length([
      for name, state in jsondecode(output.classify_definition).States : name
      if jsonencode(lookup(one([for s in values(jsondecode(output.batch_definition).States) : s if s.Type == "Map"]).ItemProcessor.States, name, null)) != jsonencode(state)
    ]) == 0
    error_message = "Each state of the single machine must be in the batch's item processor, unchanged."
  }

  assert {
    condition = (
      one([for s in values(jsondecode(output.batch_definition).States) : s if s.Type == "Map"]).ItemProcessor.ProcessorConfig.ExecutionType == "EXPRESS"
      && one([for s in values(jsondecode(output.batch_definition).States) : s if s.Type == "Map"]).MaxConcurrency == 7
    )
    error_message = "Child type and concurrency must reach the map."
  }
}

run "starts_on_uploads_under_incoming_only" {
  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.incoming.event_pattern) == {
      source      = ["aws.s3"]
      detail-type = ["Object Created"]
      detail      = { bucket = { name = ["shop-pictures"] }, object = { key = [{ prefix = "incoming/" }] } }
    }
    error_message = "Results are written to the same bucket: only incoming/ may start an execution."
  }

  assert {
    condition = (
      strcontains(aws_cloudwatch_event_target.classify.input_transformer[0].input_template, "\"s3_key\": <key>")
      && aws_cloudwatch_event_target.classify.input_transformer[0].input_paths["version"] == "$.detail.object.version-id"
      && length(aws_cloudwatch_event_target.classify.dead_letter_config) == 1
    )
    error_message = "The event must become the input of an execution by hand, with the version; what cannot be started is set aside."
  }
}

run "calls_and_writes_only_what_the_workflow_names" {
  assert {
    condition = {
      for s in data.aws_iam_policy_document.classify.statement : s.sid => sort(s.resources) if !contains(s.resources, "*")
      } == {
      CallTheFunctions  = sort(values(var.function_arns))
      WriteRecords      = tolist(["arn:aws:s3:::shop-pictures/rejected/*", "arn:aws:s3:::shop-pictures/results/*", "arn:aws:s3:::shop-pictures/review/*"])
      AnnounceDecisions = tolist(["arn:aws:events:us-east-1:123456789012:event-bus/default"])
      SetPicturesAside  = tolist(["arn:aws:sqs:us-east-1:123456789012:shop-dead-letter", "arn:aws:sqs:us-east-1:123456789012:shop-review"])
      Alert             = tolist([var.alert_topic_arn])
    }
    error_message = "The role must have the three functions, three folders, one bus, two queues and one topic, and nothing else."
  }

  assert {
    condition     = [for s in data.aws_iam_policy_document.classify.statement : s.sid if contains(s.resources, "*")] == ["DeliverLogs"]
    error_message = "Only log delivery, which knows no resources, may be allowed on all."
  }

  assert {
    condition = !anytrue(flatten([
      for document in [data.aws_iam_policy_document.classify, data.aws_iam_policy_document.batch, data.aws_iam_policy_document.incoming] :
      [for s in document.statement : [for action in s.actions : strcontains(action, "*")]]
    ]))
    error_message = "Actions must be named one by one."
  }
}

run "lets_the_batch_start_itself_and_no_other_machine" {
  assert {
    condition = toset(flatten([
      for s in data.aws_iam_policy_document.batch.statement : s.resources if contains(s.actions, "states:StartExecution")
    ])) == toset(["arn:aws:states:us-east-1:123456789012:stateMachine:shop-classify-batch"])
    error_message = "Children of a Distributed Map are executions of the batch machine itself."
  }

  assert {
    condition     = data.aws_iam_policy_document.incoming.statement[0].resources == toset(["arn:aws:states:us-east-1:123456789012:stateMachine:shop-classify"])
    error_message = "The rule starts the single machine."
  }
}

run "trusts_each_role_to_its_own_user" {
  assert {
    condition = (
      contains(flatten([for c in data.aws_iam_policy_document.states_trust["classify"].statement[0].condition : c.values]), "arn:aws:states:us-east-1:123456789012:stateMachine:shop-classify")
      && contains(flatten([for c in data.aws_iam_policy_document.incoming_trust.statement[0].condition : c.values]), "arn:aws:events:us-east-1:123456789012:rule/shop-incoming")
    )
    error_message = "Each role must be bound to the machine or rule that takes it on."
  }

  assert {
    condition = alltrue([
      for name, arns in {
        classify = ["arn:aws:states:us-east-1:123456789012:stateMachine:shop-classify"]
        batch = [
          "arn:aws:states:us-east-1:123456789012:stateMachine:shop-classify-batch",
          "arn:aws:states:us-east-1:123456789012:stateMachine:shop-classify-batch/*",
        ]
      } :
      toset(arns) == toset(one([
        for c in data.aws_iam_policy_document.states_trust[name].statement[0].condition : c.values if c.variable == "aws:SourceArn"
      ]))
    ])
    error_message = "The batch's role must also be for its children, and no role for another machine."
  }
}

run "encrypts_queues_and_lets_only_the_rule_in" {
  assert {
    condition     = aws_sqs_queue.review.sqs_managed_sse_enabled && aws_sqs_queue.dead_letter.sqs_managed_sse_enabled
    error_message = "Queues must be encrypted."
  }

  assert {
    condition = (
      length(data.aws_iam_policy_document.queue["review"].statement) == 1
      && one(data.aws_iam_policy_document.queue["dead_letter"].statement[1].condition).values == tolist(["arn:aws:events:us-east-1:123456789012:rule/shop-incoming"])
    )
    error_message = "Only the rule, and only into the dead-letter queue, needs a policy of the queue."
  }
}

run "logs_the_errors_that_the_alarm_reads" {
  assert {
    condition = alltrue([
      for machine in [aws_sfn_state_machine.classify, aws_sfn_state_machine.batch] :
      machine.logging_configuration[0].level == "ERROR" && machine.logging_configuration[0].include_execution_data
    ])
    error_message = "The alarm on breakage reads the error out of the log."
  }
}

run "refuses_a_route_for_no_class" {
  command = plan

  variables {
    routes = { unicycle = { order_radius = "nearby", loading_bay = "bay-3" } }
  }

  expect_failures = [var.routes]
}

run "refuses_a_third_kind_of_child" {
  command = plan

  variables {
    batch_child_type = "FAST"
  }

  expect_failures = [var.batch_child_type]
}
