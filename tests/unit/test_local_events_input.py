"""What a rule's target gets."""

import json
from types import SimpleNamespace

import pytest

from scones_ops.local.events_input import InputInvalid, fill, select, target_input

RULE = SimpleNamespace(arn="arn:aws:events:us-east-1:123456789012:rule/r", name="r")
EVENT = {"source": "aws.s3", "detail": {"object": {"key": 'a "b" ü.png', "size": 5}, "list": [{"x": 1}]}}


def test_without_a_transformer_the_whole_event_arrives() -> None:
    assert json.loads(target_input({}, EVENT, RULE)) == EVENT


def test_a_constant_and_a_part_of_the_event_can_be_asked_for() -> None:
    assert target_input({"Input": '{"a": 1}'}, EVENT, RULE) == '{"a": 1}'
    assert (
        json.loads(target_input({"InputPath": "$.detail.object"}, EVENT, RULE)) == EVENT["detail"]["object"]
    )


def test_placeholders_are_json_outside_quotes_and_plain_within() -> None:
    target = {
        "InputTransformer": {
            "InputPathsMap": {
                "key": "$.detail.object.key",
                "size": "$.detail.object.size",
                "no": "$.detail.no",
            },
            "InputTemplate": '{"k": <key>, "text": "<key> of <size>", "n": <size>, "v": <no>, "e": "<no>"}',
        }
    }
    assert json.loads(target_input(target, EVENT, RULE)) == {
        "k": 'a "b" ü.png',
        "text": 'a "b" ü.png of 5',
        "n": 5,
        "v": None,
        "e": "",
    }


def test_the_rule_and_the_event_have_names_of_their_own() -> None:
    target = {
        "InputTransformer": {
            "InputTemplate": '{"rule": "<aws.events.rule-name>", "event": <aws.events.event.json>}'
        }
    }
    assert json.loads(target_input(target, EVENT, RULE)) == {"rule": "r", "event": EVENT}


def test_a_template_that_gives_no_json_is_refused() -> None:
    with pytest.raises(InputInvalid):
        fill('{"a": <x> <y>}', {"x": 1, "y": 2})


def test_a_text_template_stays_text() -> None:
    assert fill('"<a> is done"', {"a": "x"}) == '"x is done"'


def test_paths_go_through_lists_and_missing_parts() -> None:
    assert select(EVENT, "$.detail.list[0].x") == 1
    assert select(EVENT, "$.detail.list[9].x") is None
    assert select(EVENT, "$.detail.object.key.deeper") is None
