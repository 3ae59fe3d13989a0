"""The small part of IAM that the local AWS looks at."""

from scones_ops.local.roles import policy_lets_in
from scones_ops.local.s3_policies import applying_statements

DENY_PLAIN_HTTP = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": "*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


def test_a_denial_of_plain_http_does_not_close_the_bucket() -> None:
    assert applying_statements({"Statement": [DENY_PLAIN_HTTP]}) == []


def test_a_statement_without_condition_applies() -> None:
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}
    assert applying_statements({"Statement": deny}) == [deny]


def test_a_statement_for_tls_applies() -> None:
    over_tls = DENY_PLAIN_HTTP | {"Condition": {"Bool": {"aws:SecureTransport": "true"}}}
    assert len(applying_statements({"Statement": [over_tls]})) == 1


def test_a_policy_lets_in_only_the_services_and_actions_that_it_names() -> None:
    policy = {
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": ["a.amazonaws.com"]}, "Action": "sqs:Send*"},
            {"Effect": "Deny", "Principal": {"Service": "b.amazonaws.com"}, "Action": "sqs:*"},
        ]
    }
    assert policy_lets_in(policy, "a.amazonaws.com", "sqs:SendMessage")
    assert not policy_lets_in(policy, "a.amazonaws.com", "sqs:DeleteMessage")
    assert not policy_lets_in(policy, "b.amazonaws.com", "sqs:SendMessage")
    assert not policy_lets_in(None, "a.amazonaws.com", "sqs:SendMessage")
